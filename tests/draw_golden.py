"""Draws the golden pictures of tests/golden, to which tests compare with a tolerance.

    .venv/bin/python tests/draw_golden.py

Run it only when a change of the pictures is meant, look at them, and say in the commit why they changed. The checkpoint
beside them is `tiny.tiny_checkpoint`, kept as a file: it also shows that checkpoints of earlier releases are read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from files import png
from looking import here
from PIL import Image
from portraits import head, other

from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.mixing.recipe import Edits
from facemix.serving.blocking import BlockingMixer
from facemix.serving.engine import Engine
from facemix.serving.mixer import Mixer
from facemix.serving.types import PhotoInput

GOLDEN = Path(__file__).with_name("golden")
CHECKPOINT = GOLDEN / "tiny"


def golden_mixer() -> BlockingMixer:
    return BlockingMixer(Mixer(Engine(CHECKPOINT, device="cpu"), here(FaceFinder(CenterFace(threads=1)))))


def _crop(mixer: BlockingMixer) -> np.ndarray:
    return mixer.find_faces(PhotoInput(png(head()), "head")).faces[0].crop


def _mix(mixer: BlockingMixer) -> np.ndarray:
    parents = [PhotoInput(png(head()), "head", weight=0.4), PhotoInput(png(other()), "other", weight=0.6)]
    return mixer.mix(parents).image


def _strip(mixer: BlockingMixer) -> np.ndarray:
    parents = PhotoInput(png(head()), "head"), PhotoInput(png(other()), "other")
    return np.concatenate(list(mixer.strip(*parents, steps=5, edits=Edits(interpolation="slerp")).frames), axis=1)


def _sample(mixer: BlockingMixer) -> np.ndarray:
    return mixer.sample(7, seed=3)


PICTURES: dict[str, Callable[[BlockingMixer], np.ndarray]] = {
    "crop": _crop,
    "mix": _mix,
    "strip": _strip,
    "sample": _sample,
}


def main() -> None:
    if not CHECKPOINT.exists():
        from tiny import tiny_checkpoint

        tiny_checkpoint(CHECKPOINT)
    mixer = golden_mixer()
    for name, draw in PICTURES.items():
        Image.fromarray(draw(mixer)).save(GOLDEN / f"{name}.png")


if __name__ == "__main__":
    main()
