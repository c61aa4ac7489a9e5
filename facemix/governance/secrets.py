"""The secret of an installation, and the keys that are derived from it, one for each purpose.

It lies in a file of the data folder, or comes by a setting where several machines share one installation. Whoever has
it can read what is sealed here and sign as this installation, so it belongs into no backup that photographs may not be
in.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from facemix.errors import ConfigError, SealBroken, StorageUnavailable
from facemix.settings import Settings

FILE = "installation.secret"
LEAST_CHARACTERS = 32
_NONCE_BYTES = 12


class Secrets:
    """Derives keys from the installation's secret (HKDF with SHA-256, RFC 5869). Thread-safe."""

    def __init__(self, root: bytes) -> None:
        """
        Args:
            root: at least 32 bytes that nobody can guess.
        """
        if len(root) < LEAST_CHARACTERS:
            raise ValueError("the secret of an installation has at least 32 bytes")
        self._root = root

    def derive(self, purpose: str, length: int = 32) -> bytes:
        """The key for `purpose`, a word of whoever uses it; `length` bytes. The same each time."""
        return HKDF(SHA256(), length, salt=None, info=f"facemix {purpose}".encode()).derive(self._root)

    def names(self, purpose: str) -> Callable[[str], str]:
        """What gives a text a name that only whoever has the secret can make: its HMAC-SHA256 (RFC 2104) under the key
        for `purpose`, 64 hexadecimal digits. The same each time."""
        key = self.derive(f"name {purpose}")
        return lambda text: hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def seal(self, purpose: str, data: bytes, about: bytes = b"") -> bytes:
        """Encrypts and authenticates (AES-256-GCM, a random nonce before it).

        Args:
            about: what it belongs to, as the id of a row; must be given again to open it.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self.derive(f"seal {purpose}")).encrypt(nonce, data, about)

    def open(self, purpose: str, sealed: bytes, about: bytes = b"") -> bytes:
        """What was sealed.

        Raises:
            SealBroken: it was changed, belongs to something else, or was sealed by another installation.
        """
        try:
            key = AESGCM(self.derive(f"seal {purpose}"))
            return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about)
        except (InvalidTag, ValueError) as error:
            raise SealBroken(
                "what was sealed cannot be opened",
                hint="it was changed, or the secret of this installation is another one now",
            ) from error


def open_secrets(settings: Settings) -> Secrets:
    """The secret that the setting gives, else that of the data folder, which is made where there is none.

    Raises:
        ConfigError: the setting is too short, or the file is damaged.
        StorageUnavailable: the file can be neither read nor made.
    """
    if settings.secret is not None:
        text = settings.secret.get_secret_value()
        if len(text) < LEAST_CHARACTERS:
            raise ConfigError(
                f"FACEMIX_SECRET has {len(text)} characters",
                hint=f"give at least {LEAST_CHARACTERS} that nobody can guess: openssl rand -hex 32",
            )
        return Secrets(text.encode())
    return Secrets(_file_secret(settings.data_dir.expanduser() / FILE))


def _file_secret(path: Path) -> bytes:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
        found = path.read_bytes().strip()
    except OSError as error:
        raise StorageUnavailable(
            f"the secret of the installation cannot be read or made in {path.parent}: {error.strerror}",
            hint="check FACEMIX_DATA_DIR and who may write there, or set FACEMIX_SECRET",
        ) from error
    if len(found) < LEAST_CHARACTERS:
        raise ConfigError(
            f"{path} holds {len(found)} bytes, which is no secret of an installation",
            hint="put it back from a backup; without it what was sealed and marked before cannot be read",
        )
    return found


def _make(path: Path) -> None:
    """Makes the file unless it is there. It appears whole: of several processes that start at once, one wins."""
    if path.exists():
        return
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
        with suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        unfinished.unlink()
