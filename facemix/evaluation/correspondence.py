"""How well a place in one face is found in another: landmarks carried over, against where they are read there.

dlib's five points judge it. They had no say in any of the ways that are compared: the shapes were fitted with another
detector's landmarks, and dlib marks corners of eyes and the base of the nose, which that one does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import torch

from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.codecs import Codec
from facemix.evaluation.results import Figure
from facemix.faces.align import TEMPLATE
from facemix.faces.embedder import EXTRA, IdentityEmbedder
from facemix.mixing.interpolation import interpolate
from facemix.mixing.warp import dense
from facemix.vae.geometry import Geometry

ABSENT = f"landmarks are not carried over: `pip install '{EXTRA}'` adds the model that reads them"
# In dlib's order; left and right are those of the picture.
POINTS = ("right eye, outer", "right eye, inner", "left eye, outer", "left eye, inner", "nose, base")
_MIRRORED = (2, 3, 0, 1, 4)
NONE, SHAPES = "no warp", "shapes"  # names of the ways that `facemix geometry` measures
_READ_AT = 512  # pixels a side: dlib gives whole ones
_EYES = float(TEMPLATE[1, 0] - TEMPLATE[0, 0])  # their distance in an aligned crop, in fractions of its side
_ROUNDS = 8  # of the fixed point that inverts a field
_MOST = 90  # percentile

# Takes two crops, (2, S, S, 3) uint8, and (K, 2) points of the first, and says where they lie in the second. Points and
# fields are in fractions of the crop's side, x before y.
Transfer = Callable[[np.ndarray, np.ndarray], np.ndarray]


def read_points(crops: np.ndarray, embedder: IdentityEmbedder) -> np.ndarray:
    """dlib's points of aligned crops, (N, S, S, 3) uint8: (N, 5, 2) in fractions of the side."""
    enlarged = [cv2.resize(crop, (_READ_AT, _READ_AT), interpolation=cv2.INTER_CUBIC) for crop in crops]
    return np.array([embedder.landmarks(crop) / _READ_AT for crop in enlarged]).reshape(-1, len(POINTS), 2)


def mirrored_points(points: np.ndarray) -> np.ndarray:
    """The same points of mirrored crops, (N, 5, 2)."""
    return np.abs(points[:, list(_MIRRORED)] - (1.0, 0.0))


def draw_pairs(count: int, wanted: int, *, seed: int = 0) -> np.ndarray:
    """At most `wanted` pairs of `count` faces, (P, 2), none in two: so they are independent, as intervals need."""
    order = np.random.default_rng((seed, 7)).permutation(count)
    return order[: 2 * min(wanted, count // 2)].reshape(-1, 2)


def unmoved(crops: np.ndarray, points: np.ndarray) -> np.ndarray:
    """What alignment alone does."""
    return points


def by_shapes(geometry: Geometry) -> Transfer:
    """By the shapes that the network reads from both crops, through the mean face."""

    def transfer(crops: np.ndarray, points: np.ndarray) -> np.ndarray:
        return through(*dense(geometry.shapes(crops)), points)

    return transfer


def of_reconstructions(transfer: Transfer, codec: Codec) -> Transfer:
    """The same way, which sees what the model makes of the crops instead of them."""
    return lambda crops, points: transfer(codec.decode(codec.encode(crops)), points)


def by_flow(crops: np.ndarray, points: np.ndarray) -> np.ndarray:
    """By optical flow from one picture to the other at once."""
    return points + sample(_flow(crops[0], crops[1]), points)


def by_path(codec: Codec, steps: int) -> Transfer:
    """By optical flow along the model's own path: between neighbours, `steps` of them from half-way to either end.

    The mix half-way is where both ends meet, as the mean face is for shapes.
    """

    def transfer(crops: np.ndarray, points: np.ndarray) -> np.ndarray:
        z = codec.encode(crops)
        shares = np.linspace(0, 1, 2 * steps + 1)
        path = [interpolate(z, [1 - share, share], coarse_size=codec.coarse_size) for share in shares.tolist()]
        frames = codec.decode(torch.stack(path))
        return through(accumulated(frames[steps::-1]), accumulated(frames[steps:]), points)

    return transfer


def accumulated(frames: np.ndarray) -> np.ndarray:
    """From each place in the first frame to the same in the last, by the flow from frame to frame.

    frames: (F, S, S, 3) uint8. Returns (S, S, 2) float32 offsets.
    """
    side = frames.shape[1]
    middles = (np.arange(side) + 0.5) / side
    places = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    moved = places
    for frame, following in pairwise(frames):
        moved = moved + sample(_flow(frame, following), moved)
    return (moved - places).reshape(side, side, 2).astype(np.float32)


def through(first: np.ndarray, second: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points of the first face, (K, 2), in the second, where both have a field of offsets from the same third place."""
    common = points
    for _ in range(_ROUNDS):
        common = points - sample(first, common)
    return common + sample(second, common)


def sample(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A field, (S, S, 2) float32, at (K, 2) points, bilinearly; beyond its edge as at the edge."""
    x, y = (points * field.shape[0] - 0.5).astype(np.float32).T
    # OpenCV takes no picture with 32,767 columns or more.
    parts = [
        cv2.remap(
            field, x[None, a : a + 8192], y[None, a : a + 8192], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for a in range(0, len(points), 8192)
    ]
    return np.concatenate(parts, axis=1)[0]


def misses(
    crops: np.ndarray,
    points: np.ndarray,
    pairs: np.ndarray,
    transfers: Mapping[str, Transfer],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, np.ndarray]:
    """How far from where it is read each landmark arrives, in percent of the distance of the eyes.

    Args:
        crops: (N, S, S, 3) uint8, aligned.
        points: (N, 5, 2), their landmarks.
        pairs: (P, 2) indices; points go from the first face of each to the second.

    Returns:
        (P, 5) float64 for each way.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in transfers}
    for number, (first, second) in enumerate(pairs):
        for name, transfer in transfers.items():
            arrived = transfer(crops[[first, second]], points[first])
            found[name].append(_apart(arrived, points[second]))
        on_progress(number + 1, len(pairs))
    return {name: np.array(rows).reshape(-1, len(POINTS)) for name, rows in found.items()}


def reading_misses(crops: np.ndarray, points: np.ndarray, embedder: IdentityEmbedder) -> np.ndarray:
    """How far from there dlib reads the same landmarks in mirrored crops, (N, 5), in the same unit.

    No way can be seen to do much better.
    """
    return _apart(mirrored_points(read_points(crops[:, :, ::-1], embedder)), points)


def figures(missed: np.ndarray, bootstrap: Bootstrap) -> dict[str, Any]:
    """Mean and 90th percentile of (P, 5) misses with their intervals, overall and for each landmark, as JSON."""
    return {
        **_both(missed, bootstrap),
        "points": {name: _both(missed[:, [place]], bootstrap) for place, name in enumerate(POINTS)},
    }


def measure_shapes(
    geometry: Geometry,
    crops: np.ndarray,
    embedder: IdentityEmbedder,
    *,
    pairs: int = 400,
    seed: int = 0,
) -> dict[str, Any]:
    """What `facemix geometry` writes into its file: the shapes against no warp, on faces that it was not fitted to."""
    points = read_points(crops, embedder)
    transfers: dict[str, Transfer] = {NONE: unmoved, SHAPES: by_shapes(geometry)}
    found = misses(crops, points, draw_pairs(len(crops), pairs, seed=seed), transfers)
    return {name: figures(missed, Bootstrap(seed=seed)) for name, missed in found.items()}


def table(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each way: mean and 90th percentile, in percent of the distance of the eyes, then means by landmark."""
    lines = [("", "mean", "95 %", "90th", "95 %", *POINTS)]
    for name, row in measured.items():
        parts = [text for key in ("mean", "p90") for text in _cells(row[key])]
        lines.append((name, *parts, *(f"{row['points'][point]['mean']['mean']:.2f}" for point in POINTS)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])


def _cells(figure: Mapping[str, Any]) -> tuple[str, str]:
    return f"{figure['mean']:.2f}", f"{figure['low']:.2f} to {figure['high']:.2f}"


def _both(missed: np.ndarray, bootstrap: Bootstrap) -> dict[str, Any]:
    return {
        "mean": bootstrap.mean(missed.mean(1)).model_dump(),
        "p90": percentile(missed, _MOST, bootstrap).model_dump(),
    }


def percentile(missed: np.ndarray, percent: float, bootstrap: Bootstrap) -> Figure:
    """A percentile of all of (P, K) values; resampled are the P rows, whose values belong together."""
    rising = np.argsort(missed, axis=None, kind="stable")
    values, owners = missed.ravel()[rising], rising // missed.shape[1]

    def compute(counts: np.ndarray) -> np.ndarray:
        drawn = counts[:, owners].cumsum(1)
        return values[(drawn < percent / 100 * drawn[:, -1:]).sum(1)]

    return bootstrap.statistic(len(missed), compute)


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return 100 / _EYES * np.linalg.norm(one - other, axis=-1)


def _flow(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(S, S, 2) float32 in fractions of the side, by OpenCV's dense inverse search with its medium settings
    (T. Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016)."""
    grey = [cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY) for picture in (one, other)]
    found = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)
    return found / np.float32(one.shape[0])
