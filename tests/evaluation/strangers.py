"""Photographs of nobody with everything that measuring at their own size needs, and a carry that carries nothing."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import torch
from prepared import smooth_crops

from facemix.evaluation.ways import faded
from facemix.faces.align import TEMPLATE
from facemix.imaging.arrays import to_pixels, to_tensor

SIDE = 150  # of the photographs, and of the faces in them
LANDMARKS = np.array([*TEMPLATE[:2], [0.5, 0.55], *TEMPLATE[2:]]) * SIDE


def photographs(folder, count):
    """Writes so many as PNG, with fine noise; returns the manifest's rows."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 8, (count, SIDE, SIDE, 3))
    rows = []
    for number, pixels in enumerate(np.clip(smooth_crops(count, SIDE) + noise, 0, 255).astype(np.uint8)):
        data = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
        (folder / f"{number}.png").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        rows.append({"source": f"{number}.png", "sha256": digest, "landmarks": LANDMARKS.tolist()})
    return rows


class Halved:
    """A codec whose latent is the picture at half its side: it loses what is fine."""

    latent_size, coarse_size = 3 * 16 * 16, 0

    def encode(self, crops):
        return torch.nn.functional.avg_pool2d(to_tensor(crops), 2).flatten(1)

    def decode(self, z):
        return to_pixels(torch.nn.functional.interpolate(z.reshape(len(z), 3, 16, 16), scale_factor=2))


class Fading:
    """In place of a carry: cross-fades, and says that nothing has to be moved."""

    def __init__(self, parents):
        self._cuts = parents.cuts

    def frame(self, mixed, weights, *, detail=1.0):
        assert mixed.shape == (32, 32, 3)
        return faded(self._cuts)(weights[1])

    def fields(self, weights):
        return [np.zeros((*self._cuts.shape[1:3], 2), np.float32)] * 2
