"""The way of a pixel, from the uploaded bytes to the decoded mix. Read `Mixer.mix` from top to bottom.

Writing the result to a file is left to whoever asked: the page, the endpoint and the command line differ there
and nowhere else.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch

from facemix.errors import AttributesMissing, DeadlineExceeded, FaceChoiceInvalid, FacemixError, RecipeInvalid
from facemix.explaining.index import NeighbourIndex, load_index
from facemix.faces.placed import Placed
from facemix.mixing.attributes import AttributeReader, apply, check
from facemix.mixing.compose import compose
from facemix.mixing.interpolation import interpolate
from facemix.mixing.latents import check_result
from facemix.mixing.notes import Note, edit_notes
from facemix.mixing.outside import OutsideCheck
from facemix.mixing.recipe import (
    Edits,
    LatentParent,
    ModelIdentity,
    Parent,
    PhotoParent,
    Recipe,
    SampleParent,
    normalise_weights,
)
from facemix.mixing.variation import vary
from facemix.safety.credentials import UploadCredentials
from facemix.safety.photo_gate import PhotoGate, judged, load_gate
from facemix.serving.cache import Cache
from facemix.serving.detailing import Detailing
from facemix.serving.engine import Engine, engine_from_settings
from facemix.serving.jobs import Served
from facemix.serving.lookers import Lookers, ProcessLookers, lookers_from_settings
from facemix.serving.meter import took
from facemix.serving.observer import Observer
from facemix.serving.pool import Pool
from facemix.serving.result_gate import ResultGate
from facemix.serving.together import together
from facemix.serving.types import (
    Cost,
    FoundPhoto,
    FrameSpec,
    FramesResult,
    LatentInput,
    LatentResult,
    MixResult,
    ParentFace,
    ParentInput,
    PhotoInput,
    SampleInput,
    SampleResult,
    StripResult,
    Vitals,
)
from facemix.settings import Settings
from facemix.vae.directions import AttributeDirections
from facemix.vae.geometry import load_geometry

_PLAIN = Edits()
# A request is given up so long after its deadline if the device has not answered: it hangs.
GRACE_SECONDS = 5.0
_HASH_INLINE = 1 << 20  # bytes; hashing more than this would hold up the event loop noticeably

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
        self.results = results
        self._lookers = lookers
        self._max_parents = max_parents
        self._max_steps = max_steps
        self._observer = observer or Observer()
        self._writer = Pool("write", 1)
        self._composer = Pool("compose", 1)  # apart: files that are done do not wait for a grid to be put together
        self._carrier = Pool("carry", 1)  # and checks of small pictures do not wait for the detail of large ones
        self._photos: Cache[FoundPhoto] = Cache(
            "photos", max_bytes=cache_bytes, seconds=cache_seconds, size=_bytes_of, observer=self._observer
        )
        self._latents: Cache[np.ndarray] = Cache(
            "latents",
            max_bytes=cache_bytes // 8,
            seconds=cache_seconds,
            size=lambda z: z.nbytes,
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
        self.model: ModelIdentity = engine.identity
        self.card: dict[str, Any] = engine.card
        self.crop_size: int = engine.crop_size
        self.latent_size: int = engine.latent_size
        self.attributes: AttributeDirections | None = engine.directions
        self.neighbours: NeighbourIndex | None = load_index(
            engine.folder, weights=self.model.weights, latent_schema=self.model.latent_schema
        )
        self._outside = OutsideCheck(engine.prior, engine.coarse_size)
        self._reader = None if self.attributes is None else AttributeReader(self.attributes, engine.prior)

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
        with _named(photo.where):
            digest = await self._hash(photo.data)
            if photo.watch is not None:
                photo.watch.arrived(digest)
            key = (digest, photo.placed)
            found = await self._photos.get(key, lambda: self._look(photo, digest, deadline))
            if photo.watch is not None:
                photo.watch.looked(found)
            return found

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
        bill = _Bill(self._observer)
        made = await self._frames(parents, [spec], deadline, bill)
        (recipe,) = made.recipes
        (margin,) = made.margins or (1.0,)
        image = await self._placed(made, parents, edits, deadline, bill)
        notes = await self._beside(bool(recipe.attributes), lambda: self._notes(made.latents, recipe))
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
        return await self._frames(parents, specs, deadline, _Bill(self._observer))

    async def _frames(
        self, parents: Sequence[ParentInput], specs: Sequence[FrameSpec], deadline: float | None, bill: _Bill
    ) -> FramesResult:
        specs = self._checked(parents, specs)
        # bytes -> image -> face -> crop -> latent
        faces = await self._looked(parents, deadline, bill)
        async with self.detailing.ahead(parents, faces, specs, deadline=deadline):
            return await self._drawn(parents, faces, specs, deadline, bill)

    async def _drawn(
        self,
        parents: Sequence[ParentInput],
        faces: tuple[ParentFace, ...],
        specs: Sequence[FrameSpec],
        deadline: float | None,
        bill: _Bill,
    ) -> FramesResult:
        z = await self._encoded(parents, faces, specs[0].edits.seed, deadline, bill)
        # latent -> mix -> decoded crop
        slow = len(specs) > 1 or any(spec.edits.pictures > 1 or spec.edits.interpolation == "slerp" for spec in specs)
        rows = await self._beside(slow, lambda: np.concatenate([self._rows(z, spec) for spec in specs]))
        decoded = await self._decode(rows, deadline, bill)
        pictures = decoded
        if len(decoded) > len(specs):
            with bill.stage("compose"):
                pictures = await self._beside(True, lambda: _composed(decoded, specs))
        # Of a frame that several pictures were put together to, the first is the mix itself.
        firsts = np.cumsum([0, *(spec.edits.pictures for spec in specs[:-1])])
        # What the model drew is judged as a face; what is carried into it comes of photographs that were let in.
        margins = await self._checked_results(pictures, rows[firsts], bill)
        pictures = await self._detailed(parents, faces, z.numpy(), specs, decoded, pictures, deadline, bill)
        recipes = tuple(self._recipe(parents, faces, spec) for spec in specs)
        return FramesResult(pictures, recipes, faces, z.numpy(), bill.milliseconds, bill.cost, margins)

    async def _detailed(
        self,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        latents: np.ndarray,
        specs: Sequence[FrameSpec],
        decoded: np.ndarray,
        composed: np.ndarray,
        deadline: float | None,
        bill: _Bill,
    ) -> np.ndarray:
        """The frames at their own side, with the photographs' detail: (N, S, S, 3); `composed` where none is asked for.

        Args:
            decoded: the decoded pictures of all frames; composed: what was put together of each frame's.
        """
        if not any(spec.edits.enlarged for spec in specs):
            return composed
        detailing = self.detailing
        carry = None
        if any(spec.edits.detail for spec in specs):
            with bill.stage("cut"):
                carry = await detailing.carry(
                    parents,
                    faces,
                    latents,
                    specs,
                    lambda z: self._decode(z, deadline, bill),
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
        gate = self.results
        if carry is not None and gate is not None:
            # A face is carried only into what the model drew as one; around it may now be a document's plain wall.
            with bill.stage("check"):
                for frame in frames:
                    await self._carrier.run(gate.refuse_document, frame, deadline=deadline)
        return frames

    async def _placed(
        self,
        made: FramesResult,
        parents: Sequence[ParentInput],
        edits: Edits,
        deadline: float | None,
        bill: _Bill,
    ) -> np.ndarray:
        """The mix where the edits put it, (H, W, 3); judged again, since what is around a face makes a portrait."""
        face = made.frames[0]
        if edits.placement is None:
            return face
        with bill.stage("place"):
            image, landmarks = await self.detailing.placed(
                face,
                edits,
                parents,
                made.parents,
                lambda work: self._carrier.run(work, deadline=deadline),
                deadline=deadline,
            )
        gate = self.results
        if gate is not None:
            with bill.stage("check"):
                await self._carrier.run(gate.refuse_document, image, landmarks, deadline=deadline)
        return image

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
        bill = _Bill(self._observer)
        faces = await self._looked(parents, deadline, bill)
        z = await self._encoded(parents, faces, edits.seed, deadline, bill)
        (mixed,) = self._rows(z, spec)
        check_result(mixed)
        return LatentResult(mixed, self._recipe(parents, faces, spec), bill.cost)

    async def encode(self, crops: np.ndarray, *, deadline: float | None = None) -> tuple[np.ndarray, Cost]:
        """Aligned crops, (N, S, S, 3) uint8, to their latents, (N, Z) float32."""
        bill = _Bill(self._observer)
        with bill.stage("encode"):
            served = await _answer(self.engine.submit_encode(crops, deadline=deadline), deadline)
        return served.rows, self._took(Cost(frames_encoded=len(crops), device_seconds=served.device_seconds))

    async def sample(self, number: int, *, seed: int = 0, deadline: float | None = None) -> SampleResult:
        """A face of nobody: draw `number` from the prior under `seed`.

        Raises:
            ResultWithheld, DocumentStyle: what came out is no face, or could pass for a document's portrait.
            Busy, DeadlineExceeded, EngineFailed, Stopping: see `Batcher.submit`.
        """
        bill = _Bill(self._observer)
        row = self.engine.draw(number, seed=seed)[None].numpy()
        frames = await self._decode(row, deadline, bill)
        (margin,) = await self._checked_results(frames, row, bill) or (1.0,)
        return SampleResult(frames[0], bill.milliseconds, bill.cost, margin)

    async def write(self, work: Callable[..., T], *args: object) -> T:
        """Runs `work(*args)`, the making of a file, in a thread of its own, ahead of all photographs."""
        with _Bill(self._observer).stage("write"):
            return await self._writer.run(work, *args)

    async def keep_cuts(
        self, photo: PhotoInput, found: FoundPhoto, indexes: Iterable[int], *, deadline: float | None = None
    ) -> None:
        """Keeps the cuts of some of a photograph's faces in memory, for mixes that know them by an id alone.

        Raises `ImageError`, `DeadlineExceeded`, `EngineFailed`, `Stopping`: see `Lookers.cut`.
        """
        await together(self.detailing.keep(photo, found, index, deadline=deadline) for index in indexes)

    def forget(self, sha256: str) -> None:
        """Drops from memory all that was worked out of a photograph, whatever is under way with it."""
        self._photos.drop(lambda key: key[0] == sha256)
        self._latents.drop(lambda key: key[0] == sha256)
        self.detailing.forget(sha256)

    def check_outside(self, z: np.ndarray, *, where: str | None = None) -> None:
        """Raises `LatentRefused` for a latent from outside, (Z,), that lies where no face of the model is."""
        self._outside.check(z, where=where)

    def ill(self) -> str | None:
        """What keeps this mixer from working, in a sentence, or None."""
        return self.engine.batcher.ill() or self._lookers.ill()

    def vitals(self) -> Vitals:
        """How it is doing."""
        batcher = self.engine.batcher
        sizes = {"photos": self._photos.bytes, "latents": self._latents.bytes, **self.detailing.bytes}
        return Vitals(self.engine.backend, self.engine.device, batcher.depth, batcher.beat_age, sizes)

    def close(self) -> None:
        """Lets go of the device when what has reached it is done, takes nothing new, and forgets every face."""
        self._lookers.close()
        self.engine.close()
        self._composer.close()
        self._carrier.close()
        self._writer.close()
        self._photos.clear()
        self._latents.clear()
        self.detailing.clear()

    # --- bytes -> image -> face -> crop --------------------------------------------------------------------

    async def _hash(self, data: bytes) -> str:
        if len(data) <= _HASH_INLINE:
            return hashlib.sha256(data).hexdigest()
        return await self._writer.run(lambda: hashlib.sha256(data).hexdigest())

    async def _look(self, photo: PhotoInput, digest: str, deadline: float | None) -> FoundPhoto:
        points = photo.placed
        placed = None if points is None else Placed(points.left_eye, points.right_eye, points.mouth)
        seen = await self._lookers.look(photo.data, self.crop_size, placed=placed, deadline=deadline)
        brought = None if seen.credentials is None else UploadCredentials.from_json(seen.credentials)
        faces = tuple(judged(face, self.gate) for face in seen.faces)
        return FoundPhoto(seen.width, seen.height, digest, seen.notes, faces, brought)

    async def _choose(self, parent: ParentInput, deadline: float | None) -> ParentFace:
        if not isinstance(parent, PhotoInput):
            if isinstance(parent, LatentInput):
                return ParentFace(parent.where, None, None, parent.credentials, parent.quality)
            return ParentFace(parent.where, None, None)
        photo = await self.find_faces(parent, deadline=deadline)
        with _named(parent.where):
            index = parent.face or 0
            if not 0 <= index < len(photo.faces):
                raise FaceChoiceInvalid(
                    f"face {index} was chosen, but the photo has {len(photo.faces)}",
                    hint=f"choose a face from 0 (the largest) to {len(photo.faces) - 1}",
                )
            chosen = photo.faces[index]
            if chosen.refusal is not None:
                # A copy: what is kept would collect the frames of every request that meets it, photographs and all.
                raise chosen.refusal.copy()
        return ParentFace(parent.where, photo, chosen, photo.credentials)

    # --- crop -> latent ------------------------------------------------------------------------------------

    async def _looked(
        self, parents: Sequence[ParentInput], deadline: float | None, bill: _Bill
    ) -> tuple[ParentFace, ...]:
        """What is used of each parent, all at once."""
        with bill.stage("look"):
            return tuple(await together(self._choose(parent, deadline) for parent in parents))

    async def _encoded(
        self,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        seed: int,
        deadline: float | None,
        bill: _Bill,
    ) -> torch.Tensor:
        """Their latents, (N, Z). Only when all have been seen: so their crops meet in one batch, and none is encoded
        for a refusal."""
        with bill.stage("encode"):
            latents = await together(
                self._latent(parent, face, seed, deadline, bill) for parent, face in zip(parents, faces, strict=True)
            )
        return torch.stack(latents)

    async def _latent(
        self, parent: ParentInput, used: ParentFace, seed: int, deadline: float | None, bill: _Bill
    ) -> torch.Tensor:
        if isinstance(parent, SampleInput):
            return self.engine.draw(parent.number, seed=seed)
        if isinstance(parent, LatentInput):
            if not isinstance(parent.parent, PhotoParent):  # that one was encoded here
                self.check_outside(parent.z, where=parent.where)
            return torch.from_numpy(parent.z)
        photo, chosen = used.photo, used.chosen
        assert photo is not None  # a photograph has been looked at
        assert chosen is not None

        async def encode() -> np.ndarray:
            # Each crop is a job of its own: its latent belongs to the photograph, not to this request.
            served = await _answer(self.engine.submit_encode(chosen.crop[None], deadline=deadline), deadline)
            bill.add(self._took(Cost(frames_encoded=1, device_seconds=served.device_seconds)))
            return served.rows[0]

        key = (photo.sha256, parent.placed, chosen.index, self.model.weights)
        return torch.from_numpy(await self._latents.get(key, encode))

    # --- latent -> mix -> decoded crop ---------------------------------------------------------------------

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
            edits.check_parents(len(parents))
            if edits.attributes:
                check(edits.attributes, self._directions())
        specs = [FrameSpec(normalise_weights(spec.weights), spec.edits) for spec in specs]
        self.detailing.check(parents, specs)
        return specs

    def _directions(self) -> AttributeDirections:
        if self.attributes is None:
            raise AttributesMissing(
                f"{self.model} has no attribute directions",
                hint="leave attributes out, or fit directions with `facemix directions`",
                where="attributes",
            )
        return self.attributes

    def _rows(self, z: torch.Tensor, spec: FrameSpec) -> np.ndarray:
        """The latents of one frame's pictures, (P, Z): the mix itself, each region that has weights of its own, in
        their order, the mix whose colours are taken, and the mix without edits where they are compared."""
        edits = spec.edits
        shares = [spec.weights, *edits.regions.values(), *([] if edits.colour is None else [edits.colour])]
        rows = [self._edited(self._interpolated(z, weights, edits), edits) for weights in shares]
        if edits.compared:
            rows.append(self._interpolated(z, spec.weights, edits))
        return torch.stack(rows).numpy()

    def _interpolated(self, z: torch.Tensor, weights: Sequence[float], edits: Edits) -> torch.Tensor:
        return interpolate(
            z, weights, edits.interpolation, vividness=edits.vividness, coarse_size=self.engine.coarse_size
        )

    def _edited(self, z: torch.Tensor, edits: Edits) -> torch.Tensor:
        if edits.variation is not None:
            draw = self.engine.draw(edits.variation.number, seed=edits.seed)
            z = vary(z, draw, edits.variation.radius, self.engine.prior.mean, self.engine.coarse_size)
        return apply(z, edits.attributes, self._directions()) if edits.attributes else z

    def _notes(self, latents: np.ndarray, recipe: Recipe) -> tuple[Note, ...]:
        """What its edits pull into a mix that none of the parents has."""
        if self._reader is None or not recipe.attributes:
            return ()
        z = torch.from_numpy(latents)
        used = z[[weight > 0 for weight in recipe.weights]]
        mixed = self._edited(self._interpolated(z, recipe.weights, recipe.edits), recipe.edits)
        return edit_notes(self._reader, used, mixed, recipe.attributes)

    async def _checked_results(self, frames: np.ndarray, latents: np.ndarray, bill: _Bill) -> tuple[float, ...] | None:
        """The margins of the frames, None where nothing checks them. Raises `ResultWithheld`, `DocumentStyle`.

        Args:
            frames, latents: see `ResultGate.margins`.
        """
        gate = self.results
        if gate is None:
            return None
        with bill.stage("check"):
            return await self._composer.run(lambda: gate.margins(frames, latents))

    async def _beside(self, beside: bool, work: Callable[[], T]) -> T:
        """Runs `work` in a thread if it may take milliseconds, which the event loop is not kept waiting for."""
        return await self._composer.run(work) if beside else work()

    async def _decode(self, z: np.ndarray, deadline: float | None, bill: _Bill) -> np.ndarray:
        with bill.stage("decode"):
            served = await _answer(self.engine.submit_decode(z, deadline=deadline), deadline)
        bill.add(self._took(Cost(frames_decoded=len(z), device_seconds=served.device_seconds)))
        return served.rows

    def _took(self, cost: Cost) -> Cost:
        """Notes it for the request, which may yet fail."""
        took(cost.device_seconds * self.engine.cpu_threads, cost)
        return cost

    def _recipe(self, parents: Sequence[ParentInput], faces: Sequence[ParentFace], spec: FrameSpec) -> Recipe:
        named = tuple(
            _named_parent(given, used, weight) for given, used, weight in zip(parents, faces, spec.weights, strict=True)
        )
        return Recipe(model=self.model, parents=named, **dict(spec.edits))


def _named_parent(given: ParentInput, used: ParentFace, weight: float) -> Parent:
    """What the recipe calls a parent."""
    if isinstance(given, SampleInput):
        return SampleParent(number=given.number, weight=weight)
    if isinstance(given, LatentInput):
        if given.parent is None:
            return LatentParent.from_latent(given.z, weight=weight)
        return given.parent.model_copy(update={"weight": weight + 0.0})
    assert used.photo is not None  # a photograph has been looked at
    assert used.chosen is not None
    return PhotoParent(sha256=used.photo.sha256, face=used.chosen.index, placed=given.placed, weight=weight)


def _composed(pictures: np.ndarray, specs: Sequence[FrameSpec]) -> np.ndarray:
    """The decoded pictures of all frames, one after the other, put together to one picture for each frame."""
    frames, at = [], 0
    for edits in (spec.edits for spec in specs):
        frames.append(compose(pictures[at : at + edits.pictures], edits))
        at += edits.pictures
    return np.stack(frames)


class _Bill:
    """What one request took: milliseconds by stage, and the device."""

    def __init__(self, observer: Observer) -> None:
        self.milliseconds: dict[str, float] = {}
        self.cost = Cost()
        self._observer = observer

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Notes how long it took, less what took its stages within, in addition to what it took before."""
        started, before = time.perf_counter(), sum(self.milliseconds.values())
        yield
        within = sum(self.milliseconds.values()) - before
        milliseconds = max(0.0, (time.perf_counter() - started) * 1000 - within)
        self._observer.stage(name, milliseconds / 1000)
        self.milliseconds[name] = self.milliseconds.get(name, 0.0) + milliseconds

    def add(self, cost: Cost) -> None:
        self.cost += cost


async def _answer(future: Future[Served], deadline: float | None) -> Served:
    """The batcher's answer. A caller who leaves takes the job back; a device that hangs costs nobody more than
    their deadline."""
    try:
        async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic()) + GRACE_SECONDS):
            return await asyncio.wrap_future(future)
    except TimeoutError:
        raise DeadlineExceeded("the model did not answer in time", hint="try again later", retry_after=5) from None


def _bytes_of(photo: FoundPhoto) -> int:
    return 4096 + sum(face.crop.nbytes + 1024 for face in photo.faces)


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Puts the name of the input on every error about it. On a copy: others may be waiting for the same photograph
    under another name, and a refusal stays with the face that is kept."""
    try:
        yield
    except FacemixError as error:
        raise error.copy().at(where) from error


def mixer_from_settings(settings: Settings, observer: Observer | None = None, lookers: Lookers | None = None) -> Mixer:
    """The mixer that an operator's settings ask for, warmed up so that the first person does not wait.

    Args:
        lookers: who looks at photographs; None makes a pool of its own. Closed with the mixer, or if it fails.

    Raises:
        CheckpointMissing, CheckpointCorrupt, InstallationError: see `Engine`.
        ModelMismatch, CheckpointCorrupt: see `load_gate`.
        EngineFailed: the processes that look at photographs do not start.
    """
    lookers = lookers or lookers_from_settings(settings)
    try:
        engine = engine_from_settings(settings, observer)
        gate = load_gate(engine.folder, engine.identity.weights) if settings.gate else None
        results = ResultGate.of(engine.folder, runner=settings.detector) if settings.check_results else None
        if isinstance(lookers, ProcessLookers):
            lookers.wait_until_ready()
    except BaseException:
        lookers.close()
        raise
    return Mixer(
        engine,
        lookers,
        max_parents=settings.max_parents,
        max_steps=settings.max_steps,
        cache_bytes=settings.cache_bytes,
        cache_seconds=settings.cache_seconds,
        gate=gate,
        results=results,
        observer=observer,
    )
