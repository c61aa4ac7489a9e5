"""Draws what the attribute directions of a checkpoint do, on faces of nobody:

    python -m benchmarks.attributes checkpoints/facemix-128 --out docs/pictures/attributes.png

One row per attribute; three draws from the model's prior, each at -2, -1, 0, 1 and 2 standard deviations.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from facemix.imaging.arrays import to_pixels
from facemix.imaging.encode import encode_image
from facemix.mixing.attributes import apply
from facemix.mixing.prior import sample_noise
from facemix.vae.checkpoint import Checkpoint, load_checkpoint
from facemix.vae.directions import AttributeDirections, load_directions

VALUES = (-2.0, -1.0, 0.0, 1.0, 2.0)
SAMPLES = (3, 21, 40)
GAP, WIDE_GAP, LEGEND, HEAD = 2, 12, 150, 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--directions", type=Path, help="folder of the directions, if not the checkpoint's")
    parser.add_argument("--samples", type=int, nargs="+", default=SAMPLES, help="numbers of the draws")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/attributes.png"))
    options = parser.parse_args()
    checkpoint = load_checkpoint(options.checkpoint)
    found = load_directions(options.directions or options.checkpoint, checkpoint.card)
    pixels = grid(checkpoint, found, options.samples)
    options.out.write_bytes(encode_image(pixels, "image/png"))
    print(f"{options.out}: {pixels.shape[1]} x {pixels.shape[0]} pixels")


def grid(checkpoint: Checkpoint, found: AttributeDirections, samples: tuple[int, ...] = SAMPLES) -> np.ndarray:
    """(H, W, 3) uint8: a row per attribute, a block of columns per draw from the prior."""
    size = checkpoint.card.config.crop_size
    config = checkpoint.card.config
    noise = torch.stack(
        [sample_noise(number, config.latent_size, ordered=config.linear_side > 0) for number in samples]
    )
    z = checkpoint.prior.without_detail(checkpoint.card.config.coarse_size).latents(noise)
    block = len(VALUES) * (size + GAP) - GAP
    width = LEGEND + len(samples) * (block + WIDE_GAP) - WIDE_GAP
    height = HEAD + len(found.names) * (size + GAP) - GAP
    page = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for row, attribute in enumerate(found.card.attributes):
        top = HEAD + row * (size + GAP)
        pen.text((4, top + size // 2), attribute.name.replace("_", " "), "black", font, anchor="lm")
        for column, value in enumerate(VALUES):
            with torch.inference_mode():
                faces = to_pixels(checkpoint.vae.decode(apply(z, {attribute.name: value}, found)))
            for number, face in enumerate(faces):
                left = LEGEND + number * (block + WIDE_GAP) + column * (size + GAP)
                page.paste(Image.fromarray(face), (left, top))
                if row == 0:
                    pen.text((left + size // 2, HEAD // 2), f"{value:+g}" if value else "0", "black", font, anchor="mm")
    return np.asarray(page)


if __name__ == "__main__":
    main()
