"""Draws the pictures of a checkpoint's page (`/models`): ``python -m benchmarks.pictures``.

They lie in the folder ``pictures`` of the shipped checkpoint, small enough to ship with it, beside ``pictures.json``,
which names the weights that drew them, their sizes and what they show:

    mix.webp                from scikit-image's public-domain portrait to a sample face
    samples.webp            draws from the prior
    attribute-<name>.webp   one of those draws at -2 to 2 standard deviations of an attribute
    failures.webp           what `python -m benchmarks.failures` found
    curve.svg               what `python -m benchmarks.curve` drew

The pictures of people of the data set that README.md shows are not among them: every server would show them to
everybody. The failures are, because the model card rests on them.
"""

from __future__ import annotations

import argparse
import json
import shutil
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch
from PIL import Image

from benchmarks import curve, examples, failures
from facemix.mixing.attributes import apply
from facemix.resources import resource_dir
from facemix.serving.engine import Engine, engine_from_settings
from facemix.settings import Settings
from facemix.vae.checkpoint import newest_checkpoint
from facemix.web.catalogue import PICTURES, PICTURES_FILE, Picture, Pictures

SAMPLES, PER_ROW = 24, 8
SHOWN = 3  # the sample face that the attributes are shown on
VALUES = (-2.0, -1.0, 0.0, 1.0, 2.0)
FRAMES = 7
QUALITY = 82


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="instead of the newest shipped one")
    options = parser.parse_args()
    folder = options.checkpoint or newest_checkpoint(resource_dir("checkpoints"))
    engine = engine_from_settings(Settings(checkpoint=folder, backend="torch", device="cpu", precision="fp32"))
    try:
        write(folder / PICTURES, engine)
    finally:
        engine.close()


def write(out: Path, engine: Engine) -> None:
    """Draws all pictures of the engine's checkpoint into the folder `out`."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    shown = []
    for name, (pixels, alt) in drawn(engine).items():
        (out / name).write_bytes(webp(pixels))
        shown.append(Picture(name=name, width=pixels.shape[1], height=pixels.shape[0], alt=alt))
    if (found := failed(engine.identity.weights)) is not None:
        (out / "failures.webp").write_bytes(webp(found))
        alt = "Rows of reconstructions and mid-points that went wrong, with a figure under each"
        shown.append(Picture(name="failures.webp", width=found.shape[1], height=found.shape[0], alt=alt))
    run = curve.shipped_run(engine.folder)
    if run.figures:
        text = curve.draw([run])
        (out / "curve.svg").write_text(text)
        root = ElementTree.fromstring(text)
        alt = "Curves of the training: each figure of the validation split over the photographs seen"
        shown.append(Picture(name="curve.svg", width=int(root.get("width")), height=int(root.get("height")), alt=alt))
    about = Pictures(weights_sha256=engine.identity.weights, pictures=tuple(shown))
    (out / PICTURES_FILE).write_text(json.dumps(about.model_dump(), indent=1) + "\n")
    for picture in shown:
        print(f"{out / picture.name}: {picture.width} x {picture.height}, {(out / picture.name).stat().st_size} bytes")


def drawn(engine: Engine) -> dict[str, tuple[np.ndarray, str]]:
    """What the model itself draws: by the file's name pixels, (H, W, 3) uint8, and what they show."""
    crop = examples.portrait_crop(engine.crop_size)
    ends = torch.stack([engine.encode(crop[None])[0], engine.draw(examples.SAMPLE)])
    faces = engine.decode(torch.stack([engine.draw(number) for number in range(SAMPLES)]))
    found = {
        "mix.webp": (
            _row([crop, *examples.path(engine, ends, FRAMES)]),
            "A portrait, the model's reconstruction of it, mixes on the way to a sample face, and that face",
        ),
        "samples.webp": (
            np.concatenate([_row(faces[start : start + PER_ROW]) for start in range(0, SAMPLES, PER_ROW)]),
            f"{SAMPLES} faces of nobody, drawn by the model",
        ),
    }
    if engine.directions is not None:
        z = engine.draw(SHOWN)
        for one in engine.directions.card.attributes:
            moved = torch.stack([apply(z, {one.name: value}, engine.directions) for value in VALUES])
            alt = f"One face of nobody five times, from {one.low} to {one.high}"
            found[f"attribute-{one.name}.webp"] = (_row(engine.decode(moved)), alt)
    return found


def failed(weights: str) -> np.ndarray | None:
    """The picture of failures, (H, W, 3) uint8, if it is these weights'."""
    if not failures.OUT.exists():
        return None
    with Image.open(failures.OUT) as picture:
        if picture.info.get(failures.WEIGHTS_KEY) != weights:
            return None
        return np.asarray(picture.convert("RGB"))


def webp(pixels: np.ndarray) -> bytes:
    """Smaller than what serving writes, and slower: it is done once."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


def _row(faces: list[np.ndarray] | np.ndarray) -> np.ndarray:
    return np.concatenate(list(faces), axis=1)


if __name__ == "__main__":
    main()
