"""What the photographs' detail costs, with it and without, side by side in one run:

    python -m benchmarks.bench_detail --out benchmarks/results/detail.json

Two photographs of a few megapixels go the whole way through a `Mixer` as `facemix serve` has it, on two cores, to a
picture of 512 pixels: the first time, when nothing is known of them; again with other weights, which the caches answer
for the most part; and as a strip of 33. Then the carrying alone, by OpenCV and by torch (`TorchCarry`), on the
processor and on a GPU where there is one.

Photographs are scikit-image's public-domain portrait and its mirror image, enlarged, with grain, without which such a
file would be small and soon read; a comment in each makes it one that nobody has seen. They are looked at in threads,
not in processes of their own, so that all of the time that processors spend is this process's: where other programs
want the same cores, that is what tells, not the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmarks import photos
from benchmarks.record import RESULTS, machine, table, write

if TYPE_CHECKING:
    from facemix.mixing.recipe import Edits
    from facemix.serving.mixer import Mixer

OUT = RESULTS / "detail.json"
CORES = 2
PHOTO_SIDE = 3000  # pixels, the longer one, of 4 : 3
GRAIN = 5.0  # grey levels
SIDE = 512
STRIP = 33
STAGES = ("look", "encode", "decode", "cut", "carry", "check", "rest", "write")
CARRY_SIDES = (256, SIDE, 1024)

Spent = dict[str, float]  # milliseconds


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--repeats", type=int, default=15, help="photographs of either way; the median counts")
    parser.add_argument("--photo-side", type=int, default=PHOTO_SIDE)
    parser.add_argument("--quick", action="store_true", help="small and once: whether it runs, not what it costs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.photo_side, options.repeats = 700, 1
    else:
        _as_served()
    strip, sides = (3, (256,)) if options.quick else (STRIP, CARRY_SIDES)
    load = os.getloadavg()[0]
    results = {
        "machine": machine() | {"load_before": load},
        "quick": options.quick,
        "repeats": options.repeats,
        "photo_side": options.photo_side,
        "photo_bytes": len(photograph(options.photo_side)),
        "side": SIDE,
        **asyncio.run(_measured(options.photo_side, options.repeats, strip, sides)),
    }
    print(f"{results['about']['backend']}; load before {load:.1f}")
    for part in ("mixes", "stages", "carry"):
        print("\n" + table(results[part]))
    if options.out is not None:
        write(options.out, results)
    return results


def photograph(side: int, *, mirrored: bool = False) -> bytes:
    """A JPEG file of side x 3/4 side pixels, upright."""
    import skimage.data

    picture = np.ascontiguousarray(skimage.data.astronaut()[:, 32:416])
    if mirrored:
        picture = picture[:, ::-1]
    size = (3 * side // 4, side)
    large = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)).astype(np.float32)
    large += GRAIN * np.random.default_rng(int(mirrored)).standard_normal(large.shape, np.float32)
    file = BytesIO()
    Image.fromarray(np.rint(large).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=photos.QUALITY)
    return file.getvalue()


def _as_served() -> None:
    """Two cores and the allocator of `facemix serve`; before torch is imported."""
    from facemix.serving.tuning import tune_allocator, wait_passively

    tune_allocator()
    wait_passively()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


async def _measured(photo_side: int, repeats: int, strip: int, sides: tuple[int, ...]) -> dict[str, Any]:
    from facemix.serving.assembly import mixer_from_settings
    from facemix.settings import Settings

    clock = StageClock()
    mixer = mixer_from_settings(Settings(isolate=False), clock.observer)
    try:
        about = {"backend": mixer.engine.backend, "device": mixer.engine.device, "model": str(mixer.model)}
        times = await mixes(mixer, clock, photo_side, repeats, strip)
        carried = await carries(mixer, photo_side, repeats, sides)
    finally:
        mixer.close()
    return {"about": about, "strip": strip, "mixes": mix_rows(times, strip), "stages": stage_rows(times), **carried}


# --- the whole way -----------------------------------------------------------------------------------------


class StageClock:
    """Tells to what stage of a request time went, on the clock and of the processors: all since the stage before ended.

    One request at a time. What it decodes a second time are the parents by themselves, which is part of ``cut``, as are
    their shapes and whatever else is found out of them once.
    """

    def __init__(self) -> None:
        from facemix.serving.observer import Observer

        self.begin()
        self.observer = Observer()
        self.observer.stage = self._stage  # type: ignore[method-assign]

    def begin(self) -> None:
        self.wall: Spent = {}
        self.cpu: Spent = {}
        self._last = _now()

    def end(self, name: str) -> None:
        """Whatever has passed since the last stage is `name`."""
        now = _now()
        for spent, before, after in zip((self.wall, self.cpu), self._last, now, strict=True):
            spent[name] = spent.get(name, 0.0) + 1000 * (after - before)
        self._last = now

    def _stage(self, name: str, seconds: float) -> None:
        self.end("cut" if name == "decode" and name in self.wall else name)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


async def mixes(
    mixer: Mixer, clock: StageClock, photo_side: int, repeats: int, strip: int
) -> dict[tuple[str, str], list[tuple[Spent, Spent]]]:
    """Of each request, with and without detail in turn, what its stages took: on the clock, and of the processors. One
    round before is not counted."""
    from facemix.imaging.encode import encode_image
    from facemix.mixing.recipe import Edits

    kinds = {"with": Edits(detail=1.0, size=SIDE), "without": Edits(size=SIDE)}
    files = [photograph(photo_side, mirrored=mirrored) for mirrored in (False, True)]
    found: dict[tuple[str, str], list[tuple[Spent, Spent]]] = {}

    for number in range(repeats + 1):
        for place, (kind, edits) in enumerate(kinds.items()):
            data = [photos.unique(file, 4 * number + 2 * place + one) for one, file in enumerate(files)]
            for what, work in requests(mixer, data, edits, strip).items():
                clock.begin()
                result = await work()
                clock.end("rest")
                if what != "strip":
                    await mixer.write(encode_image, result.image, "image/png")
                if number:
                    found.setdefault((what, kind), []).append((clock.wall, clock.cpu))
    return found


def requests(mixer: Mixer, data: list[bytes], edits: Edits, strip: int) -> dict[str, Callable[[], Awaitable[Any]]]:
    """One after the other: of each the next has less left to do."""
    from facemix.serving.types import PhotoInput

    def parents(first: float) -> list[PhotoInput]:
        return [PhotoInput(data[0], "a", weight=first), PhotoInput(data[1], "b", weight=1 - first)]

    return {
        "first": lambda: mixer.mix(parents(0.5), edits),
        "again": lambda: mixer.mix(parents(0.3), edits),
        "strip": lambda: mixer.strip(*parents(0.5), steps=strip, edits=edits),
    }


def mix_rows(times: Mapping[tuple[str, str], list[tuple[Spent, Spent]]], strip: int) -> list[dict[str, Any]]:
    """Medians of the whole ways, from bytes to pixels, without the file; of a strip for each frame of it."""
    rows = []
    for what, frames in (("first", 1), ("again", 1), ("strip", strip)):
        row: dict[str, Any] = {"mix": what, "frames": frames}
        for kind in ("with", "without"):
            for name, one in (("ms", 0), ("cpu_ms", 1)):
                totals = [
                    sum(ms for stage, ms in spent[one].items() if stage != "write") for spent in times[what, kind]
                ]
                row[f"{kind}_{name}"] = median(totals) / frames
                if name == "ms":
                    row[f"{kind}_least_ms"] = min(totals) / frames
        rows.append(row | {"cpu_ratio": row["with_cpu_ms"] / max(row["without_cpu_ms"], 1e-6)})
    return rows


def stage_rows(times: Mapping[tuple[str, str], list[tuple[Spent, Spent]]]) -> list[dict[str, Any]]:
    """Medians of each stage of a request: milliseconds on the clock and of the processors; 0 where it has none."""
    rows = []
    for stage in STAGES:
        row: dict[str, Any] = {"stage": stage}
        for (what, kind), spent in times.items():
            row[f"{what}_{kind}_ms"] = median(wall.get(stage, 0.0) for wall, _ in spent)
            row[f"{what}_{kind}_cpu_ms"] = median(cpu.get(stage, 0.0) for _, cpu in spent)
        rows.append(row)
    return rows


# --- carrying alone ----------------------------------------------------------------------------------------


async def carries(mixer: Mixer, photo_side: int, repeats: int, sides: tuple[int, ...]) -> dict[str, Any]:
    """A row for each side and way: what knowing the parents costs, and each frame, in turn, one thread of the processor
    each; and by how many levels frames differ from OpenCV's. Figures of a GPU are None where there is none."""
    import cv2
    import torch

    from facemix.faces.align import Alignment
    from facemix.mixing.carry import Carry
    from facemix.mixing.carry_torch import TorchCarry
    from facemix.mixing.interpolation import interpolate
    from facemix.serving.types import PhotoInput

    pictures, faces = [], []
    for mirrored in (False, True):
        data = photograph(photo_side, mirrored=mirrored)
        pictures.append(np.asarray(Image.open(BytesIO(data))))
        faces.append((await mixer.find_faces(PhotoInput(data, "photo"))).faces[0])
    engine, weights = mixer.engine, (0.5, 0.5)
    crops = np.stack([face.crop for face in faces])
    z = engine.encode(crops)
    mixed = engine.decode(interpolate(z, weights, coarse_size=engine.coarse_size)[None])[0]
    own, shapes = engine.decode(z), mixer.detailing.shapes(crops)
    gpu = torch.cuda.is_available()
    ways: dict[str, Callable[..., Carry] | None] = {
        "OpenCV, processor": Carry,
        "torch, processor": lambda *known: TorchCarry(*known, device="cpu"),
        "torch, GPU": (lambda *known: TorchCarry(*known, device="cuda")) if gpu else None,
    }
    threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rows = []
    try:
        for side in sides:
            cuts = [
                Alignment.from_landmarks(face.face.landmarks, side).crop(picture)
                for face, picture in zip(faces, pictures, strict=True)
            ]
            making, framing, frames = {}, {}, {}
            for name, way in ways.items():
                if way is not None:
                    carry = way(cuts, own, shapes)
                    frames[name] = carry.frame(mixed, weights).astype(int)
                    making[name] = lambda way=way, cuts=cuts: way(cuts, own, shapes)
                    framing[name] = lambda carry=carry: carry.frame(mixed, weights)
            made, framed = _in_turn(making, repeats), _in_turn(framing, repeats)
            first = next(iter(ways))
            for name in ways:
                there = name in frames
                apart = np.abs(frames[name] - frames[first]) if there else None
                rows.append(
                    {
                        "side": side,
                        "way": name,
                        "make_ms": made[name][0] if there else None,
                        "make_cpu_ms": made[name][1] if there else None,
                        "frame_ms": framed[name][0] if there else None,
                        "frame_cpu_ms": framed[name][1] if there else None,
                        "ratio": framed[name][0] / framed[first][0] if there else None,
                        "differs_mean": None if apart is None else float(apart.mean()),
                        "differs_most": None if apart is None else int(apart.max()),
                    }
                )
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])
    return {"carry": rows}


def _in_turn(ways: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, tuple[float, float]]:
    """Median milliseconds of each on the clock and of the processors; one run before is not counted."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(repeats + 1):
        for name, way in ways.items():
            before = _now()
            way()
            after = _now()
            if number:
                spent[name].append((1000 * (after[0] - before[0]), 1000 * (after[1] - before[1])))
    return {name: (median(wall for wall, _ in times), median(cpu for _, cpu in times)) for name, times in spent.items()}


if __name__ == "__main__":
    main()
