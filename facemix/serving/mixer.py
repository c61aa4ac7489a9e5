"""The way of a pixel, from the uploaded bytes to the decoded mix. Read `Mixer.mix` from top to bottom.

Writing the result to a file is left to whoever asked: the page, the endpoint and the command line differ there
and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from facemix.errors import RecipeInvalid
from facemix.explaining.index import NeighbourIndex, load_index
from facemix.mixing.latents import check_result
from facemix.mixing.recipe import Edits, ModelIdentity, normalise_weights
from facemix.safety.photo_gate import PhotoGate
from facemix.serving.bill import Bill
from facemix.serving.composing import Composer, composed, slow
from facemix.serving.detailing import Detailing
from facemix.serving.engine import Engine
from facemix.serving.finishing import Finisher
from facemix.serving.held_cuts import HeldCuts
from facemix.serving.inference import Inference
from facemix.serving.lookers import Lookers
from facemix.serving.observer import Observer
from facemix.serving.pool import Pool
from facemix.serving.reading import Reading
from facemix.serving.result_gate import ResultGate
from facemix.serving.together import together
from facemix.serving.types import (
    Cost,
    FoundPhoto,
    FrameSpec,
    FramesResult,
    LatentResult,
    MixResult,
    ParentFace,
    ParentInput,
    PhotoInput,
    SampleResult,
    StripResult,
    Vitals,
)
from facemix.vae.directions import AttributeDirections
from facemix.vae.geometry import load_geometry

_PLAIN = Edits()
T = TypeVar("T")


class Mixer:
    """Walks the whole way. All of its methods belong to one event loop.

    Attributes:
        model: identity of the weights.
        card: the checkpoint's card.
        crop_size: side of the results in pixels.
        latent_size: numbers of a latent.
        attributes: the directions of the model, None where it has none.
        detailing: results at the photograph's own size.
        finisher: judges what was decoded, and makes the result of it.
        gate: refuses faces that are no photographs; None where there is none, or the operator wants none.
        neighbours: the index of its training faces, None where it has none.
    """

    def __init__(
        self,
        engine: Engine,
        lookers: Lookers,
        *,
        max_parents: int = 8,
        max_steps: int = 257,
        cache_bytes: int = 0,
        cache_seconds: float = 0,
        gate: PhotoGate | None = None,
        results: ResultGate | None = None,
        observer: Observer | None = None,
    ) -> None:
        """
        Args:
            lookers: who looks at photographs; closed with this mixer.
            cache_bytes, cache_seconds: how much is kept in memory of photographs that have been looked at (their
                crops and figures, not the photographs), and for how long; 0 keeps nothing.
            gate: refuses faces that are no photographs.
            results: refuses what was decoded and is no face.
        """
        self.engine = engine
        self.gate = gate
        self._lookers = lookers
        self._max_parents = max_parents
        self._max_steps = max_steps
        self._observer = observer or Observer()
        self._writer = Pool("write", 1)
        self._composer = Pool("compose", 1)  # apart: files that are done do not wait for a grid to be put together
        self._carrier = Pool("carry", 1)  # and checks of small pictures do not wait for the detail of large ones
        self._inference = Inference(engine)
        self._composing = Composer(engine)
        self._reading = Reading(
            engine,
            lookers,
            self._inference,
            self._writer,
            gate=gate,
            cache_bytes=cache_bytes,
            cache_seconds=cache_seconds,
            observer=self._observer,
        )
        self.detailing = Detailing(
            lookers,
            load_geometry(engine.folder),
            engine.crop_size,
            device=engine.device,
            cache_bytes=cache_bytes,
            cache_seconds=cache_seconds,
            observer=self._observer,
        )
        self.finisher = Finisher(
            self.detailing, self._inference, results, checker=self._composer, carrier=self._carrier
        )
        self.model: ModelIdentity = engine.identity
        self.card: dict[str, Any] = engine.card
        self.crop_size: int = engine.crop_size
        self.latent_size: int = engine.latent_size
        self.attributes: AttributeDirections | None = engine.directions
        self.neighbours: NeighbourIndex | None = load_index(
            engine.folder, weights=self.model.weights, latent_schema=self.model.latent_schema
        )

    async def find_faces(self, photo: PhotoInput, *, deadline: float | None = None) -> FoundPhoto:
        """All faces of a photograph, largest first, with their crops and what the gates say.

        Args:
            deadline: on the clock of `time.monotonic`, here and in all other methods.

        Raises:
            ImageError: the bytes are no usable image.
            FaceNotFound: there is no face in it.
            FacePlacementInvalid: eyes and mouth were placed where no face can have them.
            DeadlineExceeded: it was not looked at in time.
        """
        return await self._reading.find_faces(photo, deadline)

    async def mix(
        self, parents: Sequence[ParentInput], edits: Edits = _PLAIN, *, deadline: float | None = None
    ) -> MixResult:
        """One face from the parents. Weights are scaled to sum to 1.

        Raises:
            RecipeInvalid: too many parents, weights that cannot be scaled, edits that do not fit parents or model.
            LatentRefused: a latent from outside lies where no face of the model is.
            ResultWithheld, DocumentStyle: what came out is no face, or could pass for a document's portrait.
            AttributesMissing: attributes are to be moved, and the model has no directions.
            PhotographMissing: detail, or a placement, needs a photograph that is not kept any more.
            ImageError, FaceError: see `find_faces`; a face is refused by a gate, or there is no such face.
            Busy, DeadlineExceeded, EngineFailed, Stopping: see `Batcher.submit`.
        """
        spec = FrameSpec(tuple(one.weight for one in parents), edits)
        bill = Bill(self._observer)
        made = await self._frames(parents, [spec], deadline, bill)
        (recipe,) = made.recipes
        (margin,) = made.margins or (1.0,)
        image = await self.finisher.placed(made, parents, edits, deadline, bill)
        notes = await self._beside(bool(recipe.attributes), lambda: self._composing.notes(made.latents, recipe))
        return MixResult(
            image,
            recipe,
            made.parents,
            made.latents,
            notes,
            bill.milliseconds,
            bill.cost,
            margin,
            None if edits.placement is None else made.frames[0],
        )

    async def frames(
        self, parents: Sequence[ParentInput], specs: Sequence[FrameSpec], *, deadline: float | None = None
    ) -> FramesResult:
        """Pictures made of the same parents, whose own weights are ignored.

        Args:
            specs: at least one; all under one seed, and of one size. None has a placement, which single mixes alone
                have.

        Raises:
            RecipeInvalid, AttributesMissing, ImageError, FaceError, Busy, DeadlineExceeded, EngineFailed, Stopping: as
                `mix`.
        """
        if any(spec.edits.placement is not None for spec in specs):
            raise RecipeInvalid(
                "several pictures cannot be put onto a photograph or a colour",
                hint="leave placement out, or ask for one mix at a time",
                where="placement",
            )
        return await self._frames(parents, specs, deadline, Bill(self._observer))

    async def _frames(
        self, parents: Sequence[ParentInput], specs: Sequence[FrameSpec], deadline: float | None, bill: Bill
    ) -> FramesResult:
        specs = self._checked(parents, specs)
        # bytes -> image -> face -> crop -> latent
        faces = await self._reading.looked(parents, deadline, bill)
        async with self.detailing.ahead(parents, faces, specs, deadline=deadline):
            return await self._drawn(parents, faces, specs, deadline, bill)

    async def _drawn(
        self,
        parents: Sequence[ParentInput],
        faces: tuple[ParentFace, ...],
        specs: Sequence[FrameSpec],
        deadline: float | None,
        bill: Bill,
    ) -> FramesResult:
        z = await self._reading.encoded(parents, faces, specs[0].edits.seed, deadline, bill)
        # latent -> mix -> decoded crop
        make = self._composing.rows
        rows = await self._beside(slow(specs), lambda: np.concatenate([make(z, spec) for spec in specs]))
        decoded = await self._inference.decode(rows, deadline, bill)
        pictures = decoded
        if len(decoded) > len(specs):
            with bill.stage("compose"):
                pictures = await self._beside(True, lambda: composed(decoded, specs))
        # Of a frame that several pictures were put together to, the first is the mix itself.
        firsts = np.cumsum([0, *(spec.edits.pictures for spec in specs[:-1])])
        # What the model drew is judged as a face; what is carried into it comes of photographs that were let in.
        margins = await self.finisher.margins(pictures, rows[firsts], bill)
        pictures = await self.finisher.detailed(parents, faces, z.numpy(), specs, decoded, pictures, deadline, bill)
        recipes = tuple(self._composing.recipe(parents, faces, spec) for spec in specs)
        return FramesResult(pictures, recipes, faces, z.numpy(), bill.milliseconds, bill.cost, margins)

    async def strip(
        self,
        first: ParentInput,
        second: ParentInput,
        *,
        steps: int = 33,
        edits: Edits = _PLAIN,
        deadline: float | None = None,
    ) -> StripResult:
        """`steps` frames from the first parent to the second, ends included; their weights are ignored.

        Raises:
            RecipeInvalid: fewer than 2 steps, or more than the operator allows; else as `mix`.
            AttributesMissing, ImageError, FaceError, Busy, DeadlineExceeded, EngineFailed, Stopping: as `mix`.
        """
        if not 2 <= steps <= self._max_steps:
            raise RecipeInvalid(f"steps is {steps}", hint=f"ask for 2 to {self._max_steps} frames", where="steps")
        shares = tuple(index / (steps - 1) for index in range(steps))
        specs = [FrameSpec((1 - share, share), edits) for share in shares]
        made = await self.frames((first, second), specs, deadline=deadline)
        return StripResult(made.frames, shares, made.recipes, made.parents, made.stage_ms, made.cost, made.margins)

    async def latent(
        self, parents: Sequence[ParentInput], edits: Edits = _PLAIN, *, deadline: float | None = None
    ) -> LatentResult:
        """The latent of a mix, for use as a parent. One that regions or colour make has its picture encoded.

        Raises:
            RecipeInvalid, AttributesMissing, ImageError, FaceError, Busy, DeadlineExceeded, EngineFailed, Stopping: as
                `mix`.
        """
        # A latent is of the model's picture; what is done to that afterwards stays in the recipe.
        edits = edits.as_decoded()
        (spec,) = self._checked(parents, [FrameSpec(tuple(one.weight for one in parents), edits)])
        if edits.pictures > 1:
            made = await self.frames(parents, [spec], deadline=deadline)
            (z,), cost = await self.encode(made.frames, deadline=deadline)
            check_result(z)
            return LatentResult(z, made.recipes[0], made.cost + cost)
        bill = Bill(self._observer)
        faces = await self._reading.looked(parents, deadline, bill)
        z = await self._reading.encoded(parents, faces, edits.seed, deadline, bill)
        (mixed,) = self._composing.rows(z, spec)
        check_result(mixed)
        return LatentResult(mixed, self._composing.recipe(parents, faces, spec), bill.cost)

    async def encode(self, crops: np.ndarray, *, deadline: float | None = None) -> tuple[np.ndarray, Cost]:
        """Aligned crops, (N, S, S, 3) uint8, to their latents, (N, Z) float32."""
        bill = Bill(self._observer)
        with bill.stage("encode"):
            z = await self._inference.encode(crops, deadline, bill)
        return z, bill.cost

    async def sample(self, number: int, *, seed: int = 0, deadline: float | None = None) -> SampleResult:
        """A face of nobody: draw `number` from the prior under `seed`.

        Raises:
            ResultWithheld, DocumentStyle: what came out is no face, or could pass for a document's portrait.
            Busy, DeadlineExceeded, EngineFailed, Stopping: see `Batcher.submit`.
        """
        bill = Bill(self._observer)
        row = self.engine.draw(number, seed=seed)[None].numpy()
        frames = await self._inference.decode(row, deadline, bill)
        (margin,) = await self.finisher.margins(frames, row, bill) or (1.0,)
        return SampleResult(frames[0], bill.milliseconds, bill.cost, margin)

    async def write(self, work: Callable[..., T], *args: object) -> T:
        """Runs `work(*args)`, the making of a file, in a thread of its own, ahead of all photographs."""
        with Bill(self._observer).stage("write"):
            return await self._writer.run(work, *args)

    async def keep_cuts(
        self, photo: PhotoInput, found: FoundPhoto, indexes: Iterable[int], *, deadline: float | None = None
    ) -> None:
        """Keeps the cuts of some of a photograph's faces in memory, for mixes that know them by an id alone.

        Raises `ImageError`, `DeadlineExceeded`, `EngineFailed`, `Stopping`: see `Lookers.cut`.
        """
        await together(self.detailing.keep(photo, found, index, deadline=deadline) for index in indexes)

    async def hold_cuts(
        self,
        held: HeldCuts,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        specs: Sequence[FrameSpec],
        *,
        deadline: float | None = None,
    ) -> None:
        """Holds what frames with detail are carried from, so that they can be drawn later; see `Detailing.hold`.

        Args:
            faces: what was used of each parent.

        Raises:
            PhotographMissing, ImageError, DeadlineExceeded, EngineFailed, Stopping: see `Detailing.hold`.
        """
        await self.detailing.hold(held, parents, faces, specs, deadline=deadline)

    def forget(self, sha256: str) -> None:
        """Drops from memory all that was worked out of a photograph, whatever is under way with it."""
        self._reading.forget(sha256)
        self.detailing.forget(sha256)

    def check_outside(self, z: np.ndarray, *, where: str | None = None) -> None:
        """Raises `LatentRefused` for a latent from outside, (Z,), that lies where no face of the model is."""
        self._reading.check_outside(z, where=where)

    def ill(self) -> str | None:
        """What keeps this mixer from working, in a sentence, or None."""
        return self.engine.batcher.ill() or self._lookers.ill()

    def vitals(self) -> Vitals:
        """How it is doing."""
        batcher = self.engine.batcher
        sizes = self._reading.bytes | self.detailing.bytes
        return Vitals(self.engine.backend, self.engine.device, batcher.depth, batcher.beat_age, sizes)

    def close(self) -> None:
        """Lets go of the device when what has reached it is done, takes nothing new, and forgets every face."""
        self._lookers.close()
        self.engine.close()
        self._composer.close()
        self._carrier.close()
        self._writer.close()
        self._reading.clear()
        self.detailing.clear()

    def _checked(self, parents: Sequence[ParentInput], specs: Sequence[FrameSpec]) -> list[FrameSpec]:
        """The specs with weights that sum to 1. Before any work is done, raises what `mix` does."""
        if not 1 <= len(parents) <= self._max_parents:
            raise RecipeInvalid(
                f"{len(parents)} faces were given", hint=f"a mix takes 1 to {self._max_parents}", where="parents"
            )
        if len({spec.edits.seed for spec in specs}) != 1:
            raise ValueError("frames of the same parents have one seed")
        if len({spec.edits.size for spec in specs}) != 1:
            raise ValueError("frames of the same parents have one size")
        for edits in {id(spec.edits): spec.edits for spec in specs}.values():
            self._composing.check(edits, len(parents))
        specs = [FrameSpec(normalise_weights(spec.weights), spec.edits) for spec in specs]
        self.detailing.check(parents, specs)
        return specs

    async def _beside(self, beside: bool, work: Callable[[], T]) -> T:
        """Runs `work` in a thread if it may take milliseconds, which the event loop is not kept waiting for."""
        return await self._composer.run(work) if beside else work()
