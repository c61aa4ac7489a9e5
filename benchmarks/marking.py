"""Measures the invisible mark, the label and the signature: ``python -m benchmarks.marking``.

Marks results of the shipped model (samples, and mixes of samples), does to them what is done to pictures on their way,
and looks for the mark with the verifier's own code, with a ledger of a hundred thousand recipes. False positives are
counted on photographs that bear no mark (``--photographs FOLDER``, 200 x 200 crops of faces; they are read and not
kept). ``--rival FILE`` takes over what `benchmarks/rivals/blind_marks.py` measured in an environment of its own.

Writes benchmarks/results/marking.json and docs/marking.md; ``--render`` only the page.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from benchmarks import performance, record
from benchmarks.attacks import ATTACKS
from facemix.imaging.encode import encode_image
from facemix.imaging.enlarge import enlarge
from facemix.safety.certificates import open_certificates
from facemix.safety.credentials import Facts, Signer, read_credentials
from facemix.safety.detection import find_mark
from facemix.safety.label import label
from facemix.safety.watermark import Watermark
from facemix.safety.xmp import with_xmp
from facemix.settings import Settings

RESULTS = record.RESULTS / "marking.json"
PAGE = performance.DOCS / "marking.md"
COUNT, PHOTOGRAPHS, RECIPES = 256, 1000, 100_000
SIDES = (128, 256, 512)
_KEY = hashlib.sha256(b"benchmarks.marking").digest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, help="folder of photographs without a mark")
    parser.add_argument("--rival", type=Path, help="figures of another mark")
    parser.add_argument("--frames", type=Path, help="only write the results that are marked here, for the other mark")
    parser.add_argument("--quick", action="store_true", help="a few of everything, for trying the program out")
    parser.add_argument("--times", action="store_true", help="only take the times again, on a machine that is at rest")
    parser.add_argument("--render", action="store_true", help="only write the page anew")
    given = parser.parse_args()
    if given.frames is not None:
        np.save(given.frames, results(COUNT))
        return
    if given.times:
        measured = json.loads(RESULTS.read_text())
        record.write(RESULTS, {**measured, **timed(results(64)), "machine": record.machine()})
    elif not given.render:
        if given.photographs is None:
            parser.error("name a folder of photographs: --photographs FOLDER")
        measured = measure(given.photographs, quick=given.quick)
        measured["rival"] = None if given.rival is None else json.loads(given.rival.read_text())
        if given.quick:
            print(json.dumps(measured, indent=1, default=float))
            return
        record.write(RESULTS, measured)
    PAGE.write_text(render(json.loads(RESULTS.read_text())))
    print(PAGE)


def render(measured: dict[str, Any]) -> str:
    """The page."""
    return performance.environment().get_template("marking.md.j2").render(**measured)


def measure(folder: Path, *, quick: bool = False) -> dict[str, Any]:
    """Everything.

    Args:
        folder: of photographs.
    """
    count, photographs, others = (8, 12, 1000) if quick else (COUNT, PHOTOGRAPHS, RECIPES)
    drawn = results(count)
    mine = [hashlib.sha256(f"recipe {number}".encode()).hexdigest() for number in range(count)]
    rest = [hashlib.sha256(f"other {number}".encode()).hexdigest() for number in range(others - count)]
    watermark, known = Watermark(_KEY), [*mine, *rest]
    codes, other = watermark.codes(known), Watermark(hashlib.sha256(b"another installation").digest())
    return {
        "machine": record.machine(),
        "quick": quick,
        "count": count,
        "recipes": others,
        **timed(drawn),
        "attacks": [attacked(watermark, drawn, mine, known, codes, name) for name in ATTACKS],
        "false_positives": false_positives(watermark, folder, photographs, known, codes),
        "of_others": sum(find_mark(watermark, one, known, codes) is not None for one in marked(other, drawn, mine)),
    }


def timed(drawn: np.ndarray) -> dict[str, Any]:
    """What label, mark and signature cost."""
    hashes = [hashlib.sha256(f"recipe {number}".encode()).hexdigest() for number in range(len(drawn))]
    watermark = Watermark(_KEY)
    return {"sizes": [size(watermark, drawn, hashes, side) for side in SIDES], "files": files(drawn[0])}


def results(count: int) -> np.ndarray:
    """(count, 128, 128, 3) uint8: samples of the shipped model, and mixes of two of them."""
    import torch

    from facemix.serving.engine import engine_from_settings

    engine = engine_from_settings(Settings(backend="torch", isolate=False))
    try:
        latents = [engine.draw(number, seed=0) for number in range(count + 1)]
        wanted = [(one + latents[number + 1]) / 2 if number % 2 else one for number, one in enumerate(latents[:count])]
        frames = [
            np.stack(list(engine.submit_decode(torch.stack(wanted[start : start + 32]).numpy()).result().rows))
            for start in range(0, count, 32)
        ]
    finally:
        engine.close()
    return np.concatenate(frames)


def marked(watermark: Watermark, frames: np.ndarray, hashes: list[str]) -> np.ndarray:
    made = frames.copy()
    label(made)
    watermark.embed(made, hashes)
    return made


def size(watermark: Watermark, drawn: np.ndarray, hashes: list[str], side: int) -> dict[str, Any]:
    """What mark and label cost and change at one size."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    frames = np.stack([enlarge(one, side) for one in drawn[:64]])
    plain, changed = frames.copy(), frames.copy()
    label(plain)
    changed[:] = plain
    watermark.embed(changed, hashes[: len(frames)])
    noise = [peak_signal_noise_ratio(one, other) for one, other in zip(plain, changed, strict=True)]
    alike = [structural_similarity(one, other, channel_axis=2) for one, other in zip(plain, changed, strict=True)]
    return {
        "side": side,
        "psnr": float(np.mean(noise)),
        "psnr_least": float(min(noise)),
        "ssim": float(np.mean(alike)),
        "mark_ms": milliseconds(lambda: watermark.embed(frames[:1].copy(), hashes[:1])),
        "mark_33_ms": milliseconds(lambda: watermark.embed(frames[:33].copy(), hashes[:33])),
        "label_ms": milliseconds(lambda: label(plain[:1])),
    }


def attacked(
    watermark: Watermark, drawn: np.ndarray, hashes: list[str], known: list[str], codes: np.ndarray, name: str
) -> dict[str, Any]:
    """How many are still found, and with their own recipe."""
    found = right = wrong = 0
    times = []
    chance = np.random.default_rng(1)
    for frame, recipe_hash in zip(marked(watermark, drawn, hashes), hashes, strict=True):
        changed = ATTACKS[name](frame, chance)
        start = time.perf_counter()
        mark = find_mark(watermark, changed, known, codes)
        times.append(1000 * (time.perf_counter() - start))
        found += mark is not None
        right += mark is not None and mark.recipe_hash == recipe_hash
        wrong += mark is not None and mark.recipe_hash not in (None, recipe_hash)
    print(name, found, right, wrong, flush=True)
    return {"name": name, "found": found, "right": right, "wrong": wrong, "find_ms": median(times)}


def false_positives(
    watermark: Watermark, folder: Path, count: int, known: list[str], codes: np.ndarray
) -> dict[str, Any]:
    """Photographs without a mark that are taken for marked."""
    paths = sorted(folder.glob("*.jpg"))
    chosen = [paths[place] for place in np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)]
    taken, looked, times = 0, 0, []
    for path in chosen:
        picture = cv2.imread(str(path))
        if picture is None:
            continue
        start = time.perf_counter()
        taken += find_mark(watermark, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), known, codes) is not None
        times.append(1000 * (time.perf_counter() - start))
        looked += 1
    print("photographs", looked, taken, flush=True)
    return {"photographs": looked, "taken_for_marked": taken, "find_ms": median(times)}


def files(frame: np.ndarray) -> list[dict[str, Any]]:
    """What XMP and signature cost of each type, in bytes and milliseconds."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        signer = Signer(open_certificates(Settings(data_dir=Path(folder))))
    facts = Facts("ab" * 32, "facemix-128@0123456789ab")
    rows = []
    for media_type in ("image/png", "image/jpeg", "image/webp"):
        plain = encode_image(frame, media_type)
        told = with_xmp(plain, media_type)
        signed = signer.sign(told, media_type, facts)
        rows.append(
            {
                "type": media_type,
                "xmp_bytes": len(told) - len(plain),
                "signature_bytes": len(signed) - len(told),
                "sign_ms": milliseconds(lambda kind=media_type, data=told: signer.sign(data, kind, facts)),
                "read_upload_ms": milliseconds(lambda data=signed: read_credentials(data)),
                "no_credentials_ms": milliseconds(lambda data=plain: read_credentials(data)),
            }
        )
    return rows


def milliseconds(work: Callable[[], object], times: int = 40) -> float:
    """The median."""
    work()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - start))
    return median(taken)


if __name__ == "__main__":
    main()
