"""Latents as text: how they stand in recipes and requests."""

from __future__ import annotations

import base64
import binascii

import numpy as np

from facemix.errors import RecipeInvalid

LATENT_PATTERN = r"^[A-Za-z0-9+/]+={0,2}$"
MOST_LATENT_CHARACTERS = 4 * 4096 * 4 // 3 + 4  # of 4,096 numbers, more than any model has
# No face is near it: the shipped model's prior draws nothing beyond 6 in two million numbers, and its encoder makes at
# most 35 of pure noise. A tenth of what backends take (`facemix.serving.backends.base.LATENT_LIMIT`), since slerp and
# attributes lead beyond the parents.
_LARGEST = 1e3


def pack_latent(z: np.ndarray) -> str:
    """(Z,) numbers to base64 of little-endian float32."""
    return base64.b64encode(np.ascontiguousarray(z, "<f4").tobytes()).decode("ascii")


def unpack_latent(text: str, size: int, *, where: str | None = None) -> np.ndarray:
    """What `pack_latent` wrote, bit for bit: (size,) float32.

    Raises:
        RecipeInvalid: not base64, not `size` numbers, or a number that is not finite or beyond 1000.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RecipeInvalid("the latent is not base64", hint="send it as it was given out", where=where) from error
    if len(data) != 4 * size:
        raise RecipeInvalid(
            f"the latent has {len(data)} bytes, not the {4 * size} of {size} numbers",
            hint="send it as it was given out, for the model that made it",
            where=where,
        )
    z = np.frombuffer(data, "<f4").astype(np.float32)
    if not _near(z):
        raise RecipeInvalid(
            f"the latent holds a number that is not finite, or beyond {_LARGEST:g}",
            hint="send it as it was given out",
            where=where,
        )
    return z


def check_result(z: np.ndarray) -> None:
    """Raises `RecipeInvalid` for the latent of a mix, (Z,), that `unpack_latent` would not take back."""
    if not _near(z):
        raise too_far()


def too_far() -> RecipeInvalid:
    return RecipeInvalid(
        "the mix lies too far from every face that the model knows",
        hint="send latents as they were given out",
        where="parents",
    )


def _near(z: np.ndarray) -> bool:
    return bool(np.abs(z).max() <= _LARGEST)  # not so for NaN
