"""Faces that were uploaded once to be mixed by id: latents, kept for a limited time; no photograph is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from facemix.errors import FaceGone, RecordMissing
from facemix.faces.types import Quality
from facemix.mixing.latents import pack_latent, unpack_latent
from facemix.mixing.recipe import ModelIdentity, PhotoParent
from facemix.safety.credentials import UploadCredentials
from facemix.web.shelf import AsyncShelf

KIND = "face"
MIXING = "mixing"  # the one purpose that a face is kept for


@dataclass(frozen=True)
class KeptFace:
    """A face on the shelf.

    Attributes:
        model: whose latent it is.
        z: (Z,) float32.
        parent: what a recipe calls it, at any weight.
        credentials: what the photograph's file said of its own making.
        quality: what the gates measured on it, without their warnings.
        purpose: what it is kept for.
        created_at, expires_at: in UTC.
    """

    id: str
    model: ModelIdentity
    z: np.ndarray
    parent: PhotoParent
    created_at: datetime
    expires_at: datetime
    credentials: UploadCredentials | None = None
    purpose: str = MIXING
    quality: Quality | None = None


class KeptFaces:
    """The faces on a shelf. Whoever has an id may use and delete its face, unless it was uploaded with an API key:
    then only that key may.

    Args:
        seconds: how long a face is kept.
    """

    def __init__(self, shelf: AsyncShelf, seconds: float) -> None:
        self._shelf, self._seconds = shelf, seconds

    async def put(
        self,
        z: np.ndarray,
        parent: PhotoParent,
        model: ModelIdentity,
        *,
        owner: str | None,
        credentials: UploadCredentials | None = None,
        quality: Quality | None = None,
    ) -> KeptFace:
        """Keeps a face. Raises `StorageFull`, `StorageUnavailable`."""
        document = {
            "model": model.model_dump(),
            "numbers": len(z),
            "z": pack_latent(z),
            "parent": parent.model_dump(mode="json"),
            "purpose": MIXING,
            "credentials": None if credentials is None else credentials.to_json(),
            "quality": figures_of(quality),
        }
        kept = await self._shelf.put(KIND, json.dumps(document).encode(), owner=owner, seconds=self._seconds)
        return KeptFace(kept.id, model, z, parent, kept.created_at, kept.expires_at, credentials, quality=quality)

    async def get(self, identity: str, *, owner: str | None, where: str | None = None) -> KeptFace:
        """Raises `FaceGone` for one that is unknown, expired, deleted or another key's: which, is not said."""
        try:
            kept = await self._shelf.get(KIND, identity, owner=owner)
        except RecordMissing as error:
            raise _gone(identity, where) from error
        return _read(kept.id, kept.data, kept.created_at, kept.expires_at)

    async def delete(self, identity: str, *, owner: str | None) -> None:
        """Forgets a face at once. Raises `FaceGone` as `get`."""
        try:
            await self._shelf.delete(KIND, identity, owner=owner)
        except RecordMissing as error:
            raise _gone(identity, None) from error

    async def list(self, *, owner: str, limit: int, after: str | None) -> tuple[list[KeptFace], str | None]:
        """The faces of an API key, newest first, and where the next page begins.

        Raises:
            RequestInvalid: the cursor is none.
        """
        found, following = await self._shelf.list(KIND, owner=owner, limit=limit, after=after)
        return [_read(kept.id, kept.data, kept.created_at, kept.expires_at) for kept in found], following


def _read(identity: str, data: bytes, created_at: datetime, expires_at: datetime) -> KeptFace:
    """What `put` wrote; an earlier facemix wrote neither credentials nor a purpose nor quality."""
    document = json.loads(data)
    credentials = document.get("credentials")
    return KeptFace(
        identity,
        ModelIdentity.model_validate(document["model"]),
        unpack_latent(document["z"], document["numbers"]),
        PhotoParent.model_validate(document["parent"]),
        created_at,
        expires_at,
        None if credentials is None else UploadCredentials.from_json(credentials),
        document.get("purpose", MIXING),
        quality_of(document.get("quality")),
    )


_FIGURES = ("score", "face_pixels", "sharpness", "yaw", "roll", "brightness", "photograph")


def figures_of(quality: Quality | None) -> dict[str, float | None] | None:
    """What the gates measured, as JSON has it: None for what they did not. See `quality_of`."""
    if quality is None:
        return None
    found = {name: float(getattr(quality, name)) for name in _FIGURES}
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def quality_of(figures: Mapping[str, float | None] | None) -> Quality | None:
    """The same back, without warnings. Figures that are left out were not measured."""
    if figures is None:
        return None
    given = {name: figures.get(name) for name in _FIGURES}
    return Quality(**{name: math.nan if value is None else value for name, value in given.items()})


def _gone(identity: str, where: str | None) -> FaceGone:
    return FaceGone(
        f"there is no face {identity[:64]!r}",
        hint="it may have expired or been deleted; upload the photo again",
        where=where,
    )
