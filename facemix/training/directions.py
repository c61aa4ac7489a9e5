"""The walk of `facemix directions`: from a checkpoint and a prepared data set to attribute directions, measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facemix.errors import DatasetError
from facemix.faces.centerface import CenterFace
from facemix.faces.types import FaceDetector
from facemix.imaging.arrays import to_pixels, to_tensor
from facemix.training.dataset import FaceSet, load_split, read_summary
from facemix.training.measures import (
    HELD_LABELS,
    MEASURES,
    Measure,
    Values,
    find_landmarks,
    held_indicators,
    manifest_landmarks,
    measure_landmarks,
    measure_pixels,
    mirrored,
    read_labels,
)
from facemix.training.probes import Probe, directions, fit_probe
from facemix.training.trainer import code_version
from facemix.vae.checkpoint import load_checkpoint
from facemix.vae.directions import Attribute, AttributeDirections, AttributesCard, Effect
from facemix.vae.networks import VAE

_BATCH = 32
# Low: a decoded face that the detector is unsure of still has its mouth and nose somewhere.
_DETECTOR_THRESHOLD = 0.05

Embed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Options:
    """How to fit and measure.

    Attributes:
        limit: fit to so many training photographs, drawn by the seed, and their mirror images; None is all.
        faces: measure the effects on so many validation photographs, drawn by the seed.
        min_r2: an attribute whose probe explains less of the validation split gets no direction.
        seed: of the draws.
    """

    limit: int | None = None
    faces: int = 128
    min_r2: float = 0.2
    seed: int = 0


def fit_directions(
    folder: Path,
    data: Path,
    options: Options | None = None,
    *,
    embed: Embed | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> AttributeDirections:
    """Fits a direction to every attribute that the latents know, and measures what moving along it does.

    Of a latent of two levels (`facemix.vae.detail`) directions move the coarse one: the detail of a mix fades, and an
    edit must do the same to a mix as to a photograph.

    Args:
        folder: the checkpoint's; nothing is written to it.
        data: a prepared data set.
        embed: (N, S, S, 3) uint8 crops to (N, D) points whose distances say how alike two people are; without it
            the directions say nothing of identity.
        on_progress: (done, total), in passes through a network.

    Raises:
        CheckpointMissing, CheckpointCorrupt: see `load_checkpoint`.
        DatasetError: no such data set, crops of another size, or no attribute is left.
    """
    options = options or Options()
    checkpoint = load_checkpoint(folder)
    summary = read_summary(data)
    size = checkpoint.card.config.crop_size
    if summary["crop_size"] != size:
        name = checkpoint.card.name
        raise DatasetError(
            f"the crops in {data} are {summary['crop_size']} pixels wide, the model {name} takes {size}",
            hint=f"prepare the photographs into another folder with `facemix prepare --size {size}`",
        )
    train, validation = load_split(data, "train"), load_split(data, "validation")
    if options.limit is not None:
        chosen = _draw(len(train), options.limit, options.seed)
        train = FaceSet(train.images[torch.from_numpy(chosen)], tuple(train.rows[index] for index in chosen))
    shown = _draw(len(validation), options.faces, options.seed)
    passes = 2 * len(train) + len(validation)
    work = _Work(checkpoint.vae, on_progress, passes + (4 * len(MEASURES) + 1) * len(shown))

    crops = train.images.numpy()
    coarse = slice(checkpoint.card.config.coarse_size or None)
    z = np.concatenate([work.encode(crops), work.encode(np.ascontiguousarray(crops[:, :, ::-1]))])[:, coarse]
    values = _values(train)
    twice = {name: np.concatenate([values[name], mirrored(values)[name]]) for name in values}
    photographs = np.tile(np.arange(len(train)), 2)
    unseen, known = work.encode(validation.images.numpy()), _values(validation)

    kept, refused = _kept_probes(z, twice, photographs, (unseen[:, coarse], known), options.min_r2)
    if not kept:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise DatasetError(f"no attribute is left ({reasons})", hint="use more photographs, or lower --min-r2")
    held = {label: _held_probes(z, held_indicators(train.rows, label), photographs) for label in HELD_LABELS}
    work.total = passes + (4 * len(kept) + (embed is not None)) * len(shown)
    probes = [probe for _, probe, _ in kept]
    try:
        steps, lengths = directions(np.cov(z.T, bias=True), probes, [row for rows in held.values() for row in rows])
    except ValueError as error:
        raise DatasetError(f"no directions: {error}", hint="use more photographs, or raise --min-r2") from error

    steps = np.pad(steps, [(0, 0), (0, unseen.shape[1] - steps.shape[1])])
    effects, identity = _effects(work, unseen[shown], steps, kept, embed)
    attributes = []
    for index, (measure, probe, r2) in enumerate(kept):
        row = {other.name: effects[index][place] for place, (other, _, _) in enumerate(kept)}
        attributes.append(
            Attribute(
                **measure.__dict__,
                faces=int((~np.isnan(values[measure.name])).sum()),
                mean=probe.mean,
                spread=probe.spread,
                r2=r2,
                step=float(probe.weights @ steps[index, coarse]),
                deviation=float(np.linalg.norm(steps[index])),
                distance=float(lengths[index]),
                effect=row.pop(measure.name),
                side_effects=row,
                identity=identity[index],
            )
        )
    card = AttributesCard(
        model=checkpoint.card.name,
        weights_sha256=checkpoint.card.weights_sha256,
        latent_schema=checkpoint.card.latent_schema,
        tensors_sha256="0" * 64,  # known when they are saved
        attributes=tuple(attributes),
        refused=refused,
        held=tuple(label for label, weights in held.items() if weights),
        fitting={
            "data": summary["name"],
            "licence": summary["licence"],
            "manifest_sha256": summary["manifest_sha256"],
            "photographs": len(train),
            "validation_photographs": len(validation),
            "effects_measured_on": len(shown),
            "min_r2": options.min_r2,
            "penalties": {measure.name: probe.penalty for measure, probe, _ in kept},
            "seed": options.seed,
            "code_version": code_version(),
        },
    )
    unit = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    return AttributeDirections(card, torch.from_numpy(unit.astype(np.float32)))


_Kept = list[tuple[Measure, Probe, float]]


class _Work:
    """Passes through the network, in batches, counted."""

    def __init__(self, vae: VAE, on_progress: Callable[[int, int], None], total: int) -> None:
        self._vae = vae.to(memory_format=torch.channels_last)
        self._on_progress = on_progress
        self._done, self.total = 0, total

    @torch.inference_mode()
    def encode(self, crops: np.ndarray) -> np.ndarray:
        """(N, S, S, 3) uint8 to posterior means, (N, Z) float64."""
        found = []
        for start in range(0, len(crops), _BATCH):
            images = to_tensor(crops[start : start + _BATCH]).contiguous(memory_format=torch.channels_last)
            found.append(self._vae.encode(images).mode().numpy())
            self._count(len(images))
        return np.concatenate(found).astype(np.float64)

    @torch.inference_mode()
    def decode(self, z: np.ndarray) -> np.ndarray:
        """(N, Z) to (N, S, S, 3) uint8, as it would be shown."""
        found = []
        for part in torch.from_numpy(z.astype(np.float32)).split(_BATCH):
            found.append(to_pixels(self._vae.decode(part)))
            self._count(len(part))
        return np.concatenate(found)

    def _count(self, number: int) -> None:
        self._done += number
        self._on_progress(self._done, self.total)


def _values(faces: FaceSet) -> Values:
    """Every attribute of a split's photographs, (N,) float64 each, NaN where it is not known."""
    return {
        **read_labels(faces.rows),
        **measure_landmarks(manifest_landmarks(faces.rows)),
        **measure_pixels(faces.images.numpy()),
    }


def _kept_probes(
    z: np.ndarray, values: Values, photographs: np.ndarray, unseen: tuple[np.ndarray, Values], min_r2: float
) -> tuple[_Kept, dict[str, str]]:
    """The probes worth a direction, and why the others are not."""
    kept: _Kept = []
    refused: dict[str, str] = {}
    for measure in MEASURES:
        try:
            probe = fit_probe(z, values[measure.name], photographs)
        except ValueError as error:
            refused[measure.name] = str(error)
            continue
        r2 = probe.r2(unseen[0], unseen[1][measure.name])
        if r2 >= min_r2:
            kept.append((measure, probe, r2))
        elif np.isnan(r2):
            refused[measure.name] = "the validation split does not show how well it is read"
        else:
            refused[measure.name] = f"its probe has R2 {r2:.2f} on the validation split; {min_r2:g} is the least"
    return kept, refused


def _held_probes(z: np.ndarray, indicators: np.ndarray, photographs: np.ndarray) -> list[np.ndarray]:
    """Weights of a probe for each group of a label, of those that can be told apart at all."""
    found = []
    for column in np.concatenate([indicators, indicators]).T:
        try:
            found.append(fit_probe(z, column, photographs).weights)
        except ValueError:
            continue
    return found


def _effects(
    work: _Work, z: np.ndarray, steps: np.ndarray, kept: _Kept, embed: Embed | None
) -> tuple[list[list[Effect]], list[float | None]]:
    """What a step along each direction does to faces at z, (N, Z): on every attribute, and on who it seems to be.

    Decoded to 8 bits, measured in the picture, and encoded again for the probes: what the decoder does not draw, or
    the encoder sees otherwise, is no effect.
    """
    detector = CenterFace(threshold=_DETECTOR_THRESHOLD, threads=1)
    points = None if embed is None else embed(work.decode(z))
    effects, identity = [], []
    for step in steps:
        pictures = [work.decode(z + sign * step) for sign in (1, -1)]
        again = [work.encode(one)[:, : len(kept[0][1].weights)] for one in pictures]
        seen = [_seen(one, detector) for one in pictures]
        row = []
        for measure, probe, _ in kept:
            read = np.mean(probe.read(again[0]) - probe.read(again[1])) / 2 / probe.spread
            picture = None
            if measure.name in seen[0]:
                changes = (seen[0][measure.name] - seen[1][measure.name]) / 2 / probe.spread
                picture = None if np.isnan(changes).all() else float(np.nanmean(changes))
            row.append(Effect(probe=float(read), picture=picture))
        effects.append(row)
        if embed is None or points is None:
            identity.append(None)
        else:
            apart = [np.linalg.norm(embed(one).astype(np.float64) - points, axis=1) for one in pictures]
            identity.append(float(np.nanmedian(np.concatenate(apart))))
    return effects, identity


def _seen(pictures: np.ndarray, detector: FaceDetector) -> Values:
    return {**measure_landmarks(find_landmarks(pictures, detector)), **measure_pixels(pictures)}


def _draw(count: int, wanted: int, seed: int) -> np.ndarray:
    """`wanted` of `count` places at random, rising; the manifest is in order of file names, and often of age."""
    return np.sort(np.random.default_rng((seed, 2)).permutation(count)[:wanted])
