"""The invisible mark: a keyed spread-spectrum pattern in the middle frequencies of the brightness.

After Cox, Kilian, Leighton and Shamoon, "Secure spread spectrum watermarking for multimedia" (1997): each of some 900
coefficients of a cosine transform is pushed a little towards a sign that only this installation knows, and the mark is
found by correlation, against which compression and scaling can do little at once. As in informed embedding (Miller,
Doerr and Cox, "Applying informed coding and embedding", 2004), a coefficient is pushed only as far as it helps: one
that has its sign already is left alone, and so is one that no small push would turn.

A third of the coefficients, the *sign of the installation*, is the same in every result. The others carry the
*payload*, the HMAC of the recipe's hash, so that a result leads back to the rows of the ledger with that recipe.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

GRID = 64  # rows and columns of the picture that mark and detector compute with, whatever the size of the result
BITS = 256  # of the payload
LEAST_SIDE = 64  # frames with a side shorter than the grid's cannot carry the mark

_LOWEST, _HIGHEST = 14, 36  # radius of the coefficients used, in half waves per picture
_COUNT = 44  # coefficients computed in each direction; more than _HIGHEST, and no more
_SURROUND, _NEAR = 1.5, 2.0  # standard deviations of the blurs that tell detail and its strength, in grid pixels
_FLOOR, _CEILING = 3.0, 14.0  # grey levels: how much detail there is at least, and at most, to hide behind
_SOFTNESS = 0.5  # coefficients beyond it count alike, so that no edge outvotes the rest
# Of a push's energy against what it does for the correlation; the first that suffices. The last is for whole
# photographs, whose detail drowns a mark.
_PRICES = (0.4, 0.25, 0.15)
_ENOUGH = (9.0, 11.0)  # scores of installation and recipe that leave room for compression
_PART = 8192  # codes that are compared at once
_NOISE = 0.5  # what compression adds to a coefficient, roughly


class Watermark:
    """Marks results for one installation, and reads how well a picture correlates. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        """
        Args:
            key: secret of the installation, 32 bytes.
        """
        self._code_key = hashlib.sha256(b"payload" + key).digest()
        u, v = np.indices((_COUNT, _COUNT))
        radius = np.hypot(u, v)
        self._places = np.flatnonzero((radius >= _LOWEST) & (radius <= _HIGHEST))
        count = len(self._places)
        # SHAKE and not a generator of NumPy's: what is marked today must be found by the NumPy of some other year.
        stream = hashlib.shake_256(b"carrier" + key).digest(9 * count)
        self._signs = np.where(np.frombuffer(stream[:count], np.uint8) & 1, 1, -1).astype(np.float32)
        order = np.argsort(np.frombuffer(stream[count:], "<u8"), kind="stable")
        self.own = order[: count // 3]  # positions, among all, of the installation's own coefficients
        self._payload = order[count // 3 :]
        self._bits = np.arange(len(self._payload)) % BITS

    def codes(self, recipe_hashes: Sequence[str]) -> np.ndarray:
        """What stands for recipes: (N, BITS) int8 of -1 and 1."""
        digests = b"".join(hmac.digest(self._code_key, one.encode(), "sha256") for one in recipe_hashes)
        return (2 * np.unpackbits(np.frombuffer(digests, np.uint8)).astype(np.int8) - 1).reshape(-1, BITS)

    def embed(self, frames: np.ndarray, recipe_hashes: Sequence[str]) -> None:
        """Marks every frame, in place. The same frame and recipe give the same pixels, in whatever company.

        Frames with a side shorter than `LEAST_SIDE` are left as they are. One that is not square has the pattern
        stretched with it, as the detector stretches the grid.

        Args:
            frames: (N, H, W, 3) uint8 RGB.
            recipe_hashes: one for each frame.
        """
        if min(frames.shape[1:3]) < LEAST_SIDE:
            return
        codes = {one: self.codes([one]) for one in set(recipe_hashes)}
        for frame, recipe_hash in zip(frames, recipe_hashes, strict=True):
            frame[:] = self._marked(frame, codes[recipe_hash])

    def _marked(self, frame: np.ndarray, code: np.ndarray) -> np.ndarray:
        """The frame with the mark, as strong as it must be: much detail takes a stronger one, and hides it."""
        wanted = self._signs.copy()
        wanted[self._payload] *= code[0, self._bits]
        detail, strength = _detail(frame)
        own = wanted * (_basis(GRID).T @ detail @ _basis(GRID)).flat[self._places]
        (height, width), pushes, marked = frame.shape[:2], np.zeros((_COUNT, _COUNT), np.float32), frame
        down, across, larger = _basis(height), _basis(width), math.sqrt(height * width) / GRID
        strength = cv2.resize(strength, (width, height), interpolation=cv2.INTER_LINEAR)
        for price in _PRICES:
            pushes.flat[self._places] = wanted * np.interp(own, *_worthwhile(price))
            added = np.rint(down @ pushes @ across.T * strength * larger).astype(np.int16)
            marked = cv2.add(frame, cv2.merge((added, added, added)), dtype=cv2.CV_8U)
            found = self.read(marked)
            if self.own_score(found) >= _ENOUGH[0] and self.recipe_scores(found[None], code)[0, 0] >= _ENOUGH[1]:
                break
        return marked

    def read(self, pixels: np.ndarray, across: np.ndarray | None = None, down: np.ndarray | None = None) -> np.ndarray:
        """What a picture says of every coefficient's sign, each from -1 to 1: positive where it is the key's.

        Args:
            pixels: (H, W, 3) uint8 RGB, of any size and shape; it is stretched to the grid.
            across, down: `places` of the picture in the one that was marked; without them it is that whole picture.

        Returns:
            (coefficients,), or (len(down), len(across), coefficients).
        """
        detail, _ = _detail(pixels)
        if across is None or down is None:
            found = (_basis(GRID).T @ detail @ _basis(GRID)).reshape(-1)
        else:
            columns = detail @ np.swapaxes(across, 0, 1).reshape(GRID, -1)
            rows = np.swapaxes(down, 0, 1).reshape(GRID, -1).T @ columns
            found = rows.reshape(len(down), _COUNT, len(across), _COUNT).swapaxes(1, 2)
            found = found.reshape(len(down), len(across), -1)
        found = found[..., self._places] * self._signs
        return found / (np.abs(found) + _SOFTNESS)

    def own_score(self, found: np.ndarray) -> np.ndarray:
        """How strongly what `read` gave bears the sign of this installation; see `chance`."""
        own = found[..., self.own]
        return own.sum(-1) / np.maximum(np.sqrt(np.square(own).sum(-1)), 1e-9)

    def recipe_scores(self, found: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """How strongly what `read` gave, (N, coefficients), bears each of the `codes`: (N, codes); see `chance`."""
        sums = found[:, self._payload] @ np.eye(BITS, dtype=np.float32)[self._bits]
        sums /= np.maximum(np.sqrt(np.square(sums).sum(1, keepdims=True)), 1e-9)
        parts = (codes[start : start + _PART].astype(np.float32) for start in range(0, len(codes), _PART))
        return np.concatenate([sums @ part.T for part in parts], axis=1)


def chance(score: float, looks: int = 1) -> float:
    """The most that the probability can be of such a score in a picture without that mark, among so many looks.

    A score is a sum of numbers with random signs, divided by the root of the sum of their squares. Hoeffding's
    inequality (1963) bounds its tail by exp(-score²/2), whatever the picture, since the signs come from the key alone.
    """
    return min(1.0, looks * float(np.exp(-0.5 * max(score, 0.0) ** 2)))


def places(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Cosines on the part of a side from each start to its end, as shares of the side: (N, GRID, coefficients)."""
    middles = (np.arange(GRID) + 0.5) / GRID
    at = starts[:, None] + (ends - starts)[:, None] * middles
    return _cosines(at, GRID)


@lru_cache(8)
def _basis(side: int) -> np.ndarray:
    """The orthonormal cosine transform's lowest waves, (side, coefficients)."""
    return _cosines((np.arange(side) + 0.5) / side, side)


def _cosines(at: np.ndarray, side: int) -> np.ndarray:
    waves = np.cos(np.pi * at[..., None] * np.arange(_COUNT)) * np.sqrt(2 / side)
    waves[..., 0] /= np.sqrt(2)
    return waves.astype(np.float32)


def _detail(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture's detail on the grid, everywhere of about equal strength, and that strength in grey levels."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smaller = grey.shape[0] > GRID or grey.shape[1] > GRID
    grey = cv2.resize(grey, (GRID, GRID), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), _SURROUND)
    strength = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _NEAR))
    strength = np.minimum(strength + _FLOOR, _CEILING)
    return detail / strength, strength


@lru_cache(8)
def _worthwhile(price: float) -> tuple[np.ndarray, np.ndarray]:
    """Which push is worth its price, for every coefficient times its wanted sign: a table for interpolation.

    What a push brings is the softened coefficient's mean under the noise of compression, less the price of its energy.
    """
    own, push, noise = np.linspace(-6, 6, 241), np.linspace(0, 3, 121), np.linspace(-3, 3, 41)
    likely = np.exp(-(noise**2) / 2)
    after = own[:, None, None] + push[:, None] + _NOISE * noise
    worth = (after / (np.abs(after) + _SOFTNESS) * likely).sum(-1) / likely.sum() - price * push**2
    return own, push[worth.argmax(1)]
