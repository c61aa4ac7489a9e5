"""What is measured on one picture, or on two: pure functions, each with its formula and where it comes from.

Pictures are (S, S, 3) uint8 RGB, as they would be shown; brightness is (S, S) float64 luma in [0, 1] (`brightness`).
"""

from __future__ import annotations

import cv2
import numpy as np

from facemix.imaging.arrays import luma

# Rounding to 8 bits alone leaves this mean square, in levels / 255: what is divided by never counts as less.
ROUNDING_ENERGY = 1 / (12 * 255**2)

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

# Where skin shows without eyes, brows, nose and mouth, as fractions of the crop (x0, y0, x1, y1): forehead, cheeks.
# The alignment puts the eyes at (.293, .306) and (.707, .306), the corners of the mouth at (.33, .70) and (.67, .70).
SKIN_AREAS = ((0.30, 0.06, 0.70, 0.19), (0.14, 0.42, 0.34, 0.64), (0.66, 0.42, 0.86, 0.64))
# Wrinkles at 128 pixels: between these two Gaussians lie lines of about 3 to 12 pixels.
WRINKLE_SIGMAS = (0.7, 2.5)


def brightness(pixels: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8 RGB to (S, S) float64 Rec. 601 luma in [0, 1], not rounded."""
    return luma(pixels).astype(np.float64)


def mse(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared difference of two pictures over pixels and channels, in (levels / 255)^2."""
    return float(np.mean((a.astype(np.float64) - b) ** 2)) / 255**2


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB: -10 log10(mse). Two equal pictures count as apart by rounding alone."""
    return -10 * float(np.log10(max(mse(a, b), ROUNDING_ENERGY)))


def rms_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean squared difference of two pictures (uint8 or float, levels 0 to 255), in levels / 255."""
    return float(np.sqrt(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))) / 255


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two brightnesses, mean over all places where the window fits; 1 when equal.

    (2 ma mb + C1)(2 sab + C2) / ((ma^2 + mb^2 + C1)(sa^2 + sb^2 + C2)) with an 11 x 11 Gaussian window of sigma 1.5,
    C1 = .01^2, C2 = .03^2 for a range of 1 (Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, "Image quality assessment:
    from error visibility to structural similarity", 2004, eq. 13).

    Raises:
        ValueError: the pictures are smaller than the window.
    """
    luminance, contrast = _similarity_maps(a, b)
    return float(np.mean(luminance * contrast))


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Multi-scale structural similarity of two brightnesses (Z. Wang, E. Simoncelli, A. Bovik, 2003, eq. 7).

    The five published scales need more than 160 pixels. Smaller pictures get as many as fit (`ms_ssim_scales`; four
    at 128 pixels) with the published weights of those, renormalised to sum to 1, so the figure does not compare with
    five-scale ones. Each scale averages 2 x 2 pixels; a negative mean contrast term counts as 0.

    Raises:
        ValueError: the pictures are smaller than the window.
    """
    scales = ms_ssim_scales(min(a.shape))
    weights = np.array(_SCALE_WEIGHTS[:scales]) / sum(_SCALE_WEIGHTS[:scales])
    product = 1.0
    for scale in range(scales):
        luminance, contrast = _similarity_maps(a, b)
        last = scale == scales - 1
        term = float(np.mean(luminance * contrast if last else contrast))
        product *= max(term, 0.0) ** float(weights[scale])
        a, b = _halved(a), _halved(b)
    return product


def ms_ssim_scales(side: int) -> int:
    """How many of the five scales fit pictures of this side: each halves it, and the window needs 11 pixels.

    Raises:
        ValueError: not even one does.
    """
    if side < _WINDOW:
        raise ValueError(f"pictures of {side} pixels are smaller than the window of {_WINDOW}")
    return min(len(_SCALE_WEIGHTS), 1 + int(np.log2(side / _WINDOW)))


def laplacian_energy(a: np.ndarray) -> float:
    """Mean squared Laplacian (4 neighbours) of a brightness, away from its edge: how much fine detail there is."""
    return float(np.mean(cv2.Laplacian(a, cv2.CV_64F, ksize=1)[1:-1, 1:-1] ** 2))


def asymmetry_energy(a: np.ndarray) -> float:
    """Mean squared difference of a brightness and its mirror image: 0 for a face with two equal halves."""
    return float(np.mean((a - a[:, ::-1]) ** 2))


def wrinkle_energy(a: np.ndarray) -> float:
    """Mean square of the wrinkle band of a brightness on forehead and cheeks.

    The band is a difference of Gaussians (`WRINKLE_SIGMAS` at 128 pixels, growing with the crop); the areas are
    `SKIN_AREAS`, the same in every crop because crops are aligned. Hair on the forehead counts as well.
    """
    size = a.shape[0]
    fine, coarse = (cv2.GaussianBlur(a, (0, 0), sigma * size / 128) for sigma in WRINKLE_SIGMAS)
    band = (fine - coarse) ** 2
    areas = [
        band[round(y0 * size) : round(y1 * size), round(x0 * size) : round(x1 * size)] for x0, y0, x1, y1 in SKIN_AREAS
    ]
    return float(sum(area.sum() for area in areas) / sum(area.size for area in areas))


def ratio(output: float, source: float) -> float:
    """Energy of an output over that of its source, both in (levels / 255)^2; a source never counts as less than
    what rounding to 8 bits leaves."""
    return output / max(source, ROUNDING_ENERGY)


def mean_colour(pixels: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8 sRGB to its mean colour in CIELAB (D65), (3,) float64: L* 0 to 100, a*, b*."""
    lab = cv2.cvtColor(pixels.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    return lab.reshape(-1, 3).mean(0, dtype=np.float64)


def colour_shift(a: np.ndarray, b: np.ndarray) -> float:
    """Delta E (CIE 1976) between the mean colours of two pictures; about 2 can just be seen."""
    return float(np.linalg.norm(mean_colour(a) - mean_colour(b)))


def total_variance(pictures: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Variance across a set of pictures, summed over pixels and channels.

    Args:
        pictures: (N, S, S, 3) uint8.
        counts: (R, N), how often each picture is drawn in each of R resamples; None is the set itself.

    Returns:
        (R,) float64, in (levels / 255)^2; (1,) without `counts`.
    """
    flat = pictures.reshape(len(pictures), -1).astype(np.float32) / np.float32(255)
    flat -= flat.mean(0)  # variance does not move with the mean, and small numbers keep their digits
    gram = (flat @ flat.T).astype(np.float64)
    weights = np.full((1, len(flat)), 1 / len(flat)) if counts is None else counts / counts.sum(1, keepdims=True)
    return weights @ np.diag(gram) - np.einsum("rn,rn->r", weights @ gram, weights)


def _similarity_maps(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The luminance term, and contrast times structure, where the whole window fits."""
    if min(a.shape) < _WINDOW:
        raise ValueError(f"pictures of {a.shape[1]} x {a.shape[0]} are smaller than the window of {_WINDOW}")
    edge = _WINDOW // 2

    def blurred(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (_WINDOW, _WINDOW), _SIGMA)[edge:-edge, edge:-edge]

    mean_a, mean_b = blurred(a), blurred(b)
    variances = blurred(a * a) - mean_a**2 + blurred(b * b) - mean_b**2
    covariance = blurred(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return luminance, (2 * covariance + _C2) / (variances + _C2)


def _halved(a: np.ndarray) -> np.ndarray:
    height, width = a.shape[0] // 2 * 2, a.shape[1] // 2 * 2
    return a[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
