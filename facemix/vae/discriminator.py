"""A patch discriminator, and what it asks of a decoder.

It says of every part of a crop, not of the crop as a whole, whether it looks like a photograph (P. Isola et al.,
"Image-to-Image Translation with Conditional Adversarial Networks", 2017), so what it teaches is texture and not
who somebody is. Most of its work happens at 16 x 16 and 8 x 8 positions, where a CPU is fastest. There is no
normalisation: the gradient penalties keep it smooth, and one face's verdict does not depend on its company.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

_SLOPE = 0.2


class Discriminator(nn.Module):
    """Crops to a map of logits, above 0 where they look like photographs."""

    def __init__(self, widths: Sequence[int] = (64, 128, 160, 160), *, patch: int = 2) -> None:
        """widths: channels of the convolutions, from fine to coarse; all but the last halve the resolution.

        patch: pixel-unshuffle factor at the input.
        """
        super().__init__()
        self.patch = patch
        channels = (3 * patch**2, *widths)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=1 if index == len(widths) - 1 else 2, padding=1)
            for index, (before, after) in enumerate(itertools.pairwise(channels))
        )
        self.head = nn.Conv2d(widths[-1], 1, 3, padding=1)
        for conv in self.convs:
            nn.init.kaiming_normal_(conv.weight, a=_SLOPE)
            nn.init.zeros_(conv.bias)
        nn.init.normal_(self.head.weight, std=0.01)  # undecided at first
        nn.init.zeros_(self.head.bias)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """images: (N, 3, S, S) in [-1, 1], S a multiple of the patch.

        Returns:
            logits, (N, 1, H, W), and the features behind each convolution, fine to coarse.
        """
        h, features = F.pixel_unshuffle(images, self.patch), []
        if h.device.type == "cpu":
            h = h.contiguous(memory_format=torch.channels_last)
        for conv in self.convs:
            h = F.leaky_relu(conv(h), _SLOPE)
            features.append(h)
        return self.head(h), features


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """-log D(real) - log(1 - D(fake)), mean over positions and images (Goodfellow et al. 2014). Logits of any shape."""
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def adversarial_loss(fake: torch.Tensor) -> torch.Tensor:
    """-log D(fake), the non-saturating loss of whoever made the fakes, mean over positions.

    fake: (N, 1, H, W) logits. Returns (N,).
    """
    return F.softplus(-fake.float()).mean((1, 2, 3))


def feature_distance(real: Sequence[torch.Tensor], fake: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean over layers of the L1 distance between features, relative to the size of the real ones.

    The photographs' features are a target and get no gradient (T. Salimans et al., "Improved Techniques for
    Training GANs", 2016; T.-C. Wang et al., pix2pixHD, 2018, for the layers one by one).

    Args:
        real, fake: one tensor per layer, of equal shapes.
    """
    layers = []
    for wanted, found in zip(real, fake, strict=True):
        wanted = wanted.detach().float()
        layers.append((found.float() - wanted).abs().mean() / wanted.abs().mean().clamp(min=1e-6))
    return torch.stack(layers).mean()


def gradient_penalty(discriminator: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Squared norm of the gradient of each image's mean logit by its pixels: (N,), float32, differentiable.

    On photographs this is R1 (L. Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018,
    eq. 9, without gamma / 2), on fakes R2. Call it outside autocast: second derivatives need float32.

    Args:
        images: (N, 3, S, S) in [-1, 1].
    """
    images = images.detach().float().requires_grad_()
    logits, _ = discriminator(images)
    # An image's logits depend on that image alone, so one backward pass gives every image's own gradient.
    (gradient,) = torch.autograd.grad(logits.mean((1, 2, 3)).sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3))
