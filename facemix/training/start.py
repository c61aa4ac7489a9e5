"""Where training begins when the network has a linear path: at the best linear code of the training faces."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from facemix.vae.networks import VAE

# Randomised PCA (N. Halko et al., "Finding structure with randomness", 2011): more columns than asked, few passes.
_SPARE_COLUMNS, _PASSES = 48, 3
# The first posterior: about four units of KL for one of likelihood leave this noise, as energy per component of a crop
# in [-1, 1], at 30 dB (reverse water-filling: beta times the crop's mean squared error).
_NOISE_ENERGY = 0.016


@torch.no_grad()
def start_from_components(vae: VAE, crops: torch.Tensor, *, seed: int) -> None:
    """Fits the linear path to `crops` and lets the convolutions begin at zero, so that the network begins as PCA.

    The latent's dimensions are the low-pass picture's principal components, scaled to unit variance, the strongest
    first.

    Args:
        vae: has a linear path (``config.linear_side``).
        crops: (N, S, S, 3) uint8 with N above the latent size.
        seed: of the randomised decomposition.

    Raises:
        ValueError: the network has no linear path, or the faces are too few.
    """
    encoder, decoder, size = vae.encoder.linear, vae.decoder.linear, vae.config.latent_size
    if encoder is None or decoder is None:
        raise ValueError("this network has no linear path to fit")
    if len(crops) <= size:
        raise ValueError(f"{len(crops)} faces do not have {size} principal components")
    device = encoder.project.weight.device
    small = torch.cat([_low_pass(chunk, encoder.shrink) for chunk in crops.split(512)])
    mean = small.mean(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        columns = min(size + _SPARE_COLUMNS, *small.shape)
        _, strengths, axes = torch.svd_lowrank(small - mean, q=columns, niter=_PASSES)
    spread = (strengths[:size] / len(small) ** 0.5).clamp(min=1e-6)
    axes = axes[:, :size]
    # A component and its mirror image are the same: fix the sign, so that equal data give equal latents.
    axes = axes * torch.sign(axes.gather(0, axes.abs().argmax(0, keepdim=True)))
    encoder.project.weight.copy_((axes / spread).T.to(device))
    encoder.project.bias.copy_((-(mean @ axes) / spread).to(device))
    decoder.draw.weight.copy_((axes * spread).to(device))
    decoder.draw.bias.copy_(mean.to(device))

    torch.nn.init.zeros_(vae.decoder.head.weight)
    torch.nn.init.zeros_(vae.decoder.head.bias)
    torch.nn.init.zeros_(vae.encoder.head.weight)
    torch.nn.init.zeros_(vae.encoder.head.bias)
    energy = (spread * encoder.shrink) ** 2  # of a component in the whole crop
    vae.encoder.head.bias[size:].copy_(torch.log(_NOISE_ENERGY / (_NOISE_ENERGY + energy)).to(device))


def _low_pass(crops: torch.Tensor, shrink: int) -> torch.Tensor:
    images = crops.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    return F.avg_pool2d(images, shrink).flatten(1)
