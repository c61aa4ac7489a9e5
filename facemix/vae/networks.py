"""The convolutional variational autoencoder.

Pixel-unshuffle in, pre-activation residual blocks with GroupNorm and SiLU, one compact global latent, a decoder
whose every block is modulated by that latent (FiLM), pixel-shuffle out. GroupNorm has no batch statistics, so
a face is encoded alike alone and in company. The latent is global on purpose: a spatial one cross-fades two
faces where a global one turns the one into the other.

Where the configuration asks for it, a linear path beside the convolutions carries a low-pass picture of the face into
the latent and out of it. It is fitted in closed form (principal components, see `training.start`) and not trained
further, so that training begins where the best linear code ends and the convolutions draw what no linear code can:
every edge finer than the low-pass picture.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from facemix.vae.config import VAEConfig
from facemix.vae.posterior import Posterior


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))) at constant width; (N, C, H, W) to the same."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)  # the block begins as the identity
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


class FilmBlock(ResidualBlock):
    """A residual block whose second norm is scaled and shifted by the latent (Perez et al. 2018, FiLM)."""

    def __init__(self, width: int, groups: int, latent_size: int) -> None:
        super().__init__(width, groups)
        self.film = nn.Linear(latent_size, 2 * width)
        nn.init.zeros_(self.film.bias)
        nn.init.normal_(self.film.weight, std=0.5 / latent_size**0.5)

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.film(z)[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        return x + self.conv2(F.silu(h))


class FittedLinear(nn.Module):
    """A linear map, (N, I) to (N, O), that begins as zero and is fitted in closed form: no gradient changes it."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(outputs, inputs))
        self.register_buffer("bias", torch.zeros(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias)


class LinearEncoder(nn.Module):
    """Principal components of the low-pass picture: (N, 3, S, S) to (N, Z), of unit variance over the training set."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.shrink = config.crop_size // config.linear_side
        self.project = FittedLinear(3 * config.linear_side**2, config.latent_size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.project(F.avg_pool2d(images, self.shrink).flatten(1))


class LinearDecoder(nn.Module):
    """Back from principal components to the picture, enlarged smoothly: (N, Z) to (N, 3, S, S)."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.size, self.side = config.crop_size, config.linear_side
        self.draw = FittedLinear(config.latent_size, 3 * config.linear_side**2)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        small = self.draw(z).unflatten(1, (3, self.side, self.side))
        return F.interpolate(small, size=self.size, mode="bicubic", align_corners=False)


class Encoder(nn.Module):
    """Crops to posterior moments: (N, 3, S, S) in [-1, 1] to (N, 2 Z)."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths, groups = config.encoder_widths, config.norm_groups
        self.patch = config.encoder_patch
        self.stem = nn.Conv2d(3 * config.encoder_patch**2, widths[0], 3, padding=1)
        self.stages = nn.ModuleList(
            nn.ModuleList(ResidualBlock(width, groups) for _ in range(config.blocks)) for width in widths
        )
        self.downs = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in itertools.pairwise(widths)
        )
        self.norm = nn.GroupNorm(groups, widths[-1])
        self.head = nn.Linear(widths[-1] * config.coarsest("encoder") ** 2, 2 * config.latent_size)
        self.linear = LinearEncoder(config) if config.linear_side else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        h = self.stem(F.pixel_unshuffle(images, self.patch))
        for index, blocks in enumerate(self.stages):
            if index:
                h = self.downs[index - 1](h)
            for block in blocks:
                h = block(h)
        moments = self.head(F.silu(self.norm(h)).flatten(1))
        if self.linear is None:
            return moments
        mean, logvar = moments.chunk(2, dim=1)
        return torch.cat([mean + self.linear(images), logvar], dim=1)


class Decoder(nn.Module):
    """Latents to crops: (N, Z) to (N, 3, S, S), unbounded; values beyond [-1, 1] are clipped on the way out."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths, groups = tuple(reversed(config.decoder_widths)), config.norm_groups  # coarse to fine
        self.start = (widths[0], config.coarsest("decoder"), config.coarsest("decoder"))
        self.patch = config.decoder_patch
        self.stem = nn.Linear(config.latent_size, widths[0] * config.coarsest("decoder") ** 2)
        self.stages = nn.ModuleList(
            nn.ModuleList(FilmBlock(width, groups, config.latent_size) for _ in range(config.blocks))
            for width in widths
        )
        self.ups = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1)  # commutes with nearest upsampling: a quarter of the work, before it
            for coarse, fine in itertools.pairwise(widths)
        )
        self.norm = nn.GroupNorm(groups, widths[-1])
        self.head = nn.Conv2d(widths[-1], 3 * config.decoder_patch**2, 3, padding=1)
        self.linear = LinearDecoder(config) if config.linear_side else None

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        h = self.stem(z).unflatten(1, self.start)
        if z.device.type == "cpu":
            h = h.contiguous(memory_format=torch.channels_last)
        for index, blocks in enumerate(self.stages):
            if index:
                h = F.interpolate(self.ups[index - 1](h), scale_factor=2, mode="nearest")
            for block in blocks:
                h = block(h, z)
        images = F.pixel_shuffle(self.head(F.silu(self.norm(h))), self.patch)
        return images if self.linear is None else images + self.linear(z)


class VAE(nn.Module):
    """Encoder, Gaussian posterior, decoder."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, images: torch.Tensor) -> Posterior:
        """images: (N, 3, S, S), float in [-1, 1]."""
        return Posterior(self.encoder(images))

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """z: (N, Z). Returns (N, 3, S, S) float; clip to [-1, 1] before showing."""
        return self.decoder(z)

    def forward(self, images: torch.Tensor, generator: torch.Generator | None = None) -> tuple[torch.Tensor, Posterior]:
        """The training pass: reconstructions of a posterior sample, and the posterior."""
        posterior = self.encode(images)
        return self.decode(posterior.sample(generator)), posterior


def count_parameters(module: nn.Module) -> int:
    """Number of values, fitted and trained."""
    return sum(tensor.numel() for tensor in itertools.chain(module.parameters(), module.buffers()))
