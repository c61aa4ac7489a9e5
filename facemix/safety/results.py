"""Is what was decoded a face? A cheap look at every result, and the face detector where that leaves a doubt.

A result is withheld when it is collapsed (flat, or burnt out to black and white), when its latent lies where the model
has never seen a face, or when it looks unlike the model's faces and the detector sees none in it. What the cheap look
costs, and what share of ordinary results reach the detector, stands in docs/safety.md.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

from facemix.errors import ResultWithheld
from facemix.faces.centerface import CenterFace
from facemix.faces.crops import face_in_crop
from facemix.faces.runners import RunnerChoice
from facemix.faces.types import FaceDetector
from facemix.safety.result_statistics import Statistics, load_statistics, small_pictures
from facemix.vae.checkpoint import WEIGHTS_FILE, read_card

# Of the prior: Mahalanobis length over the square root of the dimensions. Photographs have up to 1.85.
DOUBT_FAR, MOST_FAR = 1.9, 2.5
# Share of the channel values that are black or burnt out. Photographs have up to .2; edits to the limit .6.
DOUBT_CLIPPED, MOST_CLIPPED = 0.4, 0.7
_DARK, _BRIGHT = 1, 254
LEAST_CONTRAST = 0.02  # of luma, 0 to 1: flatter is no picture, whoever drew it
LEAST_SCORE = 0.4  # of the detector, 0 to 1; photographs need .5 to be mixed
_THRESHOLD = 0.05  # so that a face that is hardly one has a score, too
LOW_MARGIN = 0.2

FLAT = "the picture is flat"
CLIPPED = "the picture is burnt out to black and white"
FAR = "the face lies too far from all that the model has seen"
UNSEEN = "no face is seen in it"


@dataclass(frozen=True)
class Verdict:
    """What is to be done with one result.

    Attributes:
        withheld: whether it must not be given out.
        margin: how far from being withheld it is, 0 to 1: above .5 the cheap look was sure, below it the detector
            was asked. Below `LOW_MARGIN` a person had better look. 0 when withheld.
        reason: why it is withheld; empty when it is not.
    """

    withheld: bool
    margin: float
    reason: str = ""


@dataclass(frozen=True)
class _Prior:
    """mean: (K,); whiten: (K, K), the inverse of the prior's scale, over the dimensions that it spreads in."""

    mean: np.ndarray
    whiten: np.ndarray

    def lengths(self, z: np.ndarray) -> np.ndarray:
        """(N, Z) to (N,): 1 is usual."""
        size = len(self.mean)
        white = (z[:, :size] - self.mean) @ self.whiten.T
        return np.linalg.norm(white, axis=1) / np.sqrt(size)


class ResultChecks:
    """The checks for one checkpoint. Thread-safe; blocking, so not for the event loop.

    Attributes:
        fitted: whether the model's own statistics are there. Without them the detector looks at every result.
    """

    def __init__(
        self,
        statistics: Statistics | None,
        prior: tuple[np.ndarray, np.ndarray] | None = None,
        detector: FaceDetector | None = None,
        *,
        runner: RunnerChoice = "onnxruntime",
    ) -> None:
        """
        Args:
            prior: mean, (Z,), and scale, (Z, Z) lower triangular, of the model's prior; None judges no latent.
            detector: with a threshold of at most `LEAST_SCORE`; None makes one when it is first needed.
            runner: what runs that one.
        """
        self._statistics = statistics
        self._prior = None if prior is None else _prior_of(*prior)
        self._detector = detector
        self._runner = runner
        self._lock = threading.Lock()
        self.fitted = statistics is not None

    @classmethod
    def of(
        cls, folder: Path, *, detector: FaceDetector | None = None, runner: RunnerChoice = "onnxruntime"
    ) -> ResultChecks:
        """Those of the checkpoint in `folder`. Of the weights only the prior is read.

        Raises:
            CheckpointMissing, CheckpointCorrupt, ModelMismatch: as `load_statistics` and `read_card`.
        """
        statistics = load_statistics(folder, read_card(folder))
        return cls(statistics, _read_prior(folder / WEIGHTS_FILE), detector, runner=runner)

    def verdict(self, frames: np.ndarray, latents: np.ndarray | None = None) -> tuple[Verdict, ...]:
        """Judges results.

        Args:
            frames: (N, S, S, 3) uint8 RGB.
            latents: (N, Z), those that the frames were decoded from; None where they are not at hand.

        Returns:
            One verdict for each frame.

        Raises:
            ValueError: the numbers of frames and latents differ.
            InstallationError: the detector is needed and cannot be loaded.
        """
        if latents is not None and len(latents) != len(frames):
            raise ValueError(f"{len(frames)} frames and {len(latents)} latents")
        if not len(frames):
            return ()
        small, contrast = small_pictures(frames)
        clipped = _clipped(frames)
        far = np.zeros(len(frames))
        if latents is not None and self._prior is not None:
            far = self._prior.lengths(np.asarray(latents, np.float64))
        doubts = np.maximum(clipped / DOUBT_CLIPPED, far / DOUBT_FAR)
        if self._statistics is None:
            doubts = np.maximum(doubts, 1)
        else:
            beside = self._statistics.residuals(small) / self._statistics.most_residual
            flat = self._statistics.least_contrast / np.maximum(contrast, 1e-6)
            doubts = np.maximum.reduce([doubts, beside, flat])
        found = []
        for frame, doubt, flatness, burnt, length in zip(frames, doubts, contrast, clipped, far, strict=True):
            if flatness < LEAST_CONTRAST:
                found.append(Verdict(True, 0.0, FLAT))
            elif burnt > MOST_CLIPPED:
                found.append(Verdict(True, 0.0, CLIPPED))
            elif not length <= MOST_FAR:  # nor is NaN
                found.append(Verdict(True, 0.0, FAR))
            elif doubt < 1:
                found.append(Verdict(False, float(1 - doubt / 2)))
            else:
                found.append(self._seen(frame, burnt, length))
        return tuple(found)

    def _seen(self, frame: np.ndarray, burnt: float, length: float) -> Verdict:
        """The detector's verdict, its margin no larger than what is left to the other limits."""
        face = face_in_crop(frame, self._open_detector())
        score = 0.0 if face is None else face.score
        if not score >= LEAST_SCORE:
            return Verdict(True, 0.0, UNSEEN)
        left = (
            (score - LEAST_SCORE) / (1 - LEAST_SCORE),
            (MOST_CLIPPED - burnt) / (MOST_CLIPPED - DOUBT_CLIPPED),
            (MOST_FAR - length) / (MOST_FAR - DOUBT_FAR),
        )
        return Verdict(False, float(min(1.0, *left)) / 2)

    def _open_detector(self) -> FaceDetector:
        with self._lock:
            if self._detector is None:
                # A session of its own with one thread: it runs beside the model, which has the others.
                self._detector = CenterFace(threshold=_THRESHOLD, threads=1, runner=self._runner)
            return self._detector


def refuse_withheld(verdicts: tuple[Verdict, ...]) -> None:
    """Raises `ResultWithheld` for the first result that must not be given out; ``details`` have its ``frame``."""
    for index, verdict in enumerate(verdicts):
        if verdict.withheld:
            raise ResultWithheld(
                f"the result is withheld: {verdict.reason}",
                hint="use less extreme edits, other weights or clearer photographs",
                frame=index,
                reason=verdict.reason,
            )


def _clipped(frames: np.ndarray) -> np.ndarray:
    """The share of channel values that are black or burnt out, (N,); every second pixel each way says as much."""
    some = frames[:, ::2, ::2]
    return ((some <= _DARK) | (some >= _BRIGHT)).mean((1, 2, 3))


def _prior_of(mean: np.ndarray, scale: np.ndarray) -> _Prior | None:
    size = int((np.diagonal(scale) > 0).sum())  # detail has no spread
    if not size:
        return None
    return _Prior(mean[:size].astype(np.float64), np.linalg.inv(scale[:size, :size].astype(np.float64)))


def _read_prior(weights: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The prior that the checkpoint stores; None where it stores none."""
    with safe_open(weights, framework="numpy") as tensors:
        if "prior.mean" not in tensors.keys():  # noqa: SIM118 (it is no dictionary)
            return None
        return tensors.get_tensor("prior.mean"), tensors.get_tensor("prior.scale")
