"""Multipart forms, read into memory and nowhere else.

Starlette's own parser moves parts beyond a megabyte into temporary files. Photographs of faces must not touch
the disk, so this reader keeps everything in memory and refuses early: an unknown or repeated field, a file
beyond the cap, a broken body.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from types import MappingProxyType

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from facemix.errors import ImageTooLarge, MediaTypeUnsupported, RequestInvalid
from facemix.settings import MEBIBYTE

MAX_FIELD_BYTES = 1024
_COUNTED = re.compile(r"(.*_)[0-9]+\Z")
MAX_HEADER_BYTES = 8 * 1024
_NONE: Mapping[str, int] = MappingProxyType({})
_MISSING = "write the body as multipart/form-data; curl does so for -F face_a=@photo.jpg"


@dataclass(frozen=True)
class Form:
    """fields: text by name, empty ones left out. files: bytes by name, file inputs left empty left out."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class _Reader:
    """Callbacks of the push parser. Raises from inside them; the parser lets that through."""

    def __init__(
        self, files: Collection[str], fields: Collection[str], max_file_bytes: int, long_fields: Mapping[str, int]
    ) -> None:
        self.known_files, self.known_fields = files, fields
        self.max_file_bytes, self.long_fields = max_file_bytes, long_fields
        self.form = Form()
        self.seen: set[str] = set()
        self.ended = False
        self.on_part_begin()

    def callbacks(self) -> dict:
        names = (
            "part_begin",
            "part_data",
            "part_end",
            "header_field",
            "header_value",
            "header_end",
            "headers_finished",
            "end",
        )
        return {f"on_{name}": getattr(self, f"on_{name}") for name in names}

    def on_part_begin(self) -> None:
        self.header_name, self.header_value = b"", b""
        self.header_bytes = 0
        self.disposition = b""
        self.name = ""
        self.filename: bytes | None = None
        self.data = bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self.header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self.header_value += data[start:end]

    def _count_header(self, size: int) -> None:
        self.header_bytes += size
        if self.header_bytes > MAX_HEADER_BYTES:
            raise RequestInvalid(f"a part's header is longer than {MAX_HEADER_BYTES} bytes", hint=_MISSING)

    def on_header_end(self) -> None:
        if self.header_name.lower() == b"content-disposition":
            self.disposition = self.header_value
        self.header_name, self.header_value = b"", b""

    def on_headers_finished(self) -> None:
        kind, options = parse_options_header(self.disposition)
        if kind != b"form-data" or b"name" not in options:
            raise RequestInvalid("a part of the form has no name", hint=_MISSING)
        self.name = _text(options[b"name"], "a field's name")
        self.filename = options.get(b"filename")
        if self.name not in self.known_files and self.name not in self.known_fields:
            raise RequestInvalid(
                f"there is no field {self.name[:60]!r}",
                hint=f"the fields are {_listed((*self.known_files, *self.known_fields))}",
                where=self.name[:60],
            )
        if self.name in self.seen:
            raise RequestInvalid(f"the field {self.name} is there twice", hint="send every field once", where=self.name)
        self.seen.add(self.name)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        is_file = self.name in self.known_files
        cap = self.max_file_bytes if is_file else self.long_fields.get(self.name, MAX_FIELD_BYTES)
        if len(self.data) + end - start > cap:
            if is_file:
                raise too_large(self.name, self.max_file_bytes)
            raise RequestInvalid(
                f"the field {self.name} is longer than {cap} bytes", hint="send less in it", where=self.name
            )
        self.data += memoryview(data)[start:end]

    def on_part_end(self) -> None:
        if self.name in self.known_files:
            if self.filename is None and self.data:
                raise RequestInvalid(
                    f"{self.name} is text, not a file",
                    hint=f"send a file; with curl write -F {self.name}=@photo.jpg",
                    where=self.name,
                )
            if self.filename or self.data:  # a browser sends an empty name for a file input left alone
                self.form.files[self.name] = bytes(self.data)
        else:
            text = _text(self.data, self.name, where=self.name).strip()
            if text:
                self.form.fields[self.name] = text
        self.data = bytearray()

    def on_end(self) -> None:
        self.ended = True


def too_large(where: str, max_bytes: int, size: int | None = None) -> ImageTooLarge:
    most = f"{max_bytes / MEBIBYTE:.3g} MB"
    has = f"is larger than {most}, and at most that much is taken"
    if size is not None:
        has = f"has {ceil(size / MEBIBYTE * 10) / 10:g} MB; at most {most} are taken"  # rounded up: more than the most
    photo = "the photo" if where == "image" else f"the photo {where}"
    return ImageTooLarge(
        f"{photo} {has}",
        hint="save it smaller, or as JPEG; a few megapixels are plenty",
        where=where,
        max_bytes=max_bytes,
    )


def _listed(names: Iterable[str]) -> str:
    """Names by commas; of those that are only counted, as ``photo_0``, the first and the last, behind the others."""
    kept, counted = [], {}
    for name in names:
        series = _COUNTED.match(name)
        if series is None:
            kept.append(name)
        else:
            counted.setdefault(series[1], []).append(name)
    kept += [f"{them[0]} to {them[-1]}" if len(them) > 1 else them[0] for them in counted.values()]
    return ", ".join(kept)


def _text(raw: bytes | bytearray, what: str, where: str | None = None) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestInvalid(f"{what} is not UTF-8 text", hint="send text as UTF-8", where=where) from None


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise MediaTypeUnsupported(
            f"the body is {content_type[:100]!r}" if content_type else "the request has no Content-Type",
            hint=_MISSING,
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise RequestInvalid(
            "the Content-Type names no boundary",
            hint="let the client library write the Content-Type of a multipart body",
        )
    return boundary


async def read_form(
    request: Request,
    *,
    files: Collection[str],
    fields: Collection[str],
    max_file_bytes: int,
    long_fields: Mapping[str, int] = _NONE,
) -> Form:
    """Reads a multipart body with at most the named files and fields, each once.

    Args:
        long_fields: fields that may have more than `MAX_FIELD_BYTES`, and how many.

    Raises:
        MediaTypeUnsupported: the body is of another type.
        RequestInvalid: broken multipart, no boundary, an unknown, repeated, overlong or non-UTF-8 field.
        ImageTooLarge: a file beyond `max_file_bytes`; raised as soon as the byte too many arrives.
    """
    reader = _Reader(files, fields, max_file_bytes, long_fields)
    try:
        # latin-1 is how HTTP headers travel; a name outside it is not a boundary anyone wrote on purpose.
        parser = MultipartParser(_boundary(request.headers.get("content-type", "")), reader.callbacks())
        async for chunk in request.stream():
            if chunk:
                parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise RequestInvalid("the body is not well-formed multipart/form-data", hint=_MISSING) from error
    if not reader.ended:
        raise RequestInvalid(
            "the multipart body ends before its closing boundary", hint="send the whole body; " + _MISSING
        )
    return reader.form
