"""Draws where the model fails worst: ``python -m benchmarks.failures data/utkface128``.

Writes docs/pictures/failures.png with the shipped checkpoint: reconstructions and mid-points of people in the test
split, never their photographs. Nothing is chosen by eye:

    the reconstructions with the largest squared error of all faces,
    then of people labelled 60 and over, then of heads that the gate warns of as turned, nobody twice,
    and the mid-points, of the pairs that `facemix evaluate` draws, that the face detector is least sure of.

Glasses and beards are not labelled, so there are no rows for them. The file names the weights that drew it, and a test
compares them with the card's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from facemix.evaluation import metrics
from facemix.evaluation.codecs import Codec, VAECodec
from facemix.evaluation.evaluate import Options
from facemix.evaluation.groups import age_of
from facemix.evaluation.midpoints import draw_pairs, face_likeness
from facemix.evaluation.reconstruction import OLD
from facemix.faces.centerface import CenterFace
from facemix.faces.quality import YAW
from facemix.faces.types import FaceDetector
from facemix.mixing.interpolation import interpolate
from facemix.resources import resource_dir
from facemix.training.dataset import FaceSet, load_split
from facemix.vae.checkpoint import load_checkpoint, newest_checkpoint

OUT = Path(__file__).resolve().parent.parent / "docs/pictures/failures.png"
WEIGHTS_KEY = "weights_sha256"
PER_ROW = 8
_THRESHOLD = 0.05  # low, so that a mid-point that is hardly a face has a figure too
_GAP, _TITLE, _LABEL = 6, 26, 18
_PAPER, _INK, _SOFT = (255, 255, 255), (28, 28, 28), (95, 95, 95)


@dataclass(frozen=True)
class Row:
    """pictures: (S, S, 3) uint8 each, all drawn by the model; labels: what stands under each."""

    title: str
    pictures: Sequence[np.ndarray]
    labels: Sequence[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a data set of `facemix prepare`")
    parser.add_argument("--checkpoint", type=Path, help="instead of the newest shipped one")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    checkpoint = load_checkpoint(options.checkpoint or newest_checkpoint(resource_dir("checkpoints")))
    rows = failures(VAECodec(checkpoint.vae), load_split(options.data, "test"), CenterFace(threshold=_THRESHOLD))
    about = PngInfo()
    about.add_text(WEIGHTS_KEY, checkpoint.card.weights_sha256)
    drawn(rows).save(options.out, pnginfo=about, optimize=True)
    print(options.out)


def failures(codec: Codec, faces: FaceSet, detector: FaceDetector) -> list[Row]:
    """The rows of the picture; a row that nobody belongs to is left out."""
    crops = faces.images.numpy()
    z = codec.encode(crops)
    outputs = codec.decode(z)
    errors = np.array([metrics.mse(face, output) for face, output in zip(crops, outputs, strict=True)])
    old = np.array([age_of(row) >= OLD for row in faces.rows])
    turned = np.array([row.get("quality", {}).get("yaw", 0) > YAW.warn for row in faces.rows])
    rows, taken = [], set()
    for title, members in (
        ("largest squared error of all", np.ones(len(crops), bool)),
        (f"of people labelled {OLD} and over", old),
        ("of heads that the gate warns of as turned", turned),
    ):
        chosen = worst(errors, members, taken)
        taken |= set(chosen)
        labels = [f"{metrics.psnr(crops[index], outputs[index]):.1f} dB" for index in chosen]
        rows.append(Row(f"Reconstructions, {title}", [outputs[index] for index in chosen], labels))
    pairs = draw_pairs(len(crops), Options.pairs, seed=Options.seed)
    middles = [
        codec.decode(interpolate(z[pair], [0.5, 0.5], coarse_size=codec.coarse_size)[None])[0]
        for pair in pairs.tolist()
    ]
    unsure = np.array([1 - face_likeness(middle, detector) for middle in middles])
    chosen = worst(unsure, np.ones(len(middles), bool))
    rows.append(
        Row(
            "Mid-points of two people, the detector's least confidence",
            [middles[index] for index in chosen],
            [f"{1 - unsure[index]:.2f}" for index in chosen],
        )
    )
    return [row for row in rows if row.pictures]


def worst(badness: np.ndarray, members: np.ndarray, taken: set[int] = frozenset(), count: int = PER_ROW) -> list[int]:
    """Indices of the worst `members` that are not `taken`, the worst first, ties in their order."""
    order = np.argsort(-badness, kind="stable").tolist()
    return [index for index in order if members[index] and index not in taken][:count]


def drawn(rows: Sequence[Row]) -> Image.Image:
    """The rows under one another, each with its title above it and a label under every picture."""
    side = rows[0].pictures[0].shape[0]
    width = max(len(row.pictures) for row in rows) * (side + _GAP) - _GAP
    height = len(rows) * (_TITLE + side + _LABEL + _GAP)
    page = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(page)
    title_font, label_font = ImageFont.load_default(15), ImageFont.load_default(12)
    for number, row in enumerate(rows):
        top = number * (_TITLE + side + _LABEL + _GAP)
        pen.text((0, top + 4), row.title, fill=_INK, font=title_font)
        for place, (picture, label) in enumerate(zip(row.pictures, row.labels, strict=True)):
            left = place * (side + _GAP)
            page.paste(Image.fromarray(picture), (left, top + _TITLE))
            pen.text((left + side / 2, top + _TITLE + side + 2), label, fill=_SOFT, font=label_font, anchor="ma")
    return page


if __name__ == "__main__":
    main()
