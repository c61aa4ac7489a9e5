"""Grids of faces for a person to look at: pairs of photograph and reconstruction, samples, interpolations."""

from __future__ import annotations

import warnings

import torch

from facemix.vae.detail import fade_detail
from facemix.vae.networks import VAE

_PADDING = 2


def tile(images: torch.Tensor, columns: int) -> torch.Tensor:
    """(N, 3, S, S) in [-1, 1] to one (3, H, W) picture in [-1, 1], `columns` to a row.

    torchvision draws it where it can be imported. A torchvision built for another torch raises RuntimeError
    on import rather than ImportError; then, as where it is not installed, the same grid is drawn here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from torchvision.utils import make_grid
        except (ImportError, RuntimeError):
            make_grid = _make_grid
    return make_grid(images, nrow=columns, padding=_PADDING, pad_value=-1.0)


def _make_grid(images: torch.Tensor, nrow: int, padding: int, pad_value: float) -> torch.Tensor:
    count, channels, height, width = images.shape
    if count == 1:
        return images[0]  # as torchvision does: one picture needs no frame
    columns = min(nrow, count)
    rows = -(-count // columns)
    grid = images.new_full(
        (channels, rows * (height + padding) + padding, columns * (width + padding) + padding), pad_value
    )
    for index, image in enumerate(images):
        top = padding + (index // columns) * (height + padding)
        left = padding + (index % columns) * (width + padding)
        grid[:, top : top + height, left : left + width] = image
    return grid


@torch.no_grad()
def reconstruction_grid(vae: VAE, images: torch.Tensor, columns: int = 8) -> torch.Tensor:
    """Each photograph above its reconstruction. images: (N, 3, S, S) in [-1, 1]. Returns (3, H, W).

    It shows the photographs: for the eyes of whoever trains, never to be published.
    """
    decoded = vae.decode(vae.encode(images).mode()).clamp(-1, 1)
    columns, rows = min(columns, len(images)), []
    for start in range(0, len(images), columns):
        for row in (images[start : start + columns], decoded[start : start + columns]):
            # An incomplete row is filled up, or the reconstructions would begin beside their photographs.
            rows += [row, row.new_full((columns - len(row), *row.shape[1:]), -1.0)]
    return tile(torch.cat(rows), columns)


@torch.no_grad()
def sample_grid(vae: VAE, count: int = 32, columns: int = 8, seed: int = 0) -> torch.Tensor:
    """Draws from the prior. Returns (3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(count, vae.config.latent_size, generator=generator)
    return tile(vae.decode(z.to(next(vae.parameters()).device)).clamp(-1, 1), columns)


@torch.no_grad()
def interpolation_grid(vae: VAE, images: torch.Tensor, steps: int = 9) -> torch.Tensor:
    """A row per pair of neighbouring images: decoded from the first to the second. Returns (3, H, W).

    images: (N, 3, S, S) in [-1, 1], N at least 2; of an odd number the last is left out.
    """
    z = vae.encode(images).mode()
    t = torch.linspace(0, 1, steps, device=z.device)[:, None]
    weights = torch.cat([1 - t, t], dim=1)
    paths = (
        fade_detail(a + t * (b - a), weights, vae.config.coarse_size) for a, b in zip(z[0::2], z[1::2], strict=False)
    )
    rows = [vae.decode(path) for path in paths]
    return tile(torch.cat(rows).clamp(-1, 1), steps)
