"""What was decoded, judged before anybody sees it: is it a face, and could it pass for a document's portrait?"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from facemix.faces.centerface import CenterFace
from facemix.faces.runners import RunnerChoice
from facemix.safety.document import refuse_document, refuse_document_within
from facemix.safety.result_statistics import load_statistics
from facemix.safety.results import ResultChecks, refuse_withheld
from facemix.vae.checkpoint import read_card

_LEAST_SCORE = 0.05  # of a face in what is looked at for a document's portrait: the rule decides, not the detector


class ResultGate:
    """The checks of one model's results. Thread-safe; takes .2 ms for a frame, some more where it has doubts."""

    def __init__(self, checks: ResultChecks, *, runner: RunnerChoice = "onnxruntime") -> None:
        self._checks, self._runner = checks, runner

    @classmethod
    def of(cls, folder: Path, *, runner: RunnerChoice = "onnxruntime") -> ResultGate | None:
        """That of the checkpoint in `folder`; None where nothing was fitted to check its results by (`facemix
        fit-checks`).

        Raises:
            CheckpointMissing, CheckpointCorrupt, ModelMismatch: see `ResultChecks.of`.
        """
        if load_statistics(folder, read_card(folder)) is None:
            return None
        return cls(ResultChecks.of(folder, runner=runner), runner=runner)

    def margins(self, frames: np.ndarray, latents: np.ndarray) -> tuple[float, ...]:
        """How far each frame is from being withheld, from 0 to 1.

        Args:
            frames: (N, S, S, 3) uint8 RGB.
            latents: (N, Z), from which they were decoded.

        Raises:
            ResultWithheld: one of them is no face.
            DocumentStyle: one of them could be put on an identity document.
        """
        verdicts = self._checks.verdict(frames, latents)
        refuse_withheld(verdicts)
        refuse_document(frames, self._detector)
        return tuple(verdict.margin for verdict in verdicts)

    def refuse_document(self, picture: np.ndarray, landmarks: np.ndarray | None = None) -> None:
        """Raises `DocumentStyle` for a picture, (H, W, 3) uint8 RGB, that could be put on an identity document, or a
        part of it about a face with these landmarks, (5, 2) in its pixels."""
        if landmarks is None:
            refuse_document(picture[None], self._detector)
        else:
            refuse_document_within(picture, landmarks, self._detector)

    @cached_property
    def _detector(self) -> CenterFace:
        return CenterFace(threshold=_LEAST_SCORE, threads=1, runner=self._runner)
