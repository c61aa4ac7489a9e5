"""Broken and hostile files against the decoding of uploads: ``python -m benchmarks.fuzz_decoder --seconds 3600``.

A worker process takes seeds of every kind of file that is accepted, breaks them, and decodes what comes out. Every case
must end in pixels of the promised shape or in a refusal of the family `ImageError`. A finding is anything else: another
exception, a warning, a case that takes longer than `PATIENCE` seconds, more memory than `MEMORY`, or the death of the
process. Findings are kept as files in ``--keep``; the exit status is 1 if there was one.

With ``--atheris`` (the package of that name must be importable) cases are chosen by the lines of Python that they reach
(libFuzzer); without it they are drawn at random from ``--seed``, so that a run can be repeated.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import resource
import sys
import time
import warnings
from collections import Counter
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from facemix.errors import ImageError
from facemix.imaging.decode import DecodeLimits, Photograph

PATIENCE = 20.0  # seconds for one case
MEMORY = 2 << 30  # bytes that the worker may map beyond what it starts with
LIMITS = DecodeLimits(max_bytes=1 << 20, max_pixels=4_000_000, allow_heif=True, allow_avif=True)
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
SIZES = (32, 64, 512)  # sides that pixels are asked for at, as detection and crops do


def seeds() -> list[bytes]:
    """Small files of every kind and of most features: profiles, EXIF, interlace, palettes, 16 bits, animation."""
    ramp = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    colour = Image.fromarray(np.stack([ramp, ramp[:, ::-1] * 2, 255 - ramp], axis=2))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    turned = Image.Exif()
    turned[0x0112] = 6
    exif = turned.tobytes()
    made = []

    def save(image: Image.Image, kind: str, **options: object) -> None:
        buffer = BytesIO()
        image.save(buffer, kind, **options)
        made.append(buffer.getvalue())

    for options in ({}, {"progressive": True}, {"icc_profile": profile, "exif": exif}, {"subsampling": 0}):
        save(colour, "JPEG", **options)
    save(colour.convert("CMYK"), "JPEG")
    save(colour.convert("L"), "JPEG")
    save(colour, "PNG", icc_profile=profile, exif=exif)
    save(colour.convert("RGBA"), "PNG")
    save(colour.convert("P"), "PNG", transparency=3)
    save(colour.convert("1"), "PNG")
    save(Image.fromarray(ramp.astype(np.uint16) * 257), "PNG")
    save(colour, "PNG", save_all=True, append_images=[colour.convert("L").convert("RGB")])
    save(colour, "WEBP", exif=exif, icc_profile=profile)
    save(colour.convert("RGBA"), "WEBP", lossless=True)
    save(colour, "WEBP", save_all=True, append_images=[colour.rotate(90)])
    save(colour, "AVIF", speed=10)
    return made


def mutate(data: bytes, others: list[bytes], draw: random.Random) -> bytes:
    """One to eight changes: bits, bytes, lengths of two or four bytes, pieces cut, doubled, or taken from elsewhere."""
    changed = bytearray(data)
    for _ in range(1 << draw.randrange(4)):
        if not changed:
            break
        at = draw.randrange(len(changed))
        piece = slice(at, at + draw.randrange(1, 65))
        match draw.randrange(7):
            case 0:
                changed[at] ^= 1 << draw.randrange(8)
            case 1:
                changed[at] = draw.randrange(256)
            case 2:
                size = draw.choice((2, 4))
                value = draw.choice(INTERESTING) & ((1 << 8 * size) - 1)
                changed[at : at + size] = value.to_bytes(size, draw.choice(("big", "little")))
            case 3:
                del changed[piece]
            case 4:
                changed[at:at] = changed[piece]
            case 5:
                other = draw.choice(others)
                begin = draw.randrange(len(other))
                changed[at:at] = other[begin : begin + draw.randrange(1, 257)]
            case 6:
                del changed[at:]
    return bytes(changed)


def decode(data: bytes) -> str:
    """Decodes one case; what came of it in a word. Anything that it raises is a finding."""
    side = SIZES[len(data) % len(SIZES)]
    try:
        photo = Photograph(data, LIMITS)
        for pixels in (photo.pixels(side), photo.pixels()):
            if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
                raise AssertionError(f"pixels of the shape {pixels.shape} {pixels.dtype}")
    except ImageError as refusal:
        return refusal.code
    return "pixels"


def work(pipe: Connection) -> None:
    """Decodes what comes, and answers a word or a finding's description."""
    warnings.simplefilter("error")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    while (data := pipe.recv_bytes()) != b"\0end":
        try:
            answer = (True, decode(data))
        except BaseException as error:
            answer = (False, f"{type(error).__name__}: {error}"[:300])
        pipe.send(answer)


class Worker:
    """The process that decodes, begun anew after it died or hung."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def try_case(self, data: bytes) -> tuple[bool, str]:
        """Whether the case ended well, and what came of it."""
        try:
            self.pipe.send_bytes(data)
            if not self.pipe.poll(PATIENCE):
                self._replace()
                return False, f"no answer within {PATIENCE:g} s"
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            said = f"the process died: {self.process.exitcode}"
            self._begin()
            return False, said

    def _replace(self) -> None:
        self.process.kill()
        self.process.join()
        self._begin()

    def close(self) -> None:
        self.pipe.send_bytes(b"\0end")
        self.process.join()


def run(*, seconds: float, cases: int | None, seed: int, keep: Path | None) -> tuple[Counter[str], list[str]]:
    """Tries cases until `seconds` are over or `cases` are done: how many ended how, and the findings."""
    draw, corpus = random.Random(seed), seeds()
    outcomes: Counter[str] = Counter()
    findings: list[str] = []
    worker = Worker()
    until = time.monotonic() + seconds
    while time.monotonic() < until and (cases is None or outcomes.total() < cases):
        data = mutate(draw.choice(corpus), corpus, draw)
        well, said = worker.try_case(data)
        outcomes[said if well else "finding"] += 1
        if well and said == "pixels" and len(corpus) < 2000 and draw.random() < 0.02:
            corpus.append(data)  # broken, and yet decoded: breaking it further leads deeper
        if not well:
            findings.append(said)
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    worker.close()
    return outcomes, findings


def run_atheris(*, seconds: float, keep: Path, seed: int) -> None:
    """Hands over to libFuzzer, which ends the process: with status 0 if it found nothing."""
    import atheris

    corpus = keep / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in seeds():
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    warnings.simplefilter("error")
    atheris.instrument_all()
    options = [f"-max_total_time={seconds:.0f}", "-timeout=20", "-rss_limit_mb=3072", "-print_final_stats=1"]
    options += [f"-seed={seed + 1}", "-max_len=65536", f"-artifact_prefix={keep}/"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: decode(bytes(data)))
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--cases", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--atheris", action="store_true")
    args = parser.parse_args()
    if args.atheris:
        run_atheris(seconds=args.seconds, keep=args.keep or Path("fuzz"), seed=args.seed)
        return
    began = time.monotonic()
    outcomes, findings = run(seconds=args.seconds, cases=args.cases, seed=args.seed, keep=args.keep)
    print(f"{outcomes.total()} cases in {time.monotonic() - began:.0f} s, seed {args.seed}, {len(seeds())} seeds")
    for outcome, count in outcomes.most_common():
        print(f"  {outcome:24} {count}")
    print(f"findings: {len(findings)}")
    for said in findings[:20]:
        print(f"  {said}")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
