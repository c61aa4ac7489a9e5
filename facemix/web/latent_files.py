"""Latents that leave the server and come back: a face as a signed file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from facemix.errors import LatentRefused, SignatureInvalid
from facemix.faces.types import Quality
from facemix.governance.secrets import Secrets
from facemix.governance.signing import Signatures
from facemix.mixing.latents import LATENT_PATTERN, MOST_LATENT_CHARACTERS, pack_latent, unpack_latent
from facemix.mixing.recipe import ModelIdentity, PhotoParent
from facemix.safety.credentials import UploadCredentials
from facemix.web.kept_faces import MIXING, KeptFace, figures_of, quality_of

FORMAT = 2  # 1 had no quality
VALID_DAYS = 30
_AGAIN = "export it again from the face, or upload the photo again"


Measured = Annotated[float, Field(allow_inf_nan=False)] | None


class Figures(BaseModel):
    """What the gates measured, as `facemix.faces.types.Quality` says; null where they did not."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    score: Measured
    face_pixels: Measured
    sharpness: Measured
    yaw: Measured
    roll: Measured
    brightness: Measured
    photograph: Measured


class LatentFile(BaseModel):
    """What stands in the file. A latent is a likeness: whoever has the file has the face."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    facemix_latent: int = Field(ge=1)
    model: ModelIdentity
    numbers: int = Field(ge=1, le=4096)
    z: str = Field(pattern=LATENT_PATTERN, max_length=MOST_LATENT_CHARACTERS)
    parent: PhotoParent
    credentials: str | None = None
    quality: Figures | None = None
    owner: str | None = None
    purpose: str = Field(max_length=64)
    created_at: str
    expires_at: str


@dataclass(frozen=True)
class ReadLatent:
    """A latent that came back.

    Attributes:
        z: (Z,) float32, of `model`.
        parent: what a recipe calls it, at any weight.
        credentials: what its photograph's file said of its own making.
        quality: what the gates measured on it; None in a file of format 1.
    """

    z: np.ndarray
    model: ModelIdentity
    parent: PhotoParent
    credentials: UploadCredentials | None
    quality: Quality | None = None


class LatentFiles:
    """Writes and reads the files of one installation.

    Args:
        trusted: public keys of other installations whose files are taken, too.
    """

    def __init__(self, secrets: Secrets, trusted: tuple[str, ...] = ()) -> None:
        self._signatures = Signatures(secrets, "latent")
        self._trusted = trusted

    @property
    def public_key(self) -> str:
        """By which other installations may be told to trust this one."""
        return self._signatures.public_key

    def write(self, face: KeptFace, owner: str | None, *, now: datetime | None = None) -> str:
        """The face as signed text, which is taken back for `VALID_DAYS` days."""
        at = (now or datetime.now(UTC)).astimezone(UTC)
        document = LatentFile(
            facemix_latent=FORMAT,
            model=face.model,
            numbers=len(face.z),
            z=pack_latent(face.z),
            parent=face.parent,
            credentials=None if face.credentials is None else face.credentials.to_json(),
            quality=None if (figures := figures_of(face.quality)) is None else Figures.model_validate(figures),
            owner=owner,
            purpose=face.purpose,
            created_at=at.isoformat(timespec="seconds"),
            expires_at=(at + timedelta(days=VALID_DAYS)).isoformat(timespec="seconds"),
        )
        return self._signatures.sign(document.model_dump(mode="json"))

    def read(self, signed: str, owner: str | None, *, now: datetime | None = None) -> ReadLatent:
        """What was written.

        Args:
            owner: name of the API key of whoever brings it.

        Raises:
            SignatureInvalid: it was changed, or is signed by nobody who is trusted here.
            LatentRefused: its time is over, it belongs to another key, was written by a newer facemix, or is for
                something else than mixing.
            RecipeInvalid: see `unpack_latent`.
        """
        document = self._signatures.read(signed, self._trusted)
        version = document.get("facemix_latent")
        if isinstance(version, int) and version > FORMAT:
            raise LatentRefused(f"the latent has format {version}, this facemix reads {FORMAT}", hint="update facemix")
        read, expires_at, brought = _validated(document)
        if expires_at <= (now or datetime.now(UTC)):
            raise LatentRefused(f"the latent was valid until {read.expires_at}", hint=_AGAIN)
        if read.owner != owner:
            raise LatentRefused("the latent belongs to another API key", hint="send it with the key that exported it")
        if read.purpose != MIXING:
            raise LatentRefused(f"the latent is for {read.purpose!r}, not for mixing", hint=_AGAIN)
        measured = None if read.quality is None else quality_of(read.quality.model_dump())
        return ReadLatent(unpack_latent(read.z, read.numbers), read.model, read.parent, brought, measured)


def _validated(document: dict[str, Any]) -> tuple[LatentFile, datetime, UploadCredentials | None]:
    """The document, when it expires, and the credentials in it: another installation may sign what it likes."""
    try:
        read = LatentFile.model_validate(document)
        expires_at = datetime.fromisoformat(read.expires_at)
        if expires_at.tzinfo is None:
            raise ValueError("a time without its zone")
        brought = None if read.credentials is None else UploadCredentials.from_json(read.credentials)
    except ValueError as error:  # pydantic's, too
        raise SignatureInvalid("it is no latent of a face", hint=_AGAIN) from error
    return read, expires_at, brought
