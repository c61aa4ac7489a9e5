"""Heads that are turned differently: ``python -m benchmarks.sharp_turned DATA --photos FOLDER [--outlines]``.

Prints, for the pairs of the test split whose heads are turned most differently (`benchmarks.sharp_sheets.hard_pairs`),
figures of the mid-point with detail: as it is, and as it were if nothing was known of turned heads
(`facemix.mixing.turning`). Beside those of docs/evaluation.md these are:

    lines from behind   at places where one photograph shows what lies behind its head and the other one shows its head:
                        energy of contours that the former alone explains, neither the other one nor the VAE's picture,
                        over the mean energy of the photographs' own there. Lines of a background across a cheek. Where
                        heads end is reckoned from the landmarks, as the mix reckons it from the shapes

`--outlines` prints instead where heads end: on photographs of the training split, by how far they are turned, how far
from the middle skin ends on the far side. What `facemix.mixing.turning` knows is read off that.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from benchmarks.sharp_sheets import SIDE, Studio, hard_pairs
from facemix.evaluation import metrics
from facemix.evaluation.face_sharpness import oval, sharpness
from facemix.evaluation.ghosts import Ghosts
from facemix.evaluation.identity import midpoint_identity
from facemix.evaluation.sharp import Photographs, carry_maker
from facemix.evaluation.ways import Parents
from facemix.faces.embedder import load_embedder
from facemix.imaging.enlarge import resized
from facemix.mixing.interpolation import interpolate
from facemix.mixing.turning import heads
from facemix.mixing.warp import FIELD, take
from facemix.resources import resource_dir
from facemix.training.dataset import load_split
from facemix.vae.checkpoint import newest_checkpoint

PAIRS = 24
KIND = "profile and frontal"
BY_LANDMARKS = 0.36  # from the nose's way between the eyes, over their distance, to `turns`
EDGES = (0, 0.03, 0.06, 0.10, 0.14, 0.18, 0.22, 0.26, 0.31, 0.40)  # of groups that are turned alike
MOST = 400  # photographs of a group
HEIGHTS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
UNLIKE_SKIN = 14.0  # CIELAB, light counted by 0.6: farther from one's own nose and cheeks is none


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a data set of `facemix prepare`")
    parser.add_argument("--photos", type=Path, help="the folder that it was prepared from")
    parser.add_argument("--checkpoint", type=Path, help="instead of the newest shipped one")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--outlines", action="store_true")
    options = parser.parse_args()
    if options.outlines:
        print_outlines(options.data)
        return
    if options.photos is None:
        parser.error("name with --photos the folder that the data set was prepared from")
    folder = options.checkpoint or newest_checkpoint(resource_dir("checkpoints"))
    for way, figures in compared(folder, options.data, options.photos, options.pairs).items():
        print(way.ljust(24), ", ".join(f"{name} {value:.3f}" for name, value in figures.items()))


def compared(folder: Path, data: Path, photos: Path, pairs: int) -> dict[str, dict[str, float]]:
    """Means over the pairs, by whether anything is known of turned heads."""
    studio, make, embedder = Studio(folder), carry_maker(folder), load_embedder()
    assert make is not None  # the studio has a geometry
    faces = load_split(data, "test")
    photographs = Photographs(photos, faces.rows)
    values: dict[str, list[dict[str, float]]] = {"as it is": [], "knowing nothing of turns": []}
    for _, pair in [one for one in hard_pairs(faces, pairs) if one[0] == KIND]:
        crops, cuts = (np.stack([photographs.cut(one, side) for one in pair]) for side in (studio.crop_size, SIDE))
        z = studio.codec.encode(crops)
        mixed = studio.codec.decode(interpolate(z, (0.5, 0.5), coarse_size=studio.codec.coarse_size)[None])[0]
        shown = heads(np.array([BY_LANDMARKS * turn(faces.rows[one]["landmarks"]) for one in pair]))
        carry = make(Parents(cuts, crops, studio.codec.decode(z)))
        fields = carry.fields((0.5, 0.5))
        warped = [take(one, field) for one, field in zip(cuts, fields, strict=True)]
        shown = [take(_enlarged(one), field) for one, field in zip(shown, fields, strict=True)]
        ghosts = Ghosts(cuts, [warped])
        for found in values.values():
            middle = carry.frame(mixed, (0.5, 0.5))
            figures = {"lines from behind": from_behind(middle, resized(mixed, SIDE), warped, shown)}
            figures |= {"sharpness": sharpness(middle, cuts)["sharpness"], "ghosts": ghosts.figures(middle)["ghosts"]}
            if embedder is not None:
                points = embedder.embed(np.stack([middle, *cuts]))
                nearer = midpoint_identity(points[:1], points[1:2], points[2:])["identity_imbalance"]
                figures["nearer to one parent by"] = float(nearer[0])
            found.append(figures)
            carry._heads = np.ones_like(carry._heads)  # as if everything was head, in the second turn
    return {
        way: {name: float(np.nanmean([one[name] for one in found])) for name in found[0]}
        for way, found in values.items()
    }


def from_behind(middle: np.ndarray, vae: np.ndarray, warped: list[np.ndarray], shown: list[np.ndarray]) -> float:
    """See above; NaN where both heads end alike.

    Args:
        middle, vae: (S, S, 3) uint8.
        warped: both photographs as they are brought to the middle, (S, S, 3) uint8 each.
        shown: where they show a head, in the same geometry, (S, S) in [0, 1] each.
    """
    mine, model, *theirs = (_contours(one) for one in (middle, vae, *warped))
    by_model = _explained(mine, model)
    by_them = [_explained(mine, one) for one in theirs]
    bad = whole = 0.0
    for one, other in ((0, 1), (1, 0)):
        place = oval(len(middle)) * np.maximum(shown[other] - shown[one], 0)
        bad += (place * np.maximum(by_them[one] - np.maximum(by_them[other], by_model), 0)).sum()
        whole += (place * sum(_windowed(each, each) for each in theirs) / 2).sum()
    return bad / whole if whole > 0 else np.nan


def turn(landmarks: list[list[float]]) -> float:
    """How far the nose lies from the middle of the eyes towards the right one, in distances of the eyes."""
    left, right, nose = np.array(landmarks, float)[:3]
    between = right - left
    return float((nose - (left + right) / 2) @ between / (between @ between))


def print_outlines(data: Path) -> None:
    faces = load_split(data, "train")
    turned = np.array([turn(row["landmarks"]) for row in faces.rows])
    print("turned by   faces   distance from the middle, at heights of", *HEIGHTS)
    for low, high in pairwise(EDGES):
        members = np.flatnonzero((np.abs(turned) >= low) & (np.abs(turned) < high))[:MOST]
        if len(members):
            unlike = np.mean([_unlike_skin(faces.images[one].numpy(), turned[one] < 0) for one in members], axis=0)
            found = " ".join(f"{_ends(unlike[int(height * FIELD)]) - 0.5:.2f}" for height in HEIGHTS)
            print(f"{np.abs(turned[members]).mean():9.3f} {len(members):7}   {found}")


def _unlike_skin(crop: np.ndarray, mirrored: bool) -> np.ndarray:
    """Where a crop, (C, C, 3) uint8, has another colour than its own nose and cheeks, (FIELD, FIELD) bool, the far side
    to the right."""
    small = cv2.resize(crop, (FIELD, FIELD), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(small[:, ::-1] if mirrored else small, cv2.COLOR_RGB2LAB)
    apart = (lab - np.median(lab[26:44, 26:38].reshape(-1, 3), 0)) * (0.6, 1, 1)
    return np.linalg.norm(apart, axis=-1) > UNLIKE_SKIN


def _ends(unlike: np.ndarray) -> float:
    """From where to the crop's edge most faces of a group have no skin, in fractions of the side."""
    place = FIELD
    while place > FIELD // 2 and unlike[place - 1] > 0.5:
        place -= 1
    return place / FIELD


def _enlarged(values: np.ndarray) -> np.ndarray:
    return cv2.resize(values, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def _contours(picture: np.ndarray) -> np.ndarray:
    light = cv2.GaussianBlur(metrics.brightness(picture), (0, 0), len(picture) / 128)
    return np.stack([cv2.Sobel(light, cv2.CV_64F, 1, 0), cv2.Sobel(light, cv2.CV_64F, 0, 1)])


def _windowed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur((a * b).sum(0), (0, 0), a.shape[-1] / 40)


def _explained(middle: np.ndarray, by: np.ndarray) -> np.ndarray:
    """The mid-point's windowed energy that the other's contours explain at any strength from 0 up."""
    return np.maximum(_windowed(middle, by), 0) ** 2 / (_windowed(by, by) + 1e-7)


if __name__ == "__main__":
    main()
