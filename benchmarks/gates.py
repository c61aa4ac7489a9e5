"""What the gates measure on real photographs: ``python -m benchmarks.gates PHOTOS --count 300``.

Prints percentiles of every figure and how many faces each gate would warn about or refuse. `docs/faces.md` quotes it.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from facemix.faces.align import Alignment
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.faces.quality import measure, refusal
from facemix.imaging.decode import decode_image

FIGURES = ("score", "face_pixels", "sharpness", "yaw", "brightness")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    files = sorted(options.photos.glob("*.jpg"))
    files = files[:: max(1, len(files) // options.count)][: options.count]
    finder = FaceFinder(CenterFace())
    measured, outcomes = [], Counter()
    for file in files:
        image = decode_image(file.read_bytes()).pixels
        faces = finder.find(image)
        if not faces:
            outcomes["face_not_found"] += 1
            continue
        quality = measure(faces[0], Alignment.from_landmarks(faces[0].landmarks, 128).crop(image))
        measured.append([getattr(quality, name) for name in FIGURES])
        refused = refusal(quality)
        outcomes.update([f"refused: {refused.code}"] if refused else [])
        outcomes.update(f"warned: {code}" for code, _ in quality.warnings)
    print(f"{len(files)} photographs\n{'percentile':14}{1:>10}{5:>10}{50:>10}{95:>10}{99:>10}")
    for name, values in zip(FIGURES, np.array(measured).T, strict=True):
        print(f"{name:14}" + "".join(f"{value:10.4f}" for value in np.percentile(values, [1, 5, 50, 95, 99])))
    for outcome, count in sorted(outcomes.items()):
        print(f"{outcome}: {count}")


if __name__ == "__main__":
    main()
