"""The way from one stranger to another: is its middle a sharp face of its own, or two laid over each other?"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from facemix.evaluation import metrics
from facemix.evaluation.codecs import Codec
from facemix.evaluation.edges import double_edges
from facemix.faces.crops import face_in_crop
from facemix.faces.finder import ACCEPT
from facemix.faces.types import Face, FaceDetector
from facemix.mixing.interpolation import interpolate

FRAMES = 9


@dataclass(frozen=True)
class Paths:
    """What was measured of P pairs, and the pictures that further figures are taken from.

    Attributes:
        values: (P,) float64 each.
        starts, middles, ends: (P, S, S, 3) uint8.
    """

    values: dict[str, np.ndarray]
    starts: np.ndarray
    middles: np.ndarray
    ends: np.ndarray


def draw_pairs(faces: int, pairs: int, *, seed: int) -> np.ndarray:
    """(P, 2) int64: random pairs in which no face appears twice, so that they are independent of one another.

    P is `pairs`, or half the faces where those are fewer.
    """
    order = np.random.default_rng((seed, 1)).permutation(faces)
    count = min(pairs, faces // 2)
    return order[: 2 * count].reshape(count, 2)


def face_likeness(crop: np.ndarray, detector: FaceDetector) -> float:
    """The detector's confidence that a face is in the middle of an aligned crop, 0 to 1; 0 when it reports none."""
    return _score(face_in_crop(crop, detector))


def landmark_figures(start: Face | None, middle: Face | None, end: Face | None) -> dict[str, float]:
    """Where the landmarks of a mid-point lie, for faces in crops of one size.

    Returns:
        ``found``: 1 where the mid-point is as sure as a photograph has to be to be mixed, else 0. ``landmark_offset``:
        mean distance of its five landmarks from the middle between its ends', over the distance of the eyes there; 0 is
        a face exactly between the two. ``landmarks_apart``: mean distance between the ends', likewise. NaN where a face
        is missing.
    """
    figures = {"found": float(_score(middle) >= ACCEPT), "landmark_offset": np.nan, "landmarks_apart": np.nan}
    if start is None or end is None:
        return figures
    between = (start.landmarks + end.landmarks) / 2
    eyes = float(np.linalg.norm(between[1] - between[0]))
    if eyes == 0:
        return figures
    figures["landmarks_apart"] = float(np.linalg.norm(start.landmarks - end.landmarks, axis=1).mean()) / eyes
    if middle is not None:
        figures["landmark_offset"] = float(np.linalg.norm(middle.landmarks - between, axis=1).mean()) / eyes
    return figures


def decoded_path(codec: Codec, z: torch.Tensor) -> np.ndarray:
    """The frames of one slider: z (2, Z) to (FRAMES, S, S, 3) uint8, straight (lerp), ends included."""
    weights = [step / (FRAMES - 1) for step in range(FRAMES)]
    return codec.decode(
        torch.stack([interpolate(z, [1 - weight, weight], coarse_size=codec.coarse_size) for weight in weights])
    )


def faded_path(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The pixel cross-fade of two photographs, (S, S, 3) uint8 each: (FRAMES, S, S, 3) uint8."""
    weights = np.linspace(0, 1, FRAMES)[:, None, None, None]
    return np.floor((1 - weights) * first + weights * second + 0.5).astype(np.uint8)


def measure_paths(
    pairs: np.ndarray,
    photographs: np.ndarray,
    path_of: Callable[[int, int], np.ndarray],
    detector: FaceDetector,
) -> Paths:
    """Every figure of every pair.

    Args:
        pairs: (P, 2) indices of faces.
        photographs: (N, S, S, 3) uint8, the faces themselves.
        path_of: the frames between two faces, (F, S, S, 3) uint8 with an odd F; first and last are the ends.

    Returns:
        The pictures, and as values: ``sharpness``: Laplacian energy of the mid-point over the mean of its ends.
        ``sharpness_to_photographs``: over the mean of the two photographs. ``ghost``: RMS distance of the mid-point
        from the cross-fade of its ends, over the RMS distance of the ends; 0 is a cross-fade. ``confidence``: face
        detector's, of the mid-point; ``ends_confidence``: mean of its ends; ``confidence_change``: their difference.
        ``smoothness``: largest over mean RMS step from frame to frame; 1 is perfectly even. ``asymmetry``: left-right
        asymmetry of the mid-point over the mean of its ends. NaN where the ends are equal. ``double_edges``: see
        `facemix.evaluation.edges`. ``found``, ``landmark_offset``, ``landmarks_apart``: see `landmark_figures`.
    """
    found: dict[str, list[float]] = {}
    pictures: tuple[list[np.ndarray], ...] = ([], [], [])
    for first, second in pairs:
        frames = path_of(int(first), int(second))
        one = _path_figures(frames, detector)
        detail = _mean_energy(metrics.laplacian_energy, photographs[first], photographs[second])
        middle = metrics.laplacian_energy(metrics.brightness(frames[len(frames) // 2]))
        one["sharpness_to_photographs"] = metrics.ratio(middle, detail)
        for name, value in one.items():
            found.setdefault(name, []).append(value)
        for kept, frame in zip(pictures, (frames[0], frames[len(frames) // 2], frames[-1]), strict=True):
            kept.append(frame)
    values = {name: np.array(values) for name, values in found.items()}
    starts, middles, ends = (np.stack(kept) for kept in pictures)
    return Paths(values | {"double_edges": double_edges(middles, starts, ends)}, starts, middles, ends)


def _path_figures(frames: np.ndarray, detector: FaceDetector) -> dict[str, float]:
    start, middle, end = frames[0], frames[len(frames) // 2], frames[-1]
    faded = (start.astype(np.float64) + end) / 2
    apart = metrics.rms_distance(start, end)
    steps = [metrics.rms_distance(a, b) for a, b in itertools.pairwise(frames)]
    seen = [face_in_crop(picture, detector) for picture in (start, middle, end)]
    confidence = _score(seen[1])
    ends_confidence = (_score(seen[0]) + _score(seen[2])) / 2
    light = metrics.brightness(middle)
    return {
        "sharpness": metrics.ratio(metrics.laplacian_energy(light), _mean_energy(metrics.laplacian_energy, start, end)),
        "ghost": metrics.rms_distance(middle, faded) / apart if apart else np.nan,
        "confidence": confidence,
        "ends_confidence": ends_confidence,
        "confidence_change": confidence - ends_confidence,
        "smoothness": max(steps) / float(np.mean(steps)) if any(steps) else np.nan,
        "asymmetry": metrics.ratio(metrics.asymmetry_energy(light), _mean_energy(metrics.asymmetry_energy, start, end)),
        **landmark_figures(*seen),
    }


def _score(face: Face | None) -> float:
    return face.score if face is not None else 0.0


def _mean_energy(energy: Callable[[np.ndarray], float], *pictures: np.ndarray) -> float:
    return float(np.mean([energy(metrics.brightness(picture)) for picture in pictures]))
