"""Sliced Wasserstein distance on Laplacian pyramids: how unlike two sets of pictures are, without a network.

T. Karras, T. Aila, S. Laine, J. Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and
Variation", 2018, section 5. The figures depend on the number of pictures and on how they are cropped, so they compare
with one another and with their floor, not with published ones.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

_PATCH = 7
_PER_IMAGE = 128
_DIRECTIONS = 256
_SMALLEST = 16  # the side of the pyramid's last level


class SlicedWasserstein:
    """Distances from one set of pictures.

    A descriptor is a patch of 7 x 7 x 3 pixels of one level of the Laplacian pyramid; every picture gives 128 of them
    per level, at random places. Each set's descriptors are normalised to mean 0 and deviation 1 per channel, as
    published: how much detail there is does not count, what it is like does. Their projections on 256 random directions
    are sorted and compared.

    Args:
        reference: (P, S, S, 3) uint8.
        seed: of places and directions.
    """

    def __init__(self, reference: np.ndarray, *, seed: int) -> None:
        self._seed = seed
        self._shape = reference.shape
        self._projected = self._projections(reference)

    def distance(self, pictures: np.ndarray) -> dict[str, float]:
        """Per level, named by its side in pixels, and ``mean`` over the levels; all times 1,000.

        pictures: as many as in the reference, and as large.

        Raises:
            ValueError: they are not.
        """
        if pictures.shape != self._shape:
            raise ValueError(f"pictures of shape {pictures.shape} do not compare with {self._shape}")
        found = {
            side: 1000 * float((mine - theirs).abs().mean())
            for (side, mine), theirs in zip(self._projections(pictures).items(), self._projected.values(), strict=True)
        }
        return {"mean": float(np.mean(list(found.values()))), **found}

    def _projections(self, pictures: np.ndarray) -> dict[str, torch.Tensor]:
        """Per level (directions, descriptors) float32, every row sorted. The same draws for every set."""
        found = {}
        for number, level in enumerate(_levels(pictures)):
            generator = np.random.default_rng((self._seed, 2, number))
            descriptors = _descriptors(level, generator)
            directions = generator.standard_normal((descriptors.shape[1], _DIRECTIONS)).astype(np.float32)
            directions /= np.linalg.norm(directions, axis=0)
            projected = torch.from_numpy(directions.T @ descriptors.T)
            found[str(level.shape[1])] = projected.sort(dim=1).values
        return found


def laplacian_pyramid(picture: np.ndarray) -> list[np.ndarray]:
    """(S, S, 3) uint8 to the levels from the finest on, float32: S, S / 2, ... down to 16 pixels, or S where that is
    smaller; all but the last are what the next coarser one lacks. The last is the reduced picture itself."""
    current, levels = picture.astype(np.float32), []
    while current.shape[0] >= 2 * _SMALLEST and current.shape[0] % 2 == 0:
        coarser = cv2.pyrDown(current)
        levels.append(current - cv2.pyrUp(coarser))
        current = coarser
    return [*levels, current]


def _levels(pictures: np.ndarray) -> list[np.ndarray]:
    pyramids = [laplacian_pyramid(picture) for picture in pictures]
    return [np.stack(level) for level in zip(*pyramids, strict=True)]


def _descriptors(level: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(P, H, H, 3) to (P x 128, 147), normalised per channel."""
    count, side = level.shape[:2]
    y, x = (generator.integers(0, side - _PATCH + 1, (count, _PER_IMAGE)) for _ in range(2))
    within = np.arange(_PATCH)
    patches = level[
        np.arange(count)[:, None, None, None],
        y[:, :, None, None] + within[:, None],
        x[:, :, None, None] + within[None, :],
    ].reshape(-1, _PATCH * _PATCH, 3)
    patches = patches - patches.mean((0, 1))
    patches /= np.maximum(patches.std((0, 1)), 1e-6)
    return patches.reshape(len(patches), -1)
