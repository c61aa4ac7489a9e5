"""Results at the photograph's own size: photographs cut at it, what is carried from them, what the face is put onto."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import numpy as np

from facemix.errors import PhotographMissing, RecipeInvalid
from facemix.faces.align import Alignment, mean_landmarks, native_side
from facemix.faces.glasses import wears_glasses
from facemix.faces.paste import onto_blurred, onto_photo, onto_plain
from facemix.imaging.enlarge import resized
from facemix.mixing.carry import Carry
from facemix.mixing.carry_torch import TorchCarry
from facemix.mixing.recipe import (
    LEAST_SIDE,
    MOST_SIDE,
    USUAL_SIDE,
    Edits,
    OntoBlurred,
    OntoPhoto,
    OntoPlain,
    PhotoParent,
    PlacedPoints,
)
from facemix.serving.cache import Cache
from facemix.serving.held_cuts import Cut, CutKey, HeldCuts
from facemix.serving.lookers import Lookers
from facemix.serving.observer import Observer
from facemix.serving.together import together
from facemix.serving.types import FoundPhoto, FrameSpec, LatentInput, ParentFace, ParentInput, PhotoInput
from facemix.vae.geometry import GRID, SIDE, Geometry

MOST_WHOLE = 2048  # pixels of the longer side of a photograph that a face is put into

Decode = Callable[[np.ndarray], Awaitable[np.ndarray]]


class Detailing:
    """Belongs to one event loop. Keeps cuts for a while, in memory only, so that a face that is kept by an id can be
    mixed with its detail, and what is known of the parents of a mix, so that its next frame comes at once.

    Args:
        crop: side of the model's pictures, C.
        device: of the engine; on another than "cpu" detail is carried there.
        geometry: reads shapes; None where the checkpoint has none: parents lie over one another as they are aligned.
        cache_bytes, cache_seconds: of cuts and of carries each; 0 keeps nothing.
    """

    def __init__(
        self,
        lookers: Lookers,
        geometry: Geometry | None,
        crop: int,
        *,
        device: str = "cpu",
        cache_bytes: int,
        cache_seconds: float,
        observer: Observer,
    ) -> None:
        self._lookers, self._geometry, self._crop = lookers, geometry, crop
        self._carry_class = Carry if device == "cpu" else partial(TorchCarry, device=device)
        self._cuts: Cache[Cut] = Cache(
            "cuts",
            max_bytes=cache_bytes,
            seconds=cache_seconds,
            size=lambda cut: cut.bytes,
            observer=observer,
        )
        self._carries: Cache[Carry] = Cache(
            "carries",
            max_bytes=cache_bytes,
            seconds=cache_seconds,
            size=lambda carry: carry.bytes,
            observer=observer,
        )
        self._deletions = 0  # so often something was forgotten

    @property
    def bytes(self) -> dict[str, int]:
        """Memory of each cache."""
        return {"cuts": self._cuts.bytes, "carries": self._carries.bytes}

    def clear(self) -> None:
        self._cuts.clear()
        self._carries.clear()

    def forget(self, sha256: str) -> None:
        """Drops all that is kept of a photograph. What a job holds of it is let go of by `Holds.forget`."""
        self._deletions += 1
        self._cuts.drop(lambda key: key[0] == sha256)
        self._carries.drop(lambda key: any(of is not None and of[0] == sha256 for _, of in key[1:]))

    async def keep(self, photo: PhotoInput, found: FoundPhoto, index: int, *, deadline: float | None = None) -> None:
        """Cuts a face at the usual side, for mixes that know it by an id alone; where nothing is kept, does nothing."""
        if not self._cuts.keeps:
            return
        await self._cut(photo, found, index, USUAL_SIDE, deadline)

    async def hold(
        self,
        held: HeldCuts,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        specs: Sequence[FrameSpec],
        *,
        deadline: float | None = None,
    ) -> None:
        """Puts into `held` what frames with detail are carried from, so that they can be drawn later, by an id alone
        (`LatentInput.cuts`), whatever the cache forgets meanwhile.

        Raises:
            PhotographMissing: detail is asked for of a face whose photograph is not kept any more.
            ImageError, DeadlineExceeded, EngineFailed, Stopping: see `Lookers.cut`.
        """
        specs = [spec for spec in specs if spec.edits.detail]
        if not specs:
            return
        wanted = max(spec.edits.size or USUAL_SIDE for spec in specs)
        for cut in await together(self._known(parents[one], faces[one], wanted, deadline) for one in _taken(specs)):
            if cut is not None:
                held.add(cut)

    @asynccontextmanager
    async def ahead(
        self,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        specs: Sequence[FrameSpec],
        *,
        deadline: float | None = None,
    ) -> AsyncIterator[None]:
        """Has the photographs cut while the model is at work within the block; `carry` then finds them in the cache, or
        waits for them. Whatever fails here fails there."""
        if not self._cuts.keeps or not any(spec.edits.detail for spec in specs):
            yield
            return
        wanted = max(spec.edits.size or USUAL_SIDE for spec in specs)
        cuts = asyncio.ensure_future(
            together(self._known(parents[place], faces[place], wanted, deadline) for place in _taken(specs))
        )
        cuts.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            yield
        finally:
            cuts.cancel()

    async def carry(
        self,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        latents: np.ndarray,
        specs: Sequence[FrameSpec],
        decode: Decode,
        beside: Callable[[Callable[[], Carry]], Awaitable[Carry]],
        *,
        deadline: float | None = None,
    ) -> Carry | None:
        """What is carried from these parents, at the side that the edits ask for and the photographs allow; None where
        none of those who have a part in the frames has a photograph.

        Args:
            faces: what was used of each; latents: (N, Z) float32, theirs.
            decode: (n, Z) float32 to (n, C, C, 3) uint8.
            beside: runs work in a thread.

        Raises:
            PhotographMissing: detail is asked for of a face whose photograph is not kept any more.
            ImageError, Busy, DeadlineExceeded, EngineFailed, Stopping: see `Lookers.cut` and `decode`.
        """
        wanted, deletions = max(spec.edits.size or USUAL_SIDE for spec in specs), self._deletions
        cuts: list[Cut | None] = [None] * len(parents)
        taken = _taken(specs)
        known = await together(self._known(parents[place], faces[place], wanted, deadline) for place in taken)
        for place, cut in zip(taken, known, strict=True):
            cuts[place] = cut
        largest = max((len(cut.pixels) for cut in cuts if cut is not None), default=0)
        if not largest:
            return None
        side = max(self._crop, min(wanted, largest))
        marks = [
            (hashlib.sha256(z.tobytes()).digest(), None if cut is None else cut.key)
            for z, cut in zip(latents, cuts, strict=True)
        ]

        async def make() -> Carry:
            own = await decode(latents)
            return await beside(lambda: self._made(cuts, own, side))

        try:
            return await self._carries.get((side, *marks), make)
        finally:
            if deletions != self._deletions:  # perhaps of a photograph that was cut before, and is in this
                self._carries.drop(lambda key: key == (side, *marks))

    def shapes(self, crops: np.ndarray) -> np.ndarray:
        """See `Geometry.shapes`; nothing is displaced where there is no geometry. crops: (N, s, s, 3) uint8."""
        if self._geometry is None:
            return np.zeros((len(crops), 2, GRID, GRID), np.float32)
        return self._geometry.shapes(np.stack([resized(crop, SIDE) for crop in crops]))

    def most(self, parents: Sequence[ParentInput], faces: Sequence[ParentFace], specs: Sequence[FrameSpec]) -> int:
        """The largest side that frames may have: what the photographs have of those who have a part in them, and at
        least the model's own. Where there is none, or nobody knows of it any more, nothing speaks against the largest.
        """
        own: list[int] = []
        for parent, used in ((parents[place], faces[place]) for place in _taken(specs)):
            if used.chosen is not None:
                own.append(round(native_side(used.chosen.face.landmarks)))
            elif (cut := self._kept(parent, MOST_SIDE)) is not None:
                own.append(len(cut.pixels))
            elif _of_photo(parent) is not None:
                own.append(USUAL_SIDE)  # it is not known any more; its cut would have had no more
        return max(self._crop, min(MOST_SIDE, max(own, default=MOST_SIDE)))

    def enlarged(self, picture: np.ndarray, edits: Edits, most: int) -> np.ndarray:
        """The model's picture, (C, C, 3) uint8, at the side that the edits ask for, (S, S, 3) uint8, but no larger than
        `most`. Without a photograph to be carried from, detail asks for none."""
        usual = self._crop if edits.placement is None else USUAL_SIDE
        return resized(picture, min(edits.size or usual, most))

    def frame(self, carry: Carry, pictures: np.ndarray, composed: np.ndarray, spec: FrameSpec) -> np.ndarray:
        """One frame with detail, at its own side.

        Args:
            pictures: (`edits.pictures`, C, C, 3) uint8, see `facemix.mixing.compose.compose`.
            composed: (C, C, 3) uint8, what was put together of them.

        Returns:
            (S, S, 3) uint8; S is the size that was asked for, where the photographs have so many pixels.
        """
        edits, change, moved = spec.edits, None, None
        if edits.compared:
            edited, plain = pictures[0], pictures[-1]
            change = np.abs(edited.astype(np.float32) - plain).max(-1)
            shapes = self.shapes(np.stack([edited, plain]))
            moved = shapes[0] - shapes[1]
        frame = carry.frame(
            composed,
            spec.weights,
            detail=edits.detail,
            regions=edits.regions,
            keep=edits.keep,
            change=change,
            moved=moved,
        )
        return frame if edits.size is None or edits.size >= carry.side else resized(frame, edits.size)

    async def placed(
        self,
        face: np.ndarray,
        edits: Edits,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        beside: Callable[[Callable[[], np.ndarray]], Awaitable[np.ndarray]],
        *,
        deadline: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The face where the edits put it, (H, W, 3) uint8, and about where its landmarks are there, (5, 2).

        Args:
            face: (S, S, 3) uint8, the mix.
            beside: runs the work in a thread.

        Raises:
            PhotographMissing: that parent's photograph is not here.
            RecipeInvalid: it has none, or its face is too small in it.
        """
        placement = edits.placement
        assert placement is not None
        if isinstance(placement, OntoPlain):
            return await beside(lambda: onto_plain(face, placement.colour)), mean_landmarks(len(face))
        parent, used = parents[placement.parent], faces[placement.parent]
        if not isinstance(parent, PhotoInput) or used.photo is None or used.chosen is None:
            raise _no_photograph(parent, where="placement.parent")
        photo, points = used.photo, used.chosen.face.landmarks
        longer = max(photo.width, photo.height)
        # So large that the face in it has as many pixels as the mix, where the photograph has them.
        wanted = min(longer, MOST_WHOLE, max(256, round(longer * len(face) / round(native_side(points)))))
        whole = await self._lookers.whole(parent.data, wanted, deadline=deadline)
        if min(whole.shape[:2]) < LEAST_SIDE:
            raise RecipeInvalid(
                f"the photograph is {whole.shape[1]} x {whole.shape[0]} pixels at this size",
                hint=f"choose one whose shorter side has {LEAST_SIDE} pixels, so that the result can be labelled",
                where="placement",
            )
        scale = np.array([whole.shape[1] / photo.width, whole.shape[0] / photo.height])
        alignment = Alignment.from_landmarks(points * scale, len(face))
        put = onto_blurred if isinstance(placement, OntoBlurred) else onto_photo
        try:
            return await beside(lambda: put(whole, alignment, face)), points * scale
        except ValueError as error:
            raise RecipeInvalid(
                f"the face cannot be put into this photograph: {error}",
                hint="choose another placement, or a photograph that shows the whole face",
                where="placement",
            ) from error

    def check(self, parents: Sequence[ParentInput], specs: Sequence[FrameSpec]) -> None:
        """Raises, before any work is done, what `carry` and `placed` would raise of photographs that are not here."""
        for place in _taken([spec for spec in specs if spec.edits.detail]):
            parent = parents[place]
            if _of_photo(parent) is not None and self._kept(parent, USUAL_SIDE) is None:
                raise _no_photograph(parent, where=parent.where)
        for placement in (spec.edits.placement for spec in specs):
            if isinstance(placement, OntoPhoto | OntoBlurred):
                parent = parents[placement.parent]
                if not isinstance(parent, PhotoInput):
                    raise _no_photograph(parent, where="placement.parent")

    def _made(self, cuts: Sequence[Cut | None], own: np.ndarray, side: int) -> Carry:
        """own: (N, C, C, 3) uint8, the parents' reconstructions."""
        seen = [one if cut is None else cut.pixels for one, cut in zip(own, cuts, strict=True)]
        small = np.stack([resized(one, SIDE) for one in seen])
        return self._carry_class(
            [None if cut is None else resized(cut.pixels, side) for cut in cuts],
            own,
            self.shapes(small),
            side=side,
            glasses=[wears_glasses(one) for one in small],
        )

    async def _known(self, parent: ParentInput, face: ParentFace, wanted: int, deadline: float | None) -> Cut | None:
        """The cut of a parent for results of so many pixels; None for one that never had a photograph."""
        side = MOST_SIDE if wanted > USUAL_SIDE else USUAL_SIDE
        if isinstance(parent, PhotoInput):
            assert face.photo is not None  # a photograph has been looked at
            assert face.chosen is not None
            return await self._cut(parent, face.photo, face.chosen.index, side, deadline)
        found = self._kept(parent, side)
        if found is None and _of_photo(parent) is not None:
            raise _no_photograph(parent, where=parent.where)
        return found

    def _kept(self, parent: ParentInput, side: int) -> Cut | None:
        """The cut that is held or kept of a face without its photograph, rather for results of up to `side` than for
        others. What is held comes first: what is kept may change from one frame of a film to the next."""
        named = _of_photo(parent)
        if named is None:
            return None
        sides = sorted((USUAL_SIDE, MOST_SIDE), key=lambda one: one != side)
        keys = [_key(named.sha256, named.placed, named.face, known) for known in sides]
        held = parent.cuts if isinstance(parent, LatentInput) else None
        looks = [self._cuts.peek] if held is None else [held.get, self._cuts.peek]
        return next((found for look in looks for key in keys if (found := look(key)) is not None), None)

    async def _cut(self, photo: PhotoInput, found: FoundPhoto, index: int, most: int, deadline: float | None) -> Cut:
        face = found.faces[index].face
        own = round(native_side(face.landmarks))
        most = most if own > USUAL_SIDE else USUAL_SIDE  # there is nothing more in it
        side = max(self._crop, min(most, own))
        key = _key(found.sha256, photo.placed, index, most)

        async def make() -> Cut:
            return Cut(await self._lookers.cut(photo.data, face, side, deadline=deadline), key)

        return await self._cuts.get(key, make)


def _key(sha256: str, placed: PlacedPoints | None, index: int, most: int) -> CutKey:
    return sha256, placed, index, most


def _taken(specs: Sequence[FrameSpec]) -> list[int]:
    """The parents that have a part in any of the frames: by weight, in a region, or by a trait that is kept."""
    found: set[int] = set()
    for spec in specs:
        for shares in (spec.weights, *spec.edits.regions.values()):
            found.update(place for place, share in enumerate(shares) if share > 0)
        found.update(kept for kept in spec.edits.keep.values() if kept != "mixed")
    return sorted(found)


def _of_photo(parent: ParentInput) -> PhotoParent | None:
    """The photograph of a face that is known by its latent alone."""
    return parent.parent if isinstance(parent, LatentInput) and isinstance(parent.parent, PhotoParent) else None


def _no_photograph(parent: ParentInput, *, where: str) -> PhotographMissing | RecipeInvalid:
    named = _of_photo(parent)
    if named is not None:
        return PhotographMissing(
            f"the photograph {named.sha256[:12]}... is not kept any more",
            hint="send it again, or ask for a mix without detail and placement",
            where=where,
        )
    return RecipeInvalid("this parent has no photograph", hint="name a parent that is one", where=where)
