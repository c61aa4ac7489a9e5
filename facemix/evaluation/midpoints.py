"""The way from one stranger to another: is its middle a sharp face of its own, or two laid over each other?"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np
import torch

from facemix.evaluation import metrics
from facemix.evaluation.codecs import Codec
from facemix.faces.types import FaceDetector
from facemix.mixing.interpolation import interpolate

FRAMES = 9
# The detector is surest of faces whose eyes are .25 to .30 of its view apart; the crop's are .41 apart.
_FACE_SIDE, _BORDER = 128, 32


def draw_pairs(faces: int, pairs: int, *, seed: int) -> np.ndarray:
    """(P, 2) int64: random pairs in which no face appears twice, so that they are independent of one another.

    P is `pairs`, or half the faces where those are fewer.
    """
    order = np.random.default_rng((seed, 1)).permutation(faces)
    count = min(pairs, faces // 2)
    return order[: 2 * count].reshape(count, 2)


def face_likeness(crop: np.ndarray, detector: FaceDetector) -> float:
    """The detector's confidence that a face is in the middle of an aligned crop, 0 to 1; 0 when it reports none.

    crop: (S, S, 3) uint8. It is scaled to 128 pixels and given a black border of 32, in which the detector sees faces
    best.
    """
    resized = cv2.resize(crop, (_FACE_SIDE, _FACE_SIDE), interpolation=cv2.INTER_AREA)
    view = np.pad(resized, [(_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)])
    middle = view.shape[0] / 2
    scores = [
        face.score
        for face in detector.detect(view)
        if face.box[0] < middle < face.box[2] and face.box[1] < middle < face.box[3]
    ]
    return max(scores, default=0.0)


def decoded_path(codec: Codec, z: torch.Tensor) -> np.ndarray:
    """The frames of one slider: z (2, Z) to (FRAMES, S, S, 3) uint8, straight (lerp), ends included."""
    weights = [step / (FRAMES - 1) for step in range(FRAMES)]
    return codec.decode(torch.stack([interpolate(z, [1 - weight, weight]) for weight in weights]))


def faded_path(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The pixel cross-fade of two photographs, (S, S, 3) uint8 each: (FRAMES, S, S, 3) uint8."""
    weights = np.linspace(0, 1, FRAMES)[:, None, None, None]
    return np.floor((1 - weights) * first + weights * second + 0.5).astype(np.uint8)


def measure_paths(
    pairs: np.ndarray,
    photographs: np.ndarray,
    path_of: Callable[[int, int], np.ndarray],
    detector: FaceDetector,
) -> dict[str, np.ndarray]:
    """Every figure of every pair.

    Args:
        pairs: (P, 2) indices of faces.
        photographs: (N, S, S, 3) uint8, the faces themselves.
        path_of: the frames between two faces, (F, S, S, 3) uint8 with an odd F; first and last are the ends.

    Returns:
        (P,) float64 each. ``sharpness``: Laplacian energy of the mid-point over the mean of its ends.
        ``sharpness_to_photographs``: over the mean of the two photographs. ``ghost``: RMS distance of the mid-point
        from the cross-fade of its ends, over the RMS distance of the ends; 0 is a cross-fade. ``confidence``: face
        detector's, of the mid-point; ``ends_confidence``: mean of its ends; ``confidence_change``: their difference.
        ``smoothness``: largest over mean RMS step from frame to frame; 1 is perfectly even. ``asymmetry``: left-right
        asymmetry of the mid-point over the mean of its ends. NaN where the ends are equal.
    """
    found: dict[str, list[float]] = {}
    for first, second in pairs:
        frames = path_of(int(first), int(second))
        one = _path_figures(frames, detector)
        detail = _mean_energy(metrics.laplacian_energy, photographs[first], photographs[second])
        middle = metrics.laplacian_energy(metrics.brightness(frames[len(frames) // 2]))
        one["sharpness_to_photographs"] = metrics.ratio(middle, detail)
        for name, value in one.items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def _path_figures(frames: np.ndarray, detector: FaceDetector) -> dict[str, float]:
    start, middle, end = frames[0], frames[len(frames) // 2], frames[-1]
    faded = (start.astype(np.float64) + end) / 2
    apart = metrics.rms_distance(start, end)
    steps = [metrics.rms_distance(a, b) for a, b in itertools.pairwise(frames)]
    confidence = face_likeness(middle, detector)
    ends_confidence = (face_likeness(start, detector) + face_likeness(end, detector)) / 2
    light = metrics.brightness(middle)
    return {
        "sharpness": metrics.ratio(metrics.laplacian_energy(light), _mean_energy(metrics.laplacian_energy, start, end)),
        "ghost": metrics.rms_distance(middle, faded) / apart if apart else np.nan,
        "confidence": confidence,
        "ends_confidence": ends_confidence,
        "confidence_change": confidence - ends_confidence,
        "smoothness": max(steps) / float(np.mean(steps)) if any(steps) else np.nan,
        "asymmetry": metrics.ratio(metrics.asymmetry_energy(light), _mean_energy(metrics.asymmetry_energy, start, end)),
    }


def _mean_energy(energy: Callable[[np.ndarray], float], *pictures: np.ndarray) -> float:
    return float(np.mean([energy(metrics.brightness(picture)) for picture in pictures]))
