"""How much fine detail a decoder keeps: the figures that training is watched by.

`facemix evaluate` measures the same and more, with intervals; its figures are the ones to publish.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from facemix.training.dataset import FaceSet
from facemix.training.trainer import as_images
from facemix.vae.detail import fade_detail
from facemix.vae.networks import VAE

_REC601 = (0.299, 0.587, 0.114)  # ITU-R BT.601, luma of red, green and blue
_ROUNDING_ENERGY = 1 / (12 * 255**2)  # what rounding to 8 bits leaves: nothing is divided by less


def laplacian_energy(images: torch.Tensor) -> torch.Tensor:
    """Mean squared Laplacian (4 neighbours) of the brightness, away from the edge: (N,), of levels in [0, 1].

    images: (N, 3, S, S) in [-1, 1]; values beyond are clipped, and all are rounded to 8 bits as when shown.
    """
    levels = (images.float().clamp(-1, 1) * 127.5 + 128).floor() / 255
    luma = (levels * levels.new_tensor(_REC601)[:, None, None]).sum(1)
    middle = luma[:, 1:-1, 1:-1]
    around = luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    return (around - 4 * middle).square().mean((1, 2))


def lacking_contrast(outputs: torch.Tensor, images: torch.Tensor, *, patch: int = 16, levels: int = 2) -> torch.Tensor:
    """A scalar whose gradient asks for the contrast that outputs lack, along their photographs' own edges; below 0.

    Squared and absolute errors are least where uncertain detail is left out, so edges that the decoder is sure of come
    out weak, too. In every patch, with L the Laplacian of the brightness and A its root mean square, this is

        -max(0, 1 - A_output / A_image) * mean(L_output * L_image) / A_image

    with the first factor held constant. Only what agrees with the photograph is rewarded, and only while contrast is
    missing. (To ask for A_output = A_image itself is answered with a weave of pixels, which agrees with nothing.)

    Args:
        outputs, images: (N, 3, S, S) in [-1, 1], S a multiple of 2 ** (levels - 1).
        patch: side of a patch, pixels.
        levels: sum over so many resolutions, each half of the one before.
    """
    total = outputs.new_zeros((), dtype=torch.float32)
    for level in range(levels):
        found, wanted = (_edges(one, 2**level) for one in (outputs, images))
        pool = patch // 2**level
        strength = F.avg_pool2d(wanted.square(), pool, ceil_mode=True).add(80 * _ROUNDING_ENERGY).sqrt()
        drawn = F.avg_pool2d(found.detach().square(), pool, ceil_mode=True).sqrt()
        agreement = F.avg_pool2d(found * wanted, pool, ceil_mode=True) / strength
        total = total - ((1 - drawn / strength).clamp(min=0) * agreement).mean()
    return total


def _edges(images: torch.Tensor, shrink: int) -> torch.Tensor:
    luma = (images.float() * images.new_tensor(_REC601)[:, None, None]).sum(1, keepdim=True)
    kernel = luma.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    return F.conv2d(F.pad(F.avg_pool2d(luma, shrink), (1, 1, 1, 1), mode="replicate"), kernel)


def laplacian_pyramid_distance(error: torch.Tensor, levels: int, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Sum over levels of the mean absolute value of a Laplacian pyramid, finest first; a scalar.

    The pyramid is linear, so that of two images' difference is the difference of their pyramids. Each level is what
    averaging over 2 x 2 pixels and bilinear enlargement lose (P. Burt, E. Adelson, 1983, with a shorter filter).

    Args:
        error: (N, 3, S, S), the difference of two batches, S a multiple of 2 ** levels.
        weights: (1, 1, S, S), how much each place counts.
    """
    total = error.new_zeros(())
    for level in range(levels):
        coarse = F.avg_pool2d(error, 2)
        band = (error - F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)).abs()
        if weights is not None:
            band = band * (F.avg_pool2d(weights, 2**level) if level else weights)
        total, error = total + band.mean(), coarse
    return total


@torch.no_grad()
def measure(vae: VAE, faces: FaceSet, device: torch.device) -> dict[str, float]:
    """Fidelity and detail of reconstructions and mid-points, on a split.

    Returns:
        ``psnr``: dB, mean over images, as in training. ``sharpness``: Laplacian energy of the reconstruction over the
        photograph's, mean over images; ``sharpness_pooled``: the sum of the energies over the sum of them.
        ``midpoint_sharpness``: energy of the decoded mid-point of two neighbours in the split over the mean of their
        reconstructions', mean over pairs; 1 where there is only one face. Of a latent of two levels also
        ``psnr_without_detail``: what the coarse level draws by itself; were it close to nothing, the decoder would
        have learnt to pass it by.
    """
    coarse_size = vae.config.coarse_size
    psnr, coarse, before, after, middle, latents = [], [], [], [], [], []
    for chunk in faces.images.split(64):
        images = as_images(chunk, device)
        z = vae.encode(images).mode()
        decoded = vae.decode(z).clamp(-1, 1)
        psnr.append(_psnr(images, decoded))
        if coarse_size:
            bare = F.pad(z[:, :coarse_size], (0, z.shape[1] - coarse_size))
            coarse.append(_psnr(images, vae.decode(bare).clamp(-1, 1)))
        before.append(laplacian_energy(images))
        after.append(laplacian_energy(decoded))
        latents.append(z)
    source, output, z = (torch.cat(parts) for parts in (before, after, latents))
    source = source.clamp(min=_ROUNDING_ENERGY)
    first, second = z[0::2][: len(z) // 2], z[1::2]
    for one, other in zip(first.split(64), second.split(64), strict=True):
        mixed = fade_detail((one + other) / 2, torch.tensor([0.5, 0.5], device=device), coarse_size)
        middle.append(laplacian_energy(vae.decode(mixed)))
    kept = torch.ones(1)
    if len(second):
        ends = (output[0::2][: len(z) // 2] + output[1::2]) / 2
        kept = torch.cat(middle) / ends.clamp(min=_ROUNDING_ENERGY)
    bare_figure = {"psnr_without_detail": float(torch.cat(coarse).mean())} if coarse else {}
    return {
        "psnr": float(torch.cat(psnr).mean()),
        **bare_figure,
        "sharpness": float((output / source).mean()),
        "sharpness_pooled": float(output.sum() / source.sum()),
        "midpoint_sharpness": float(kept.mean()),
    }


def _psnr(images: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
    return -10 * torch.log10(((images - decoded) / 2).square().mean((1, 2, 3)))
