"""Differentiable augmentation of what a discriminator sees (S. Zhao et al., "Differentiable Augmentation for
Data-Efficient GAN Training", 2020): without it a discriminator learns a small set of photographs by heart.

Translation and cutout only. Changes of colour would teach the decoder to be careless with colour.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Augmentation:
    """One shift and one hole for each image of a batch. Photographs and their reconstructions can share it.

    Attributes:
        shifts: (N, 2) int64, pixels down and to the right.
        kept: (N, 1, S, S) float32, 0 where the shift or the hole leaves nothing (mid-grey), else 1.
    """

    shifts: torch.Tensor
    kept: torch.Tensor

    @classmethod
    def draw(
        cls,
        count: int,
        size: int,
        *,
        translation: float = 1 / 8,
        cutout: float = 1 / 2,
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Augmentation:
        """Draws for `count` images of `size` pixels.

        Args:
            translation: largest shift either way, as a share of the side.
            cutout: side of the hole, as a share of the side; it may reach over the edge. 0 cuts nothing.
            generator: on `device`; what is drawn follows from its state alone.
        """
        reach, side = round(translation * size), round(cutout * size)
        shifts = torch.randint(-reach, reach + 1, (count, 2), generator=generator, device=device)
        start = torch.randint(0, size, (count, 2), generator=generator, device=device) - side // 2
        place = torch.arange(size, device=device)
        origin = place - shifts[..., None]  # (N, 2, S): the row, or column, that comes to each place
        inside = (origin >= 0) & (origin < size)
        hole = (place >= start[..., None]) & (place < start[..., None] + side)
        kept = inside[:, 0, :, None] & inside[:, 1, None, :] & ~(hole[:, 0, :, None] & hole[:, 1, None, :])
        return cls(shifts, kept[:, None].float())

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) to the same, differentiable."""
        count, channels, size, _ = images.shape
        place = torch.arange(size, device=images.device)
        rows, columns = ((place - self.shifts[:, axis, None]) % size for axis in (0, 1))  # (N, S), wrapped round
        images = images.gather(2, rows[:, None, :, None].expand(count, channels, size, size))
        images = images.gather(3, columns[:, None, None, :].expand(count, channels, size, size))
        return images * self.kept
