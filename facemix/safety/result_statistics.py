"""What a model's decoded faces look like, in a few kilobytes: by this a result that looks like none is suspected.

``result_checks.json`` lies beside the weights that it belongs to. It is fitted from what the model draws by itself:
faces drawn from its prior, mid-points of two, and edits to the limit along its attribute directions. No photograph is
needed.

Aligned faces put light and dark in the same places. Brought to one mean and contrast, small grey pictures of them lie
close to a plane of few dimensions (M. Turk, A. Pentland, "Eigenfaces for Recognition", 1991); how far a picture lies
beside it is its *residual*.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facemix.errors import AttributesMissing, CheckpointCorrupt, ModelMismatch
from facemix.imaging.arrays import to_pixels
from facemix.vae.checkpoint import Card, Checkpoint
from facemix.vae.directions import load_directions

FILE = "result_checks.json"
SIDE = 16  # of the small pictures
COMPONENTS = 16
DRAWS = 1200
_SOFT = 0.02  # added to the contrast, so that noise in a flat picture is not blown up to a face's
_EDGE = 3.0  # standard deviations: the farthest that an edit may go
_WITHIN = 0.995  # share of what was drawn that the limits let pass, before the allowance
_ALLOWANCE = 1.1
_BATCH = 16
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Text = Annotated[str, Field(max_length=65536)]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    version: Literal[1] = 1
    model: str
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    side: int = Field(ge=4, le=64)
    mean: Text  # base64 of float16
    basis: Text  # base64 of int8, a row for each component
    steps: tuple[float, ...] = Field(min_length=1, max_length=64)  # what 1 in the basis stands for, by component
    most_residual: float = Field(gt=0, allow_inf_nan=False)
    least_contrast: float = Field(gt=0, allow_inf_nan=False)
    fitting: dict[str, Any]


@dataclass(frozen=True)
class Statistics:
    """The plane, and how far from it and how flat a decoded face may be.

    Attributes:
        mean: (D,) float32, the mean small picture.
        basis: (K, D) float32, rows about orthonormal.
        most_residual: RMS, in units of the picture's contrast.
        least_contrast: standard deviation of luma, 0 to 1.
        fitting: how it was fitted.
    """

    mean: np.ndarray
    basis: np.ndarray
    most_residual: float
    least_contrast: float
    fitting: dict[str, Any]

    def residuals(self, small: np.ndarray) -> np.ndarray:
        """(N, D) float32 of `small_pictures` to (N,): how far they lie beside the plane."""
        centred = small - self.mean
        beside = centred - (centred @ self.basis.T) @ self.basis
        return np.sqrt((beside**2).mean(1))

    def save(self, folder: Path, card: Card) -> None:
        """Writes the file, whole or not at all."""
        steps = np.abs(self.basis).max(1) / 127
        written = _File(
            model=card.name,
            weights_sha256=card.weights_sha256,
            side=round(len(self.mean) ** 0.5),
            mean=base64.b64encode(self.mean.astype("<f2").tobytes()).decode(),
            basis=base64.b64encode(np.rint(self.basis / steps[:, None]).astype(np.int8).tobytes()).decode(),
            steps=tuple(float(f"{step:.6g}") for step in steps),
            most_residual=round(self.most_residual, 4),
            least_contrast=round(self.least_contrast, 4),
            fitting=self.fitting,
        )
        unfinished = folder / f"{FILE}.tmp"
        unfinished.write_text(written.model_dump_json(indent=1) + "\n")
        unfinished.replace(folder / FILE)


def load_statistics(folder: Path, card: Card) -> Statistics | None:
    """Reads the file; None where there is none.

    Raises:
        ModelMismatch: it was fitted to other weights.
        CheckpointCorrupt: it is damaged.
    """
    path = folder / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _corrupt(f"{path} cannot be read: {error.strerror}") from error
    try:
        found = _File.model_validate_json(data)
        mean = np.frombuffer(base64.b64decode(found.mean, validate=True), "<f2").astype(np.float32)
        basis = np.frombuffer(base64.b64decode(found.basis, validate=True), np.int8).astype(np.float32)
        basis = basis.reshape(len(found.steps), -1) * np.float32(found.steps)[:, None]
    except ValidationError as error:
        first = error.errors()[0]
        raise _corrupt(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValueError as error:
        raise _corrupt(f"{path}: {error}") from error
    if found.weights_sha256 != card.weights_sha256:
        raise ModelMismatch(
            f"{path} belongs to {found.model}@{found.weights_sha256[:12]}, "
            f"not to {card.name}@{card.weights_sha256[:12]}",
            hint="fit it again with `facemix fit-checks CHECKPOINT`",
        )
    if found.side != SIDE or mean.shape != (SIDE**2,) or basis.shape[1] != SIDE**2 or not np.isfinite(mean).all():
        raise _corrupt(f"{path} does not describe pictures of {SIDE} x {SIDE}")
    return Statistics(mean, basis, found.most_residual, found.least_contrast, found.fitting)


def small_pictures(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, S, S, 3) uint8 to small grey pictures of mean 0 and contrast about 1, (N, D) float32, and what their contrast
    was, (N,): the standard deviation of luma, 0 to 1."""
    if not len(frames):
        return np.zeros((0, SIDE**2), np.float32), np.zeros(0, np.float32)
    reduced = np.stack([cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for frame in frames])
    luma = (reduced.astype(np.float32) @ _LUMA).reshape(len(frames), -1) / 255
    luma -= luma.mean(1, keepdims=True)
    contrast = luma.std(1)
    return luma / (contrast[:, None] + _SOFT), contrast


def fit_statistics(checkpoint: Checkpoint, *, draws: int = DRAWS, seed: int = 0) -> Statistics:
    """Fits the plane to two thirds of what the model draws and the limits to the rest.

    Args:
        draws: faces to decode; half are draws from the prior, a quarter mid-points, a quarter edited to the limit
            (without directions: mid-points, too).

    Raises:
        ValueError: too few draws for the plane.
        ModelMismatch, CheckpointCorrupt: as `load_directions`.
    """
    if draws < 4 * COMPONENTS:
        raise ValueError(f"{draws} draws do not give a plane of {COMPONENTS} dimensions")
    z = _latents(checkpoint, draws, torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        frames = np.concatenate([to_pixels(checkpoint.vae.decode(part)) for part in z.split(_BATCH)])
    small, contrast = small_pictures(frames)
    order = np.random.default_rng(seed).permutation(draws)
    fitted, held = order[: 2 * draws // 3], order[2 * draws // 3 :]
    mean = small[fitted].mean(0)
    basis = np.linalg.svd(small[fitted] - mean, full_matrices=False)[2][:COMPONENTS]
    found = Statistics(mean, basis, 1.0, 1.0, {"draws": draws, "seed": seed, "within": _WITHIN})
    most = float(np.quantile(found.residuals(small[held]), _WITHIN))
    least = float(np.quantile(contrast[held], 1 - _WITHIN))
    return Statistics(mean, basis, most * _ALLOWANCE, least / _ALLOWANCE, found.fitting)


def _latents(checkpoint: Checkpoint, draws: int, generator: torch.Generator) -> torch.Tensor:
    prior = checkpoint.prior.without_detail(checkpoint.card.config.coarse_size)
    z = prior.latents(torch.randn(draws, len(prior.mean), generator=generator))
    z[draws // 2 :] = (z[draws // 2 :] + prior.latents(torch.randn(*z[draws // 2 :].shape, generator=generator))) / 2
    try:
        found = load_directions(checkpoint.folder, checkpoint.card)
    except AttributesMissing:
        return z
    edited = z[3 * draws // 4 :]
    deviations = torch.tensor([one.deviation for one in found.card.attributes])
    which = torch.randint(len(deviations), (len(edited),), generator=generator)
    sign = torch.randint(2, (len(edited),), generator=generator) * 2 - 1
    edited += (_EDGE * sign * deviations[which])[:, None] * found.directions[which]
    return z


def _corrupt(message: str) -> CheckpointCorrupt:
    return CheckpointCorrupt(message, hint="copy the file again, or run `facemix fit-checks CHECKPOINT`")
