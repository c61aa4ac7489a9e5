"""Measures the library blind-watermark on the results that `benchmarks.marking` marks.

It wants another OpenCV than this project, and so an environment of its own:

    python -m benchmarks.marking --frames frames.npy
    python3 -m venv venv && venv/bin/pip install blind-watermark
    venv/bin/python -m benchmarks.rivals.blind_marks frames.npy rival.json
    python -m benchmarks.marking --photographs FOLDER --rival rival.json

A mark counts as found when all of its 32 bits are read back; a picture of another size is first brought to its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from benchmarks.attacks import ATTACKS

BITS, MOST = 32, 64
NAMES = ("nothing", "JPEG 50", "half size", "half size, then JPEG 50", "WebP 60", "brighter by a fifth", "5 % cut off")


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    frames = np.load(source)[:MOST]
    with contextlib.redirect_stdout(io.StringIO()):  # it greets
        measured = measure(frames)
    target.write_text(json.dumps(measured, indent=1))
    print(target)


def measure(frames: np.ndarray) -> dict:
    from blind_watermark import WaterMark

    chance = np.random.default_rng(0)
    found, times, noise = dict.fromkeys(NAMES, 0), [], []
    for frame in frames:
        bits = chance.integers(0, 2, BITS).astype(bool)
        writer = WaterMark(password_img=1, password_wm=1)
        writer.read_img(img=np.ascontiguousarray(frame[..., ::-1]))
        writer.read_wm(bits, mode="bit")
        start = time.perf_counter()
        written = writer.embed()
        times.append(1000 * (time.perf_counter() - start))
        marked = np.clip(np.rint(written), 0, 255).astype(np.uint8)[..., ::-1]
        noise.append(10 * np.log10(255**2 / np.mean((marked.astype(float) - frame) ** 2)))
        for name in NAMES:
            changed = ATTACKS[name](np.ascontiguousarray(marked), chance)
            changed = cv2.resize(changed, frame.shape[1::-1], interpolation=cv2.INTER_CUBIC)
            reader = WaterMark(password_img=1, password_wm=1)
            read = reader.extract(embed_img=np.ascontiguousarray(changed[..., ::-1]), wm_shape=BITS, mode="bit")
            found[name] += bool(np.array_equal(np.asarray(read) > 0.5, bits))
    return {"count": len(frames), "bits": BITS, "mark_ms": median(times), "psnr": float(np.mean(noise)), "found": found}


if __name__ == "__main__":
    main()
