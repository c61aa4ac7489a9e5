"""Content credentials that a photograph brought along, without the photograph."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import dataclass, field
from io import BytesIO

from facemix.imaging.sniff import sniff
from facemix.safety.jumbf import hollowed
from facemix.safety.manifests import (
    AGENT,
    active_manifest,
    generator_of,
    library,
    may_have_manifests,
    read_manifests,
    reading_context,
)

log = logging.getLogger("facemix.safety")

MOST_CARRIED = 64 * 1024  # bytes of an upload's credentials that are kept
_MOST_READ = 8 * 1024 * 1024  # bytes of them, thumbnails and all, that are looked at
TITLE = "photograph"  # in the place of a file's name
_KINDS = {"JPEG": "image/jpeg", "PNG": "image/png", "WebP": "image/webp", "HEIC": "image/heic", "AVIF": "image/avif"}


@dataclass(frozen=True)
class UploadCredentials:
    """What is kept of the content credentials of an upload: no pixel of it, thumbnails and metadata least of all.

    Attributes:
        media_type: of the upload.
        archive: its manifests, for `Signer`; empty where they are too large, or cannot be carried on without showing
            what is in the photograph. Then only that there were some is carried on.
        redacted: addresses of what was left out of them.
        intact: whether they were valid, by whomever signed.
        generator: the program that wrote them, in its own words.
    """

    media_type: str
    archive: bytes = field(default=b"", repr=False)
    redacted: tuple[str, ...] = ()
    intact: bool = False
    generator: str = ""

    def to_json(self) -> str:
        """As text, to be kept with a face; `from_json` reads it."""
        return json.dumps({**self.__dict__, "archive": base64.b64encode(self.archive).decode("ascii")})

    @classmethod
    def from_json(cls, text: str) -> UploadCredentials:
        """Raises `ValueError` for what is not of `to_json`."""
        try:
            told = json.loads(text)
            told["archive"] = base64.b64decode(told["archive"], validate=True)
            return cls(**{**told, "redacted": tuple(told["redacted"])})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("these are no credentials of an upload") from error


def read_credentials(data: bytes) -> UploadCredentials | None:
    """The content credentials of an upload, if it has any; never an error, whatever the bytes are.

    Without the marks of a manifest store the bytes are not parsed. What is only named by an address is not fetched.
    """
    if not may_have_manifests(data):
        return None
    media_type = _KINDS.get(sniff(data).kind or "")
    if media_type is None:
        return None
    c2pa = library()
    context = reading_context()
    read = read_manifests(data, media_type, context)
    if read is None:
        return None
    told, state = read
    about = {"intact": state in ("Valid", "Trusted"), "generator": generator_of(active_manifest(told))}
    bare = UploadCredentials(media_type, **about)
    try:
        with c2pa.Builder(json.dumps({"claim_generator_info": [AGENT]}), context=context) as builder:
            ingredient = {"title": TITLE, "relationship": "inputTo", "label": "upload"}
            builder.add_ingredient(ingredient, media_type, BytesIO(data))
            archive = BytesIO()
            builder.write_ingredient_archive("upload", archive)
        if archive.tell() > _MOST_READ:
            return bare
        kept, redacted = hollowed(archive.getvalue())
    except Exception as error:  # `NotReadable`, or whatever hostile bytes make the library raise
        log.info("credentials of a photograph are only mentioned: %s", type(error).__name__)
        return bare
    return bare if len(kept) > MOST_CARRIED else UploadCredentials(media_type, kept, redacted, **about)
