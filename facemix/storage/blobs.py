"""Blobs: bytes under a name that ends in their SHA-256, in a folder, in memory or in an S3-compatible store.

The name proves the content on every kind of store, and writing the same bytes twice under one group is one blob.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from facemix.errors import ConfigError, RecordMissing, RequestInvalid, StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from facemix.settings import Settings

BLOB_FOLDER = "blobs"
_GROUP = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}\Z")
_NAME = re.compile(r"(?P<group>.+)/(?P<sha256>[0-9a-f]{64})\Z")
_HINT = "use file:///folder, memory:/// or s3://bucket/prefix"
_NO_SPACE = ("(os error 28)", "(os error 122)")  # ENOSPC, EDQUOT, as the library words them
_CLIENT = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=30)}
_RETRIES: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}


@dataclass(frozen=True, kw_only=True)
class S3Options:
    """How to reach an S3-compatible store.

    Where the keys are None, the library looks for them as AWS tools do: environment variables, then the machine's role.
    """

    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None


@dataclass(frozen=True)
class BlobInfo:
    """`size` in bytes; `modified` in UTC."""

    name: str
    size: int
    modified: datetime


def default_url(data_dir: Path) -> str:
    """The folder of blobs in the data folder."""
    return (data_dir.expanduser().absolute() / BLOB_FOLDER).as_uri()


def blob_name(group: str, data: bytes) -> str:
    """The name that `BlobStore.put` gives to the bytes. Raises `RequestInvalid` for a malformed group."""
    return f"{_checked_group(group)}/{hashlib.sha256(data).hexdigest()}"


class BlobStore:
    """Thread-safe; nothing is connected before the first call."""

    def __init__(self, store: ObjectStore, folder: Path | None = None) -> None:
        """folder: where the store's files lie, if it has any."""
        self._store, self._folder = store, folder

    @classmethod
    def open(cls, url: str, s3: S3Options | None = None) -> BlobStore:
        """A store by URL: ``file:///folder`` (made, for its owner only), ``memory:///`` or ``s3://bucket/prefix``.

        Raises:
            ConfigError: another kind of URL, or one that lacks a part.
            StorageUnavailable: the folder cannot be made.
        """
        parts = urlsplit(url)
        if parts.scheme == "memory":
            return cls(MemoryStore())
        if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
            folder = Path(unquote(parts.path))
            return cls(_local(folder), folder)
        if parts.scheme == "s3" and parts.netloc:
            return cls(_s3(url, s3 or S3Options()))
        raise ConfigError(f"{parts.scheme or 'no scheme'}: not a blob store that facemix knows", hint=_HINT)

    def put(self, group: str, data: bytes) -> str:
        """Stores the bytes, whole or not at all, and returns their name: the group, a slash, their SHA-256.

        Args:
            group: 1 to 8 parts of letters, digits, dashes and underscores, separated by slashes.

        Raises:
            RequestInvalid: the group is malformed.
            StorageFull, StorageUnavailable: the store refused.
        """
        name = blob_name(group, data)
        with _blob_errors():
            obstore.put(self._store, name, data)
        return name

    def get(self, name: str) -> bytes:
        """The bytes of that name, compared with the SHA-256 in it.

        Raises:
            RecordMissing: there is no such blob.
            StorageUnavailable: the store refused, or the bytes are not those that were stored.
        """
        wanted = _checked_name(name)
        with _blob_errors():
            try:
                data = obstore.get(self._store, name).bytes().to_bytes()
            except FileNotFoundError as error:
                raise _missing(name) from error
        found = hashlib.sha256(data).hexdigest()
        if found != wanted:
            raise StorageUnavailable(
                f"the blob {name!r} is damaged", hint="restore it from a backup", wanted=wanted, found=found
            )
        return data

    def delete(self, name: str) -> None:
        """Deletes the blob; one that is not there is as good as deleted.

        Raises:
            StorageUnavailable: the store refused.
        """
        try:
            _checked_name(name)
        except RecordMissing:
            return
        with _blob_errors(), suppress(FileNotFoundError):
            obstore.delete(self._store, name)
        if self._folder is not None:
            # The group's own folder, if this was its last blob. Not those above it, as the library would do: it
            # fails where one of them goes just while it makes another group's in it.
            with suppress(OSError):
                (self._folder / name).parent.rmdir()

    def list(self, group: str | None = None) -> Iterator[BlobInfo]:
        """Every blob of the group and of the groups below it (None: of the store), in no particular order.

        Raises:
            RequestInvalid: the group is malformed.
            StorageUnavailable: the store refused.
        """
        prefix = None if group is None else _checked_group(group)
        with _blob_errors():
            for chunk in obstore.list(self._store, prefix):
                for found in chunk:
                    if _NAME.match(found["path"]):
                        yield BlobInfo(found["path"], found["size"], found["last_modified"].astimezone(UTC))


def open_blobs(settings: Settings) -> BlobStore:
    """The store that the settings name.

    Raises:
        ConfigError, StorageUnavailable: see `BlobStore.open`.
    """
    secret = settings.s3_secret_access_key
    options = S3Options(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=None if secret is None else secret.get_secret_value(),
    )
    return BlobStore.open(settings.blob_url or default_url(settings.data_dir), options)


def _local(folder: Path) -> LocalStore:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LocalStore(folder)
    except (OSError, exceptions.BaseError) as error:
        raise StorageUnavailable(
            "the folder of the blob store cannot be made", hint="check FACEMIX_BLOB_URL and who may write there"
        ) from error


def _s3(url: str, options: S3Options) -> S3Store:
    given = {
        name: value
        for name, value in (
            ("endpoint", options.endpoint),
            ("region", options.region),
            ("access_key_id", options.access_key_id),
            ("secret_access_key", options.secret_access_key),
        )
        if value is not None
    }
    plain = (options.endpoint or "").startswith("http://")  # refused unless it was asked for by the endpoint's scheme
    config: Any = given
    try:
        return S3Store.from_url(
            url, config=config, client_options={**_CLIENT, "allow_http": plain}, retry_config=_RETRIES
        )
    except exceptions.BaseError as error:
        raise ConfigError("the S3 store cannot be set up from its URL and options", hint=_HINT) from error


def _checked_group(group: str) -> str:
    if not _GROUP.match(group):
        raise RequestInvalid(
            f"{group[:80]!r} cannot name a group of blobs",
            hint="use letters, digits, dashes and underscores, and slashes between parts",
        )
    return group


def _checked_name(name: str) -> str:
    """The SHA-256 in the name. Raises: RecordMissing, for a name that `put` cannot have made."""
    match = _NAME.match(name)
    if match is None or not _GROUP.match(match["group"]):
        raise _missing(name)
    return match["sha256"]


def _missing(name: str) -> RecordMissing:
    return RecordMissing(f"there is no blob {name[:80]!r}", hint="it may have been deleted")


@contextmanager
def _blob_errors() -> Iterator[None]:
    """The library's errors in this program's words; its own words may name hosts and paths, and stay in `__cause__`."""
    try:
        yield
    except (exceptions.BaseError, OSError) as error:
        if any(sign in str(error) for sign in _NO_SPACE):
            raise StorageFull("the disk of the blob store is full", hint="free space on it") from error
        raise StorageUnavailable("the blob store refused", hint="the log says why") from error
