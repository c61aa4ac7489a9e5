"""How steady the landmarks are: photographs turned, scaled and shifted at random, landmarks mapped back.

    python -m benchmarks.landmarks PHOTOS --count 40

prints the mean standard deviation of the five landmarks, in hundredths of the distance between the eyes, for one pass
of the detector over the photograph and for the finder. `docs/faces.md` quotes it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from facemix.faces.align import apply
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.faces.types import Face
from facemix.imaging.decode import decode_image

CANVAS, VIEWS = 420, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    files = sorted(options.photos.glob("*.jpg"))
    files = files[:: max(1, len(files) // options.count)][: options.count]
    detector = CenterFace()
    ways: dict[str, Callable[[np.ndarray], list[Face]]] = {
        "one pass over the photograph": detector.detect,
        "the finder": FaceFinder(detector).find,
    }
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


def _random_view(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The transform and the picture: turned by up to 20 degrees, scaled by .8 to 3 of 200 pixels, shifted."""
    height, width = image.shape[:2]
    scale = rng.uniform(0.8, 3) * 200 / max(height, width)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-20, 20), scale)
    matrix[:, 2] += CANVAS / 2 - np.array([width / 2, height / 2]) + rng.uniform(-20, 20, 2)
    return matrix, cv2.warpAffine(image, matrix, (CANVAS, CANVAS), flags=cv2.INTER_CUBIC)


if __name__ == "__main__":
    main()
