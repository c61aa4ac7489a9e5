"""What a mix costs by what is asked, and what more replicas bring: ``python -m benchmarks.bench_scale``.

Cost is that of one request at a time, without caches, with the functions that the server calls (no HTTP): milliseconds
until the answer, the stages' own, seconds of the device, processor seconds of the whole process.

    photo       both photographs of a mix have 256 to 4000 pixels a side
    strip       2 to 65 frames between two photographs of 512 pixels
    parents     2 to 8 photographs of 512 pixels

Throughput is that of a closed loop against `facemix serve`, alone and behind ``--engine ray`` with 1 and 2 replicas (on
one machine they share its cores), each beside the machine's limit in the same minute.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks import loads, photos, record
from benchmarks.limit import Limit
from benchmarks.outcome import percentile
from benchmarks.servers import FACEMIX, NotStarted, pinned, running, serving_environment

RESULTS = record.RESULTS / "scale.json"
SIDES = (256, 512, 1024, 2048, 3000, 4000)
STRIPS = (2, 3, 5, 9, 17, 33, 65)
PARENTS = (2, 3, 4, 6, 8)


def cost(work: Callable[[], Any], seconds: float, least: int) -> dict[str, float]:
    """Medians of what `work`, which returns a `MixResult` or a `StripResult`, took; repeated for so long."""
    found: list[dict[str, float]] = []
    work()
    until = time.perf_counter() + seconds
    while len(found) < least or time.perf_counter() < until:
        started, cpu = time.perf_counter(), time.process_time()
        result = work()
        milliseconds = 1000 * (time.perf_counter() - started)
        found.append(
            {
                "ms": milliseconds,
                "look_ms": result.stage_ms.get("look", 0.0),
                "encode_ms": result.stage_ms.get("encode", 0.0),
                "decode_ms": result.stage_ms.get("decode", 0.0),
                "device_seconds": result.cost.device_seconds,
                "cpu_seconds": time.process_time() - cpu,
            }
        )
    return {name: median(one[name] for one in found) for name in found[0]} | {"repetitions": len(found)}


def costs(seconds: float, least: int, sides: Sequence[int], strips: Sequence[int], parents: Sequence[int]) -> dict:
    """The three tables, and what computed them."""
    from facemix.serving.assembly import mixer_from_settings
    from facemix.serving.blocking import BlockingMixer
    from facemix.serving.types import PhotoInput
    from facemix.settings import load_settings

    settings = load_settings().model_copy(update={"cache_bytes": 0})
    mixer = BlockingMixer(mixer_from_settings(settings))

    def inputs(number: int, side: int = 512) -> list[PhotoInput]:
        # Of equal photographs in one request only one would be looked at.
        made = [photos.portrait(side, mirrored=bool(index % 2)) for index in range(min(number, 2))]
        return [PhotoInput(photos.unique(made[index % 2], index), f"parents.{index}") for index in range(number)]

    def table(name: str, values: Sequence[int], work: Callable[[int], Callable[[], Any]]) -> list[dict[str, Any]]:
        return [{name: value, **cost(work(value), seconds, least)} for value in values]

    def by_side(side: int) -> Callable[[], Any]:
        pair = inputs(2, side)
        return lambda: mixer.mix(pair)

    def by_steps(steps: int) -> Callable[[], Any]:
        pair = inputs(2)
        return lambda: mixer.strip(*pair, steps=steps)

    def by_parents(number: int) -> Callable[[], Any]:
        several = inputs(number)
        return lambda: mixer.mix(several)

    try:
        sizes = table("side", sides, by_side)
        for row in sizes:
            row["file_bytes"] = len(photos.portrait(row["side"]))
        return {
            "backend": mixer.mixer.engine.backend,
            "photo": sizes,
            "strip": table("frames", [one for one in strips if one <= settings.max_steps], by_steps),
            "parents": table("parents", [one for one in parents if one <= settings.max_parents], by_parents),
        }
    finally:
        mixer.close()


def throughputs(seconds: float, clients: int, replicas: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each engine: mixes a second and their ratio to the limit; ``left_out`` where it did not start."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pair, environment = photos.pair(Path(folder)), serving_environment(Path(folder) / "data")
        limit = Limit(pair, environment)
        environment = pinned(environment, limit.about["backend"])
        try:
            for number in replicas:
                # 0 stands for facemix's own engine, without Ray.
                name = f"Ray Serve, {number} replica{'s' * (number > 1)}" if number else "one process"
                command = (*FACEMIX, "--engine", "ray", "--replicas", str(number)) if number else FACEMIX
                row: dict[str, Any] = {"engine": name, "replicas": number or 1, "clients": clients, "left_out": None}
                try:
                    with running(command, environment=environment) as server:
                        before = max(limit.rates(seconds).values())
                        load = loads.run_apart(loads.Plan(server.port, pair, clients, seconds))
                        after = max(limit.rates(seconds).values())
                    rate = load.throughput(seconds / 4, seconds)
                    times = [1000 * one for one in load.latencies(after=seconds / 4)]
                    row |= {
                        "throughput": rate,
                        "over_limit": rate / mean((before, after)),
                        "p50_ms": percentile(times, 50),
                        "statuses": load.statuses(),
                        "ready_seconds": server.ready_seconds,
                    }
                except NotStarted as error:
                    row["left_out"] = str(error)
                    print(f"{name} is left out: {error}", file=sys.stderr)
                rows.append(row)
        finally:
            limit.close()
    return rows


def main() -> None:
    from facemix.serving.tuning import tune_allocator, wait_passively

    tune_allocator()  # as the server does, before torch is imported
    wait_passively()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a little of everything; the figures mean nothing")
    parser.add_argument("--no-servers", action="store_true", help="only the cost by what is asked")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.quick:
        found = costs(0.0, 1, SIDES[:2], STRIPS[:2], PARENTS[:2])
        replicas: tuple[int, ...] = (0,)
    else:
        found, replicas = costs(2.0, 5, SIDES, STRIPS, PARENTS), (0, 1, 2)
    seconds = 0.4 if options.quick else 8.0
    found["replicas"] = [] if options.no_servers else throughputs(seconds, options.clients, replicas)
    for name in ("photo", "strip", "parents", "replicas"):
        print(f"\n{name}\n{record.table(found[name])}")
    results = {"machine": record.machine(), "quick": options.quick, **found}
    record.write(options.out, results)


if __name__ == "__main__":
    main()
