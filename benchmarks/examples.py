"""Draws the pictures of README.md and the model's page with a checkpoint: ``make examples``.

From scikit-image's public-domain portrait (`astronaut`) and the model's own prior:

    docs/pictures/mix.png       the portrait, its way to a sample face, and that face
    docs/pictures/samples.png   draws from the prior

and, with ``--data FOLDER`` (a data set of `facemix prepare`), from faces of its test split that the model has never
seen, reconstructions and mixes only, never the photographs:

    docs/pictures/unseen.png    each row from one unseen person to another
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import skimage.data
import torch

from facemix.faces.align import Alignment
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.imaging.encode import encode_image
from facemix.mixing.interpolation import interpolate
from facemix.serving.engine import Engine, engine_from_settings
from facemix.settings import load_settings

GAP = 4
SAMPLE = 21  # the sample face that the portrait is mixed with


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--data", type=Path, help="a prepared data set, for the pictures of unseen people")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    engine = engine_from_settings(load_settings())

    crop = portrait_crop(engine.crop_size)
    z = torch.stack([engine.encode(crop[None])[0], engine.draw(SAMPLE)])
    save(options.out / "mix.png", row([crop, *path(engine, z, 7)]))
    draws = engine.decode(torch.stack([engine.draw(number) for number in range(24)]))
    save(options.out / "samples.png", column([row(draws[start : start + 8]) for start in range(0, 24, 8)]))
    if options.data:
        save(options.out / "unseen.png", unseen(engine, options.data))


def portrait_crop(size: int) -> np.ndarray:
    portrait = skimage.data.astronaut()
    face = FaceFinder(CenterFace()).find(portrait)[0]
    return Alignment.from_landmarks(face.landmarks, size).crop(portrait)


def path(engine: Engine, z: torch.Tensor, steps: int) -> np.ndarray:
    """Frames from the first of two latents to the second, both ends included."""
    shares = np.linspace(0, 1, steps)
    path = [interpolate(z, (1 - share, share), coarse_size=engine.coarse_size) for share in shares.tolist()]
    return engine.decode(torch.stack(path))


def unseen(engine: Engine, data: Path, pairs: int = 7, steps: int = 9) -> np.ndarray:
    # Training is an extra: only this picture needs it.
    from facemix.training.dataset import load_split

    faces = load_split(data, "test")
    # Reasonably sharp, frontal photographs, in the manifest's order: nothing chosen by its result.
    usable = [
        index
        for index, face in enumerate(faces.rows)
        if face["quality"]["sharpness"] > 0.05 and face["quality"]["yaw"] < 0.2
    ]
    chosen = usable[:: max(1, len(usable) // (2 * pairs))][: 2 * pairs]
    z = engine.encode(faces.images[chosen].numpy())
    return column([row(path(engine, z[[index, index + pairs]], steps)) for index in range(pairs)])


def row(images: list[np.ndarray] | np.ndarray) -> np.ndarray:
    gap = np.full((images[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for image in images for part in (gap, image)]
    return np.concatenate(parts[1:], axis=1)


def column(rows: list[np.ndarray]) -> np.ndarray:
    gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    parts = [part for image in rows for part in (gap, image)]
    return np.concatenate(parts[1:], axis=0)


def save(file: Path, pixels: np.ndarray) -> None:
    file.write_bytes(encode_image(np.ascontiguousarray(pixels), "image/png"))
    print(f"{file}: {pixels.shape[1]} x {pixels.shape[0]} pixels")


if __name__ == "__main__":
    main()
