"""The way of a pixel, from the uploaded bytes to the decoded mix. Read `Mixer.mix` from top to bottom.

Writing the result to a file is left to whoever asked: the page, the endpoint and the command line differ there
and nowhere else.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch

from facemix.errors import DeadlineExceeded, FaceChoiceInvalid, FacemixError, RecipeInvalid
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.imaging.decode import WORKING_SIDE, DecodeLimits
from facemix.mixing.interpolation import interpolate
from facemix.mixing.recipe import (
    MOST_VIVID,
    Interpolation,
    ModelIdentity,
    Parent,
    PhotoParent,
    Recipe,
    SampleParent,
    normalise_weights,
)
from facemix.serving.batcher import Served
from facemix.serving.cache import Cache
from facemix.serving.engine import Engine, engine_from_settings
from facemix.serving.lookers import Lookers, ProcessLookers, ThreadLookers
from facemix.serving.observer import Observer
from facemix.serving.pool import Pool
from facemix.serving.tuning import cores
from facemix.serving.types import (
    Cost,
    FoundPhoto,
    MixResult,
    ParentFace,
    ParentInput,
    PhotoInput,
    SampleResult,
    StripResult,
    Vitals,
)
from facemix.settings import Settings

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
        observer: Observer | None = None,
    ) -> None:
        """
        Args:
            lookers: who looks at photographs; closed with this mixer.
            cache_bytes, cache_seconds: how much is kept in memory of photographs that have been looked at (their
                crops and figures, not the photographs), and for how long; 0 keeps nothing.
        """
        self.engine = engine
        self._lookers = lookers
        self._max_parents = max_parents
        self._max_steps = max_steps
        self._observer = observer or Observer()
        self._writer = Pool("write", 1)
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
        self.model: ModelIdentity = engine.identity
        self.card: dict[str, Any] = engine.card
        self.crop_size: int = engine.crop_size

    async def find_faces(self, photo: PhotoInput, *, deadline: float | None = None) -> FoundPhoto:
        """All faces of a photograph, largest first, with their crops and what the gates say.

        Args:
            deadline: on the clock of `time.monotonic`, here and in all other methods.

        Raises:
            ImageError: the bytes are no usable image.
            FaceNotFound: there is no face in it.
            DeadlineExceeded: it was not looked at in time.
        """
        with _named(photo.where):
            digest = await self._hash(photo.data)
            return await self._photos.get(digest, lambda: self._look(photo.data, digest, deadline))

    async def mix(
        self,
        parents: Sequence[ParentInput],
        *,
        interpolation: Interpolation = "lerp",
        vividness: float = 0.0,
        seed: int = 0,
        deadline: float | None = None,
    ) -> MixResult:
        """One face from two or more parents. Weights are scaled to sum to 1.

        Raises:
            RecipeInvalid: too few or too many parents, weights that cannot be scaled, or a vividness out of range.
            ImageError, FaceError: see `find_faces`; a face is refused by a gate, or there is no such face.
            Busy, DeadlineExceeded, EngineFailed, Stopping: see `Batcher.submit`.
        """
        self._check_parents(parents)
        _check_vividness(vividness)
        weights = normalise_weights(parent.weight for parent in parents)
        bill = _Bill(self._observer)
        # bytes -> image -> face -> crop -> latent
        faces, z = await self._parents(parents, seed, deadline, bill)
        # latent -> mix -> decoded crop
        mixed = self._mixed(z, weights, interpolation, vividness)[None]
        (image,) = await self._decode(mixed.numpy(), deadline, bill)
        recipe = self._recipe(parents, faces, weights, interpolation, vividness, seed)
        return MixResult(image, recipe, faces, bill.milliseconds, bill.cost)

    async def strip(
        self,
        first: ParentInput,
        second: ParentInput,
        *,
        steps: int = 33,
        interpolation: Interpolation = "lerp",
        vividness: float = 0.0,
        seed: int = 0,
        deadline: float | None = None,
    ) -> StripResult:
        """`steps` frames from the first parent to the second, ends included; their weights are ignored.

        Raises:
            RecipeInvalid: fewer than 2 steps, or more than the operator allows; a vividness out of range.
            ImageError, FaceError, Busy, DeadlineExceeded, EngineFailed, Stopping: as `mix`.
        """
        if not 2 <= steps <= self._max_steps:
            raise RecipeInvalid(f"steps is {steps}", hint=f"ask for 2 to {self._max_steps} frames", where="steps")
        _check_vividness(vividness)
        shares = tuple(index / (steps - 1) for index in range(steps))
        parents = (first, second)
        bill = _Bill(self._observer)
        faces, z = await self._parents(parents, seed, deadline, bill)

        def path() -> np.ndarray:
            return torch.stack(
                [self._mixed(z, (1 - share, share), interpolation, vividness) for share in shares]
            ).numpy()

        # Tens of interpolations are milliseconds, which the event loop is not kept waiting for.
        frames = await self._decode(await self._writer.run(path), deadline, bill)
        recipes = tuple(
            self._recipe(parents, faces, (1 - share, share), interpolation, vividness, seed) for share in shares
        )
        return StripResult(frames, shares, recipes, faces, bill.milliseconds, bill.cost)

    async def sample(self, number: int, *, seed: int = 0, deadline: float | None = None) -> SampleResult:
        """A face of nobody: draw `number` from the prior under `seed`."""
        bill = _Bill(self._observer)
        (image,) = await self._decode(self.engine.draw(number, seed=seed)[None].numpy(), deadline, bill)
        return SampleResult(image, bill.milliseconds, bill.cost)

    async def write(self, work: Callable[..., T], *args: object) -> T:
        """Runs `work(*args)`, the making of a file, in a thread of its own, ahead of all photographs."""
        with _Bill(self._observer).stage("write"):
            return await self._writer.run(work, *args)

    def ill(self) -> str | None:
        """What keeps this mixer from working, in a sentence, or None."""
        return self.engine.batcher.ill() or self._lookers.ill()

    def vitals(self) -> Vitals:
        """How it is doing."""
        batcher = self.engine.batcher
        sizes = {"photos": self._photos.bytes, "latents": self._latents.bytes}
        return Vitals(self.engine.backend, self.engine.device, batcher.depth, batcher.beat_age, sizes)

    def close(self) -> None:
        """Lets go of the device when what has reached it is done, takes nothing new, and forgets every face."""
        self._lookers.close()
        self.engine.close()
        self._writer.close()
        self._photos.clear()
        self._latents.clear()

    # --- bytes -> image -> face -> crop --------------------------------------------------------------------

    async def _hash(self, data: bytes) -> str:
        if len(data) <= _HASH_INLINE:
            return hashlib.sha256(data).hexdigest()
        return await self._writer.run(lambda: hashlib.sha256(data).hexdigest())

    async def _look(self, data: bytes, digest: str, deadline: float | None) -> FoundPhoto:
        seen = await self._lookers.look(data, self.crop_size, deadline=deadline)
        return FoundPhoto(seen.width, seen.height, digest, seen.notes, seen.faces)

    async def _choose(self, parent: ParentInput, deadline: float | None) -> ParentFace:
        if not isinstance(parent, PhotoInput):
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
        return ParentFace(parent.where, photo, chosen)

    # --- crop -> latent ------------------------------------------------------------------------------------

    async def _parents(
        self, parents: Sequence[ParentInput], seed: int, deadline: float | None, bill: _Bill
    ) -> tuple[tuple[ParentFace, ...], torch.Tensor]:
        """All parents at once: what was used of each, and their latents, (N, Z)."""
        with bill.stage("look"):
            used = await _all(self._choose(parent, deadline) for parent in parents)
        # Only when all have been seen: so their crops meet in one batch, and none is encoded for a refusal.
        with bill.stage("encode"):
            latents = await _all(
                self._latent(parent, face, seed, deadline, bill) for parent, face in zip(parents, used, strict=True)
            )
        return tuple(used), torch.stack(latents)

    async def _latent(
        self, parent: ParentInput, used: ParentFace, seed: int, deadline: float | None, bill: _Bill
    ) -> torch.Tensor:
        photo, chosen = used.photo, used.chosen
        if not isinstance(parent, PhotoInput) or photo is None or chosen is None:
            return self.engine.draw(parent.number, seed=seed)

        async def encode() -> np.ndarray:
            # Each crop is a job of its own: its latent belongs to the photograph, not to this request.
            served = await _answer(self.engine.submit_encode(chosen.crop[None], deadline=deadline), deadline)
            bill.add(Cost(frames_encoded=1, device_seconds=served.device_seconds))
            return served.rows[0]

        return torch.from_numpy(await self._latents.get((photo.sha256, chosen.index, self.model.weights), encode))

    # --- latent -> mix -> decoded crop ---------------------------------------------------------------------

    def _mixed(
        self, z: torch.Tensor, weights: Sequence[float], interpolation: Interpolation, vividness: float
    ) -> torch.Tensor:
        return interpolate(z, weights, interpolation, vividness=vividness, coarse_size=self.engine.coarse_size)

    async def _decode(self, z: np.ndarray, deadline: float | None, bill: _Bill) -> np.ndarray:
        with bill.stage("decode"):
            served = await _answer(self.engine.submit_decode(z, deadline=deadline), deadline)
        bill.add(Cost(frames_decoded=len(z), device_seconds=served.device_seconds))
        return served.rows

    def _check_parents(self, parents: Sequence[ParentInput]) -> None:
        if not 2 <= len(parents) <= self._max_parents:
            raise RecipeInvalid(
                f"{len(parents)} faces were given", hint=f"a mix takes 2 to {self._max_parents}", where="parents"
            )

    def _recipe(
        self,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        weights: Sequence[float],
        interpolation: Interpolation,
        vividness: float,
        seed: int,
    ) -> Recipe:
        named: list[Parent] = []
        for parent, face, weight in zip(parents, faces, weights, strict=True):
            if face.photo is not None and face.chosen is not None:
                named.append(PhotoParent(sha256=face.photo.sha256, face=face.chosen.index, weight=weight))
            else:
                named.append(SampleParent(number=parent.number, weight=weight))
        return Recipe(
            model=self.model, parents=tuple(named), interpolation=interpolation, vividness=vividness, seed=seed
        )


def _check_vividness(vividness: float) -> None:
    if not 0 <= vividness <= MOST_VIVID:
        raise RecipeInvalid(f"vividness is {vividness}", hint=f"it is 0 to {MOST_VIVID}", where="vividness")


class _Bill:
    """What one request took: milliseconds by stage, and the device."""

    def __init__(self, observer: Observer) -> None:
        self.milliseconds: dict[str, float] = {}
        self.cost = Cost()
        self._observer = observer

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        self._observer.stage(name, seconds)
        self.milliseconds[name] = seconds * 1000

    def add(self, cost: Cost) -> None:
        self.cost += cost


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results, worked out at the same time. Of several failures the first in their order is raised, whichever came
    sooner; what is left is given up."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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


def mixer_from_settings(settings: Settings, observer: Observer | None = None) -> Mixer:
    """The mixer that an operator's settings ask for, warmed up so that the first person does not wait.

    Raises:
        CheckpointMissing, CheckpointCorrupt, InstallationError: see `Engine`.
        EngineFailed: the processes that look at photographs do not start.
    """
    lookers = lookers_from_settings(settings)
    try:
        engine = engine_from_settings(settings, observer)
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
        observer=observer,
    )


def lookers_from_settings(settings: Settings) -> ThreadLookers | ProcessLookers:
    """Who looks at photographs, as an operator's settings ask for; processes are still starting.

    Raises:
        InstallationError: see `CenterFace`.
    """
    limits = replace(DecodeLimits.from_settings(settings), max_side=WORKING_SIDE)
    workers = settings.workers or cores()
    if settings.isolate:
        return ProcessLookers(limits, runner=settings.detector, processes=workers)
    # Photographs, not parts of one, are what runs in parallel.
    finder = FaceFinder(CenterFace(threads=1, runner=settings.detector))
    return ThreadLookers(finder, limits, workers)
