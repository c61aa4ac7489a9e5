"""The smallest VAE that still has every part, seeded, and a checkpoint of it.

Its faces are blotches, but they are the same blotches every time: enough for everything except looks.
"""

from __future__ import annotations

from pathlib import Path

import torch

from facemix.vae.checkpoint import save_checkpoint
from facemix.vae.config import VAEConfig
from facemix.vae.networks import VAE

TINY = VAEConfig(
    crop_size=32,
    latent_size=8,
    encoder_patch=4,
    encoder_widths=(8, 16),
    decoder_patch=4,
    decoder_widths=(8, 16),
    norm_groups=4,
)


def tiny_vae(config: VAEConfig = TINY, *, seed: int = 0) -> VAE:
    """A VAE in evaluation mode, on the CPU, whose outputs depend on its inputs.

    A fresh network begins with residual branches of zero; here every tensor is stirred, so that a tensor which
    is lost or swapped on its way through a file is noticed. The caller's random state is left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = VAE(config)
        with torch.no_grad():
            for tensor in (*vae.parameters(), *vae.buffers()):
                tensor.add_(0.02 * torch.randn_like(tensor))
    return vae.eval().requires_grad_(False)


def tiny_checkpoint(folder: Path, *, seed: int = 0, config: VAEConfig = TINY, **card: object) -> Path:
    """Writes `tiny_vae` as a checkpoint into `folder`, which it returns. card: fields of the card to change."""
    fields: dict[str, object] = {
        "name": "tiny",
        "created": "2026-01-01T00:00:00+00:00",
        "training": {"images_seen": 0},
        "data": {"name": "noise", "kept": 0},
        "metrics": {"psnr": 10.0},
        "code_version": "0",
        "licence": "CC0-1.0",
    }
    save_checkpoint(folder, tiny_vae(config, seed=seed), **(fields | card))
    return folder
