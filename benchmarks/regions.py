"""Draws the regions of the crop, and what they and colours of one face do to another, on faces of nobody:

    python -m benchmarks.regions checkpoints/facemix-128 --out docs/pictures/regions.png

First the masks, on the first face. Then a row for each pair of draws from the model's prior: one face, the other's
region in it for each region and for the three features together, with the other's colours, and the other face.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from facemix.imaging.arrays import to_pixels
from facemix.imaging.encode import encode_image
from facemix.mixing.colour import transfer
from facemix.mixing.prior import sample_noise
from facemix.mixing.recipe import REGIONS, Region
from facemix.mixing.regions import blend, masks
from facemix.vae.checkpoint import Checkpoint, load_checkpoint

PAIRS = ((9, 30), (30, 25), (25, 15))
GAP, HEAD = 2, 24
FEATURES: tuple[Region, ...] = ("eyes", "nose", "mouth")
COLUMNS = ("one", *REGIONS, "features", "colours", "other")
OUTSIDE = 0.15  # brightness left to what a mask does not cover


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/regions.png"))
    options = parser.parse_args()
    pixels = sheet(load_checkpoint(options.checkpoint))
    options.out.write_bytes(encode_image(pixels, "image/png"))
    print(f"{options.out}: {pixels.shape[1]} x {pixels.shape[0]} pixels")


def sheet(checkpoint: Checkpoint, pairs: Sequence[tuple[int, int]] = PAIRS) -> np.ndarray:
    """(H, W, 3) uint8: the masks, then a row per pair."""
    size = checkpoint.card.config.crop_size
    rows = []
    for one, other in (draws(checkpoint, pair) for pair in pairs):
        regions = [blend(np.stack([one, other]), [name]) for name in REGIONS]
        features = blend(np.stack([one, other, other, other]), FEATURES)
        rows.append([one, *regions, features, transfer(one, other), other])
    covers = OUTSIDE + (1 - OUTSIDE) * masks(size)[..., None]
    shown: list[np.ndarray | None] = [None] * len(COLUMNS)
    shown[1 : 1 + len(REGIONS)] = list(np.rint(rows[0][0] * covers).astype(np.uint8))
    page = Image.new("RGB", (len(COLUMNS) * (size + GAP) - GAP, HEAD + (1 + len(rows)) * (size + GAP) - GAP), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for column, title in enumerate(COLUMNS):
        left = column * (size + GAP)
        pen.text((left + size // 2, HEAD // 2), title, "black", font, anchor="mm")
        for row, picture in enumerate([shown[column], *(one[column] for one in rows)]):
            if picture is not None:
                page.paste(Image.fromarray(picture), (left, HEAD + row * (size + GAP)))
    return np.asarray(page)


def draws(checkpoint: Checkpoint, numbers: Sequence[int]) -> np.ndarray:
    """Draws from the prior by number, decoded: (N, S, S, 3) uint8."""
    config = checkpoint.card.config
    noise = [sample_noise(number, config.latent_size, ordered=config.linear_side > 0) for number in numbers]
    z = checkpoint.prior.without_detail(config.coarse_size).latents(torch.stack(noise))
    with torch.inference_mode():
        return to_pixels(checkpoint.vae.decode(z))


if __name__ == "__main__":
    main()
