"""Faces against their own reconstructions: how near, how sharp, how lopsided, how varied."""

from __future__ import annotations

import numpy as np

from facemix.evaluation import metrics
from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.results import Figures

# Age from which wrinkles are looked for, and up to which they are for comparison.
OLD, YOUNG = 60, 29


def measure_reconstructions(faces: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
    """Every figure of every face.

    Args:
        faces, outputs: (N, S, S, 3) uint8.

    Returns:
        (N,) float64 each: ``mse``, ``psnr``, ``ssim``, ``ms_ssim``, ``sharpness`` (Laplacian energy, output over
        input), ``colour_shift`` (Delta E), ``asymmetry`` (output over input), ``wrinkles`` (output over input), and
        the Laplacian energies themselves, ``detail_before`` and ``detail_after``.
    """
    found: dict[str, list[float]] = {}
    for face, output in zip(faces, outputs, strict=True):
        before, after = metrics.brightness(face), metrics.brightness(output)
        one = {
            "mse": metrics.mse(face, output),
            "psnr": metrics.psnr(face, output),
            "ssim": metrics.ssim(before, after),
            "ms_ssim": metrics.ms_ssim(before, after),
            "colour_shift": metrics.colour_shift(face, output),
            "detail_before": metrics.laplacian_energy(before),
            "detail_after": metrics.laplacian_energy(after),
        }
        one["sharpness"] = metrics.ratio(one["detail_after"], one["detail_before"])
        for name, energy in (
            ("asymmetry", metrics.asymmetry_energy),
            ("wrinkles", metrics.wrinkle_energy),
        ):
            one[name] = metrics.ratio(energy(after), energy(before))
        for name, value in one.items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def reconstruction_figures(
    values: dict[str, np.ndarray], faces: np.ndarray, outputs: np.ndarray, bootstrap: Bootstrap
) -> Figures:
    """Means with intervals, and two figures of the set as a whole.

    ``sharpness_pooled``: the sum of all outputs' Laplacian energies over the sum of all faces'. Blurred photographs,
    whose outputs are easily sharper than they, weigh little in it. ``variance``: the variance across the set, of the
    outputs over that of the faces.
    """
    names = ("psnr", "ssim", "ms_ssim", "sharpness", "colour_shift", "asymmetry")
    figures = {name: bootstrap.mean(values[name]) for name in names}
    detail_before = np.maximum(values["detail_before"], metrics.ROUNDING_ENERGY)
    figures["sharpness_pooled"] = bootstrap.statistic(
        len(faces), lambda counts: (counts @ values["detail_after"]) / (counts @ detail_before)
    )
    counts = bootstrap.counts(len(faces))
    every = np.concatenate([np.ones((1, len(faces)), np.int64), counts])
    # Resamples that drew one face only have no variance to keep.
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = metrics.total_variance(outputs, every) / metrics.total_variance(faces, every)
    kept[~np.isfinite(kept)] = np.nan
    figures["variance"] = bootstrap.interval(float(kept[0]), kept[1:], len(faces))
    return figures


def wrinkle_figures(values: dict[str, np.ndarray], ages: np.ndarray, bootstrap: Bootstrap) -> Figures:
    """Wrinkle-band energy, output over input, of people of 60 and over and, for comparison, under 30.

    Args:
        ages: (N,) float64, NaN where there is no label.
    """
    return {
        "60_and_over": bootstrap.mean(values["wrinkles"][ages >= OLD]),
        "under_30": bootstrap.mean(values["wrinkles"][ages <= YOUNG]),
    }
