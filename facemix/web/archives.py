"""ZIP archives of strangers, read from memory a file at a time: nothing is unpacked before somebody asks for it, and
never more of it than they say."""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import PurePosixPath

from facemix.errors import BodyTooLarge, RequestInvalid

MOST_ENTRIES = 4096
# All names and sizes together. `zipfile` reads them at once, whatever their number is said to be.
MOST_DIRECTORY_BYTES = 1024 * 1024
_END, _END_BYTES, _LONGEST_COMMENT = b"PK\x05\x06", 22, 65535
_END_64 = b"PK\x06\x07"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


class Archive:
    """The files of an archive, by their names.

    Args:
        data: the untrusted bytes.
        most_bytes: that all files together may say they have.
        where: what an error calls it.

    Raises:
        RequestInvalid: it is no archive, is damaged, encrypted, or has names that lead elsewhere.
        BodyTooLarge: it has too many files, or would unfold into too much.
    """

    def __init__(self, data: bytes, *, most_bytes: int, where: str = "archive") -> None:
        self._where = where
        self._check_directory(data)
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, UnicodeDecodeError) as error:
            raise self._damaged(error) from error
        entries = [entry for entry in self._zip.infolist() if not entry.is_dir()]
        if len(entries) > MOST_ENTRIES:
            raise self._too_large(f"{len(entries)} files", f"at most {MOST_ENTRIES} files")
        if sum(entry.file_size for entry in entries) > most_bytes:
            raise self._too_large(
                f"{sum(entry.file_size for entry in entries)} bytes when unpacked", f"at most {most_bytes} bytes"
            )
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            self._entries[self._name(entry)] = entry
        if len(self._entries) != len(entries):
            raise self._invalid("a name is in it twice", "give every file a name of its own")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def read(self, name: str, limit: int) -> bytes:
        """A file's bytes, one more than `limit` at most, whatever size the archive says it has.

        Raises:
            RequestInvalid: there is no such file, or it is damaged.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise RequestInvalid(
                "there is no such file in the archive", hint="put it in, or correct the table", where=name
            )
        try:
            with self._zip.open(entry) as file:
                return file.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise RequestInvalid(
                "the file is damaged in the archive", hint="make the archive again", where=name
            ) from error

    def _name(self, entry: zipfile.ZipInfo) -> str:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or not path.name:
            raise self._invalid(f"the name {entry.filename[:80]!r} leads out of it", "pack a folder as it is")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
            raise self._invalid(f"{entry.filename[:80]!r} is encrypted, or not deflated", "pack it with zip alone")
        return str(path)

    def _check_directory(self, data: bytes) -> None:
        """Looks for the archive's end as `zipfile` does, and refuses a directory that is too long before it is read."""
        at = len(data) - _END_BYTES
        if at < 0 or data[at : at + 4] != _END or data[-2:] != b"\0\0":
            at = data.rfind(_END, max(0, len(data) - _END_BYTES - _LONGEST_COMMENT))
        if at < 0 or at + _END_BYTES > len(data):
            raise self._invalid("it is no ZIP archive", "send a ZIP archive with pairs.csv and the photographs")
        if data[max(0, at - 20) : at][:4] == _END_64:
            raise self._invalid("it is a ZIP64 archive", "pack fewer files")
        (size,) = struct.unpack_from("<I", data, at + 12)
        if size > MOST_DIRECTORY_BYTES:
            raise self._too_large("too many files", f"at most {MOST_ENTRIES} files")

    def _invalid(self, message: str, hint: str) -> RequestInvalid:
        return RequestInvalid(message, hint=hint, where=self._where)

    def _damaged(self, error: Exception) -> RequestInvalid:
        return self._invalid(f"the archive is damaged: {str(error)[:100]}", "make it again")

    def _too_large(self, has: str, most: str) -> BodyTooLarge:
        return BodyTooLarge(f"the archive has {has}", hint=f"send {most}", where=self._where)
