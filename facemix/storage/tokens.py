"""Secrets that are given out once and stored as a hash only.

A plain SHA-256 is right here, and a slow password hash would be wrong: every secret is 256 random bits, so there is no
dictionary to try, and a key is looked up by its hash on every request.
"""

from __future__ import annotations

import hashlib
import secrets

TOKEN_BYTES = 32
ID_BYTES = 12  # 96 bits, 16 characters: short enough for a link, too many to guess
LONG_ID_BYTES = 16  # 128 bits, 22 characters: nobody finds another's thing by trying


def new_token(prefix: str = "") -> str:
    """`prefix`, then 43 characters of the URL-safe alphabet: 256 random bits."""
    return prefix + secrets.token_urlsafe(TOKEN_BYTES)


def new_id(size: int = ID_BYTES) -> str:
    """`size` random bytes in the URL-safe alphabet, the first of them no hyphen: a command would read an option."""
    while (found := secrets.token_urlsafe(size)).startswith("-"):
        pass
    return found


def token_hash(token: str) -> str:
    """SHA-256 of the token, hexadecimal. Takes any text: what no `new_token` could have made matches nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
