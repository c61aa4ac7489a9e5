"""The parents of a mix, read: photographs looked at, a face of each chosen, and all of them turned into latents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from facemix.errors import FaceChoiceInvalid, FacemixError
from facemix.faces.placed import Placed
from facemix.mixing.outside import OutsideCheck
from facemix.mixing.recipe import PhotoParent
from facemix.safety.credentials import UploadCredentials
from facemix.safety.photo_gate import PhotoGate, judged
from facemix.serving.bill import Bill
from facemix.serving.cache import Cache
from facemix.serving.engine import Engine
from facemix.serving.inference import Inference
from facemix.serving.lookers import Lookers
from facemix.serving.observer import Observer
from facemix.serving.pool import Pool
from facemix.serving.together import together
from facemix.serving.types import FoundPhoto, LatentInput, ParentFace, ParentInput, PhotoInput, SampleInput

_HASH_INLINE = 1 << 20  # bytes; hashing more than this would hold up the event loop noticeably


class Reading:
    """Belongs to one event loop. Keeps what was found in photographs, and their latents, for a while, in memory only.

    Args:
        inference: encodes crops.
        hashing: a thread for the hashes of large files.
        gate: refuses faces that are no photographs; None for no such refusal.
        cache_bytes, cache_seconds: of what was found; of latents an eighth of the bytes. 0 keeps nothing.
    """

    def __init__(
        self,
        engine: Engine,
        lookers: Lookers,
        inference: Inference,
        hashing: Pool,
        *,
        gate: PhotoGate | None,
        cache_bytes: int,
        cache_seconds: float,
        observer: Observer,
    ) -> None:
        self._engine, self._lookers, self._inference, self._hashing = engine, lookers, inference, hashing
        self._gate = gate
        self._outside = OutsideCheck(engine.prior, engine.coarse_size)
        self._photos: Cache[FoundPhoto] = Cache(
            "photos", max_bytes=cache_bytes, seconds=cache_seconds, size=_bytes_of, observer=observer
        )
        self._latents: Cache[np.ndarray] = Cache(
            "latents", max_bytes=cache_bytes // 8, seconds=cache_seconds, size=lambda z: z.nbytes, observer=observer
        )

    @property
    def bytes(self) -> dict[str, int]:
        """Memory of each cache."""
        return {"photos": self._photos.bytes, "latents": self._latents.bytes}

    def forget(self, sha256: str) -> None:
        """Drops all that is kept of a photograph."""
        self._photos.drop(lambda key: key[0] == sha256)
        self._latents.drop(lambda key: key[0] == sha256)

    def clear(self) -> None:
        self._photos.clear()
        self._latents.clear()

    # --- bytes -> image -> face -> crop --------------------------------------------------------------------

    async def find_faces(self, photo: PhotoInput, deadline: float | None) -> FoundPhoto:
        """See `Mixer.find_faces`."""
        with _named(photo.where):
            digest = await self._hash(photo.data)
            if photo.watch is not None:
                photo.watch.arrived(digest)
            key = (digest, photo.placed)
            found = await self._photos.get(key, lambda: self._look(photo, digest, deadline))
            if photo.watch is not None:
                photo.watch.looked(found)
            return found

    async def looked(
        self, parents: Sequence[ParentInput], deadline: float | None, bill: Bill
    ) -> tuple[ParentFace, ...]:
        """What is used of each parent, all at once."""
        with bill.stage("look"):
            return tuple(await together(self._choose(parent, deadline) for parent in parents))

    async def _hash(self, data: bytes) -> str:
        if len(data) <= _HASH_INLINE:
            return hashlib.sha256(data).hexdigest()
        return await self._hashing.run(lambda: hashlib.sha256(data).hexdigest())

    async def _look(self, photo: PhotoInput, digest: str, deadline: float | None) -> FoundPhoto:
        points = photo.placed
        placed = None if points is None else Placed(points.left_eye, points.right_eye, points.mouth)
        seen = await self._lookers.look(photo.data, self._engine.crop_size, placed=placed, deadline=deadline)
        brought = None if seen.credentials is None else UploadCredentials.from_json(seen.credentials)
        faces = tuple(judged(face, self._gate) for face in seen.faces)
        return FoundPhoto(seen.width, seen.height, digest, seen.notes, faces, brought)

    async def _choose(self, parent: ParentInput, deadline: float | None) -> ParentFace:
        if not isinstance(parent, PhotoInput):
            if isinstance(parent, LatentInput):
                return ParentFace(parent.where, None, None, parent.credentials, parent.quality)
            return ParentFace(parent.where, None, None)
        photo = await self.find_faces(parent, deadline)
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

    async def encoded(
        self,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        seed: int,
        deadline: float | None,
        bill: Bill,
    ) -> torch.Tensor:
        """Their latents, (N, Z). Only when all have been seen: so their crops meet in one batch, and none is encoded
        for a refusal."""
        with bill.stage("encode"):
            latents = await together(
                self._latent(parent, face, seed, deadline, bill) for parent, face in zip(parents, faces, strict=True)
            )
        return torch.stack(latents)

    def check_outside(self, z: np.ndarray, *, where: str | None) -> None:
        """Raises `LatentRefused` for a latent from outside, (Z,), that lies where no face of the model is."""
        self._outside.check(z, where=where)

    async def _latent(
        self, parent: ParentInput, used: ParentFace, seed: int, deadline: float | None, bill: Bill
    ) -> torch.Tensor:
        if isinstance(parent, SampleInput):
            return self._engine.draw(parent.number, seed=seed)
        if isinstance(parent, LatentInput):
            if not isinstance(parent.parent, PhotoParent):  # that one was encoded here
                self.check_outside(parent.z, where=parent.where)
            return torch.from_numpy(parent.z)
        photo, chosen = used.photo, used.chosen
        assert photo is not None  # a photograph has been looked at
        assert chosen is not None

        async def encode() -> np.ndarray:
            # Each crop is a job of its own: its latent belongs to the photograph, not to this request.
            return (await self._inference.encode(chosen.crop[None], deadline, bill))[0]

        key = (photo.sha256, parent.placed, chosen.index, self._engine.identity.weights)
        return torch.from_numpy(await self._latents.get(key, encode))


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
