"""From the model's picture to the result: judged, brought to its size with the photographs' detail, put in its place,
and judged again with what has come to it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np

from facemix.mixing.recipe import Edits
from facemix.serving.bill import Bill
from facemix.serving.detailing import Detailing
from facemix.serving.inference import Inference
from facemix.serving.pool import Pool
from facemix.serving.result_gate import ResultGate
from facemix.serving.types import FrameSpec, FramesResult, ParentFace, ParentInput


class Finisher:
    """All but what the model draws is done in threads.

    Attributes:
        gate: refuses what was decoded and is no face; None where nothing is checked.
    """

    def __init__(
        self, detailing: Detailing, inference: Inference, gate: ResultGate | None, *, checker: Pool, carrier: Pool
    ) -> None:
        """
        Args:
            checker: for what takes a millisecond; carrier: for what takes longer.
        """
        self.gate = gate
        self._detailing, self._inference, self._checker, self._carrier = detailing, inference, checker, carrier

    async def margins(self, frames: np.ndarray, latents: np.ndarray, bill: Bill) -> tuple[float, ...] | None:
        """The margins of the frames, None where nothing checks them. Raises `ResultWithheld`, `DocumentStyle`.

        Args:
            frames, latents: see `ResultGate.margins`.
        """
        gate = self.gate
        if gate is None:
            return None
        with bill.stage("check"):
            return await self._checker.run(lambda: gate.margins(frames, latents))

    async def detailed(
        self,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        latents: np.ndarray,
        specs: Sequence[FrameSpec],
        decoded: np.ndarray,
        composed: np.ndarray,
        deadline: float | None,
        bill: Bill,
    ) -> np.ndarray:
        """The frames at their own side, with the photographs' detail: (N, S, S, 3); `composed` where none is asked for.

        Args:
            decoded: the decoded pictures of all frames; composed: what was put together of each frame's.

        Raises:
            DocumentStyle: with their detail they could pass for a document's portrait.
            FacemixError: see `Detailing.carry`.
        """
        if not any(spec.edits.enlarged for spec in specs):
            return composed
        detailing = self._detailing
        carry = None
        if any(spec.edits.detail for spec in specs):
            with bill.stage("cut"):
                carry = await detailing.carry(
                    parents,
                    faces,
                    latents,
                    specs,
                    lambda z: self._inference.decode(z, deadline, bill),
                    lambda work: self._carrier.run(work, deadline=deadline),
                    deadline=deadline,
                )
        most = 0 if carry is not None else detailing.most(parents, faces, specs)
        ends = np.cumsum([spec.edits.pictures for spec in specs]).tolist()

        def made(place: int) -> np.ndarray:
            spec = specs[place]
            if carry is None:
                return detailing.enlarged(composed[place], spec.edits, most)
            own = decoded[ends[place] - spec.edits.pictures : ends[place]]
            return detailing.frame(carry, own, composed[place], spec)

        with nullcontext() if carry is None else bill.stage("carry"):
            # One by one: whoever leaves takes back what has not begun, and others' come between.
            first = await self._carrier.run(made, 0, deadline=deadline)
            frames = np.empty((len(specs), *first.shape), np.uint8)
            frames[0] = first
            for place in range(1, len(specs)):
                frame = await self._carrier.run(made, place, deadline=deadline)
                if frame.shape != first.shape:
                    raise ValueError("frames of the same parents have one size")
                frames[place] = frame
        gate = self.gate
        if carry is not None and gate is not None:
            # A face is carried only into what the model drew as one; around it may now be a document's plain wall.
            with bill.stage("check"):
                for frame in frames:
                    await self._carrier.run(gate.refuse_document, frame, deadline=deadline)
        return frames

    async def placed(
        self,
        made: FramesResult,
        parents: Sequence[ParentInput],
        edits: Edits,
        deadline: float | None,
        bill: Bill,
    ) -> np.ndarray:
        """The mix where the edits put it, (H, W, 3); judged again, since what is around a face makes a portrait.

        Raises:
            DocumentStyle: there it could pass for a document's portrait.
            FacemixError: see `Detailing.placed`.
        """
        face = made.frames[0]
        if edits.placement is None:
            return face
        with bill.stage("place"):
            image, landmarks = await self._detailing.placed(
                face,
                edits,
                parents,
                made.parents,
                lambda work: self._carrier.run(work, deadline=deadline),
                deadline=deadline,
            )
        gate = self.gate
        if gate is not None:
            with bill.stage("check"):
                await self._carrier.run(gate.refuse_document, image, landmarks, deadline=deadline)
        return image
