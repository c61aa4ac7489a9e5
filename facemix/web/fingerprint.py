"""Whether two requests say the same: a hash of what they say as it streams by, without keeping any of it."""

from __future__ import annotations

import hashlib

from python_multipart.multipart import parse_options_header


class BodyHash:
    """SHA-256 of a query, a content type and a body.

    A client that builds a multipart body anew invents a new boundary, though it says the same. So of such a body each
    stretch between two delimiters (a line break, two dashes and the boundary: RFC 2046, 5.1.1) is hashed by itself,
    and the delimiters are not. They are found as the parser finds them, so equal hashes mean equal parts.
    """

    def __init__(self, content_type: str, query: bytes = b"") -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"") if kind == b"multipart/form-data" else b""
        self._delimiter = b"\r\n--" + boundary if boundary else b""
        self._rest = b"\r\n" if boundary else b""  # the body may begin with its first delimiter
        named = kind if boundary else content_type.encode("latin-1", "replace")
        self._whole = hashlib.sha256(hashlib.sha256(query).digest() + hashlib.sha256(named).digest())
        self._stretch = hashlib.sha256()

    def update(self, chunk: bytes) -> None:
        if not self._delimiter:
            self._stretch.update(chunk)
            return
        data, start = self._rest + chunk, 0
        while (found := data.find(self._delimiter, start)) >= 0:
            self._stretch.update(memoryview(data)[start:found])
            self._whole.update(self._stretch.digest())
            self._stretch = hashlib.sha256()
            start = found + len(self._delimiter)
        # What may be the beginning of a delimiter waits for the next chunk.
        end = max(start, len(data) - len(self._delimiter) + 1)
        self._stretch.update(memoryview(data)[start:end])
        self._rest = data[end:]

    def digest(self) -> bytes:
        """32 bytes, once the body has ended."""
        stretch = self._stretch.copy()
        stretch.update(self._rest)
        whole = self._whole.copy()
        whole.update(stretch.digest())
        return whole.digest()
