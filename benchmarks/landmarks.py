"""How steady the landmarks are, and whether the finder agrees with a more thorough one.

    python -m benchmarks.landmarks PHOTOS --count 40 --plain 400

Photographs are turned, scaled and shifted at random and the landmarks mapped back. Printed, for one pass of the
detector over the photograph and for the finder: the mean standard deviation of the five landmarks, in hundredths of
the distance between the eyes. Then, on photographs as they are, against the thorough search (one large view): faces
found, the largest mean shift of a landmark and the root mean square of all shifts, in the same unit, and the mean
absolute difference of the aligned crops in levels. Last, on the same photographs, how far the crop moves when eyes and
mouth are placed by hand where the finder has them, with a hand that misses by so much, in the same unit (mean over the
crop); and what `facemix/faces/placed.py` estimates, as means: the nose and the box in fractions of the crop.
`docs/faces.md` quotes it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from facemix.faces.align import Alignment, apply
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import THOROUGH, FaceFinder, eye_distance
from facemix.faces.placed import Placed
from facemix.faces.runners import openvino_installed
from facemix.faces.types import Face, FaceDetector
from facemix.imaging.decode import decode_image

CANVAS, VIEWS = 420, 6
MISSES = (0, 2, 5, 10)  # standard deviation of each coordinate, in hundredths of the distance between the eyes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--plain", type=int, default=400)
    options = parser.parse_args()
    detector = CenterFace(threads=1)
    finders = {"the thorough finder": FaceFinder(detector, THOROUGH), "the finder": FaceFinder(detector)}
    if openvino_installed():
        finders["the finder, run by OpenVINO"] = FaceFinder(CenterFace(threads=1, runner="openvino"))
    files = sorted(options.photos.rglob("*.jpg"))
    print_scatter(_some(files, options.count), detector, finders)
    print_agreement(_some(files, options.plain), finders)
    print_placed(_some(files, options.plain), finders["the finder"])


def print_scatter(files: Sequence[Path], detector: FaceDetector, finders: Mapping[str, FaceFinder]) -> None:
    ways: dict[str, Callable[[np.ndarray], list[Face]]] = {"one pass over the photograph": detector.detect}
    ways |= {name: finder.find for name, finder in finders.items()}
    rng = np.random.default_rng(0)
    scatter: dict[str, list[float]] = {way: [] for way in ways}
    for file in files:
        image = decode_image(file.read_bytes()).pixels
        views = [_random_view(image, rng) for _ in range(VIEWS)]
        for way, find in ways.items():
            found = [(matrix, find(view)) for matrix, view in views]
            points = [apply(cv2.invertAffineTransform(matrix), faces[0].landmarks) for matrix, faces in found if faces]
            if len(points) > 2:
                stacked = np.array(points)
                eyes = np.linalg.norm(stacked[:, 1] - stacked[:, 0], axis=1).mean()
                scatter[way].append(100 * float(stacked.std(0).mean() / eyes))
    print(f"{'':32}{'mean':>8}{'90 %':>8}{'photos':>8}")
    for way, values in scatter.items():
        print(f"{way:32}{np.mean(values):8.2f}{np.percentile(values, 90):8.2f}{len(values):8}")


def print_agreement(files: Sequence[Path], finders: Mapping[str, FaceFinder]) -> None:
    """Against the first of the finders."""
    found = dict.fromkeys(finders, 0)
    shifts: dict[str, list[np.ndarray]] = {way: [] for way in finders}
    differences: dict[str, list[float]] = {way: [] for way in finders}
    for file in files:
        image = decode_image(file.read_bytes()).pixels
        answers = {way: finder.find(image) for way, finder in finders.items()}
        reference = next(iter(answers.values()))
        for way, faces in answers.items():
            found[way] += len(faces)
            if faces and reference:
                moved = (faces[0].landmarks - reference[0].landmarks) / eye_distance(reference[0])
                shifts[way].append(100 * moved)
                differences[way].append(float(np.abs(_crop(faces[0], image) - _crop(reference[0], image)).mean()))
    print(f"{'':32}{'faces':>8}{'shift':>8}{'rms':>8}{'levels':>8}{'photos':>8}")
    for way in finders:
        moves = np.array(shifts[way])
        shift, rms = float(np.abs(moves.mean(0)).max()), float(np.sqrt((moves**2).mean()))
        print(f"{way:32}{found[way]:8}{shift:8.2f}{rms:8.2f}{np.mean(differences[way]):8.2f}{len(files):8}")


def print_placed(files: Sequence[Path], finder: FaceFinder) -> None:
    faces = [found[0] for file in files if (found := finder.find(decode_image(file.read_bytes()).pixels))]
    rng = np.random.default_rng(0)
    print(f"{'placed, missing by':32}{'mean':>8}{'90 %':>8}{'largest':>8}{'photos':>8}")
    for miss in MISSES:
        moves = [_moved_crop(face, _by_hand(face, miss, rng)) for face in faces]
        print(f"{miss:<32}{np.mean(moves):8.2f}{np.percentile(moves, 90):8.2f}{max(moves):8.2f}{len(moves):8}")
    shapes = []
    for face in faces:
        alignment = Alignment.from_landmarks(face.landmarks, 1)
        low, high = np.array(face.box).reshape(2, 2)
        centre, nose = apply(alignment.matrix, np.stack([(low + high) / 2, face.landmarks[2]]))
        shapes.append(np.concatenate([nose, centre, (high - low) * alignment.scale]))
    print(f"{'nose x, y; box x, y, w, h':32}" + "".join(f"{value:8.3f}" for value in np.mean(shapes, 0)))


def _by_hand(face: Face, miss: float, rng: np.random.Generator) -> Placed:
    points = np.concatenate([face.landmarks[:2], face.landmarks[3:].mean(0)[None]])
    points = points + rng.normal(0, 1, points.shape) * miss / 100 * eye_distance(face)
    return Placed(*(tuple(point) for point in points.tolist()))


def _moved_crop(face: Face, placed: Placed) -> float:
    """Mean shift over the crop, in hundredths of the distance between the eyes."""
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9)), axis=-1).reshape(-1, 2)
    one, other = (Alignment.from_landmarks(landmarks, 1) for landmarks in (face.landmarks, placed.landmarks()))
    moved = apply(other.inverse, grid) - apply(one.inverse, grid)
    return 100 * float(np.linalg.norm(moved, axis=1).mean()) / eye_distance(face)


def _crop(face: Face, image: np.ndarray) -> np.ndarray:
    return Alignment.from_landmarks(face.landmarks, 128).crop(image).astype(np.float32)


def _some(files: Sequence[Path], count: int) -> Sequence[Path]:
    return files[:: max(1, len(files) // count)][:count]


def _random_view(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The transform and the picture: turned by up to 20 degrees, scaled by .8 to 3 of 200 pixels, shifted."""
    height, width = image.shape[:2]
    scale = rng.uniform(0.8, 3) * 200 / max(height, width)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-20, 20), scale)
    matrix[:, 2] += CANVAS / 2 - np.array([width / 2, height / 2]) + rng.uniform(-20, 20, 2)
    return matrix, cv2.warpAffine(image, matrix, (CANVAS, CANVAS), flags=cv2.INTER_CUBIC)


if __name__ == "__main__":
    main()
