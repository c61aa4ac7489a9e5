"""Says what a file is: signed here and unchanged, changed, marked by this installation, or nothing that is known."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import GifImagePlugin, Image

from facemix.errors import FacemixError, ImageCorrupt, ImageTooManyPixels, ImageUnsupported
from facemix.imaging.decode import WORKING_SIDE, DecodeLimits, decode_image
from facemix.imaging.sniff import sniff
from facemix.safety.credentials import Signed, read_signature
from facemix.safety.detection import Mark, find_mark
from facemix.safety.known import Uses
from facemix.safety.mark_figures import FOUND, PHOTOGRAPHS, RESULTS, TAKEN_FOR_MARKED
from facemix.safety.marking import Marker

Kind = Literal["signed", "changed", "marked", "signed_elsewhere", "nothing"]

TITLES: dict[Kind, str] = {
    "signed": "Made here, and unchanged",
    "changed": "Signed, and changed since",
    "marked": "Made here, to all appearance",
    "signed_elsewhere": "Signed, but not here",
    "nothing": "Nothing was found",
}
_MISTAKEN = f"{TAKEN_FOR_MARKED or 'none'} {'were' if TAKEN_FOR_MARKED > 1 else 'was'} taken for marked"
ERROR_RATES = (
    f"Of {PHOTOGRAPHS:,} photographs without a mark, {_MISTAKEN}; of {RESULTS} results that were made smaller by half "
    f"and saved as JPEG of quality 50, {FOUND if FOUND < RESULTS else 'all'} were found."
)


@dataclass(frozen=True)
class Verdict:
    """What a file is.

    Attributes:
        kind: the sum of it; see `TITLES`.
        signed: what its content credentials say, None where it has none.
        mark: the invisible mark of this installation, None where none was found.
        looked: whether a mark was looked for: not in films, nor in what cannot be decoded.
        uses: of the recipe in the ledger.
    """

    kind: Kind
    signed: Signed | None = None
    mark: Mark | None = None
    looked: bool = True
    uses: Uses | None = None

    @property
    def title(self) -> str:
        return TITLES[self.kind]

    @property
    def recipe_hash(self) -> str | None:
        """SHA-256 of the recipe that signature or mark lead to."""
        if self.signed is not None and self.signed.facts is not None:
            return self.signed.facts.recipe_hash
        return None if self.mark is None else self.mark.recipe_hash

    def dated(self, find: Callable[[str], Uses | None]) -> Verdict:
        """With what `find` says of the recipe's rows in the ledger."""
        return self if self.recipe_hash is None else replace(self, uses=find(self.recipe_hash))

    def sentences(self) -> list[str]:
        """What it says, for people; each a whole sentence."""
        told = [_of_signature(self)] if self.signed is not None else ["It has no content credentials (C2PA)."]
        told.append(_of_mark(self))
        if self.uses is not None:
            first, last = (_day(one) for one in (self.uses.first, self.uses.last))
            days = f"on {first}" if first == last else f"from {first} to {last}"
            told.append(f"This server made it {f'{self.uses.rows} times, ' if self.uses.rows > 1 else ''}{days}.")
        elif self.recipe_hash is not None:
            told.append(
                "The ledger has no row with its recipe: what the command line makes leaves none, and rows are deleted "
                "in time."
            )
        if self.mark is not None or (self.kind == "nothing" and self.looked):
            told.append(ERROR_RATES)
        if self.kind == "nothing":
            told.append(
                "That proves nothing: signatures are lost when a file is saved anew, and a mark does not outlast "
                "everything that can be done to a picture."
            )
        return told


def _day(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment.day} {calendar.month_name[moment.month]} {moment.year}"


def verify(data: bytes, marker: Marker, known: Callable[[], Sequence[str]], limits: DecodeLimits) -> Verdict:
    """Looks at a file. Takes up to a second; nothing is written anywhere.

    Args:
        data: the untrusted bytes: a picture, or a GIF or an MP4.
        known: gives the hashes of the recipes that it may have; asked only where a mark is looked for.
        limits: of what is decoded.

    Raises:
        FacemixError: the file is of no kind that can be looked at, or damaged, and has no signature either; what
            `known` raises.
    """
    media_type = _media_type(data)
    signed = None if media_type is None else read_signature(data, media_type, marker.credentials)
    mark, looked = None, False
    if marker.watermark is not None and media_type != "video/mp4":
        try:
            pixels = _pixels(data, limits)
            looked = True
        except FacemixError:
            if signed is None:
                raise
        else:
            mark = find_mark(marker.watermark, pixels, known())
    elif signed is None and media_type is None:
        _decoded(data, limits)  # says what is wrong with it
    return Verdict(_kind(signed, mark), signed, mark, looked)


def _kind(signed: Signed | None, mark: Mark | None) -> Kind:
    if signed is not None and signed.state != "theirs":
        return "signed" if signed.state == "ours" else "changed"
    if mark is not None:
        return "marked"
    return "nothing" if signed is None else "signed_elsewhere"


def _of_signature(verdict: Verdict) -> str:
    signed = verdict.signed
    assert signed is not None
    by = f" by {signed.generator!r}" if signed.generator else ""
    if signed.state == "ours":
        model = f"made with the model {signed.facts.model}, " if signed.facts is not None and signed.facts.model else ""
        return f"It was {model}signed by this installation, and not a byte of it has changed since."
    if signed.state == "theirs":
        return (
            f"It has valid content credentials of another signer, called {signed.signer!r}; whether that is who it "
            f"says cannot be told here. They were written{by or ' by an unnamed program'}."
        )
    if signed.claims_ours:
        return "It bears a signature of this installation that does not fit any more: the file was changed afterwards."
    return f"It bears content credentials{by} that do not fit: the file, or they, were changed afterwards."


def _of_mark(verdict: Verdict) -> str:
    mark = verdict.mark
    if mark is None:
        if verdict.looked:
            return "The invisible mark of this installation was not found."
        return "The invisible mark was not looked for: only pictures are searched for it."
    where = {"whole": "", "part": " in a part of it", "mirrored": ", mirrored", "cropped": ", in a picture cut smaller"}
    recipe = "and fits a recipe in the ledger" if mark.recipe_hash else "but fits none of the recipes in the ledger"
    return (
        f"It bears the invisible mark of this installation{where[mark.how]}, {recipe}. A picture without the mark "
        f"shows as much by chance in {_once(mark.chance)}."
    )


def _once(chance: float) -> str:
    return f"fewer than one in {1e12:,.0f} cases" if chance < 1e-12 else f"at most one in {int(1 / chance):,} cases"


def _media_type(data: bytes) -> str | None:
    kind = sniff(data).kind
    if kind is not None:
        return f"image/{kind.lower()}"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "video/mp4" if data[4:8] == b"ftyp" else None


def _decoded(data: bytes, limits: DecodeLimits) -> np.ndarray:
    """As `decode_image`, which says of a kind that is not taken what photographs may be: here films are, too."""
    try:
        return decode_image(data, limits).pixels
    except ImageUnsupported as error:
        if (kind := error.details.get("looks_like")) is None:
            raise
        raise ImageUnsupported(
            f"nothing can be said of the file: it is {kind}",
            hint="choose a picture (JPEG, PNG, WebP) or a film (GIF, MP4), as you received it",
            looks_like=kind,
        ) from None


def _pixels(data: bytes, limits: DecodeLimits) -> np.ndarray:
    limits = replace(limits, max_side=WORKING_SIDE)
    if not data.startswith((b"GIF87a", b"GIF89a")):
        return _decoded(data, limits)
    try:
        with GifImagePlugin.GifImageFile(BytesIO(data)) as film:
            if film.width * film.height > limits.max_pixels:
                raise ImageTooManyPixels(
                    f"the GIF is {film.width} x {film.height} pixels; at most {limits.max_pixels:,} in all are taken",
                    hint="reduce it, and send it again",
                )
            return np.asarray(film.convert("RGB"))
    except (MemoryError, Image.DecompressionBombError) as error:
        raise ImageTooManyPixels("the GIF needs more memory than there is", hint="reduce it") from error
    except FacemixError:
        raise
    except Exception as error:  # hostile bytes make Pillow raise nearly every built-in exception
        raise ImageCorrupt("the GIF cannot be decoded", hint="send the file in which you received it") from error
