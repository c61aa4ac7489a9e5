"""Servers under load beside what this machine can do at most: ``python -m benchmarks.bench_serve``.

Every server is facemix's own functions behind another engine; clients post two JPEG files and get a PNG. For each
engine, limit and load take turns (limit, 1, 4, 16, 32, 64 clients, limit), facemix's own engine several times in
between the others, because machines drift; ratios are taken within a turn, and their medians are printed. The drills
of `benchmarks.drills` follow in a short form. ``--quick`` does a little of everything, to see that it works.

    limit       decode, detect, align, encode, mix, decode, file, back to back in one process with full batches
    alone       the same for one mix at a time, its two photographs side by side

LitServe is measured where ``--litserve`` (an interpreter; default this one) can import it, Ray where it is installed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks import drills, loads, photos, record
from benchmarks.engines import OURS, Engine, engines
from benchmarks.limit import WAYS, Limit
from benchmarks.outcome import percentile
from benchmarks.servers import NotStarted, Running, Watch, pinned, running, serving_environment

RESULTS = record.RESULTS / "serve.json"
CLIENTS = (1, 4, 16, 32, 64)
_MIB = 2**20


@dataclass(frozen=True)
class Times:
    """Seconds, and how often."""

    limit: float = 4.0
    alone: float = 2.0
    few: float = 3.0  # a load of up to four clients
    many: float = 6.0
    idle: float = 5.0
    overload: float = 20.0
    stop: float = 6.0
    starts: int = 3
    rounds: int = 3  # of facemix's own engine
    leaving: int = 4


FULL = Times()
QUICK = Times(0.2, 0.2, 0.4, 0.6, 0.3, 1.5, 1.0, starts=1, rounds=1, leaving=1)


class Bench:
    """What is shared by all measurements."""

    def __init__(self, pair: tuple[str, str], environment: Mapping[str, str], times: Times) -> None:
        self.pair, self.times = pair, times
        self.limit = Limit(pair, environment)
        self.environment = pinned(environment, self.limit.about["backend"])
        self.rates: dict[str, list[float]] = {way: [] for way in WAYS}
        self.generator = 0.0  # most cores that a load took

    @property
    def batch(self) -> int:
        return self.limit.about["max_batch"]

    def measure_limit(self) -> dict[str, float]:
        found = self.limit.rates(self.times.limit)
        for way, rate in found.items():
            self.rates[way].append(rate)
        return found

    def way(self) -> str:
        """The faster of the two ways to the limit on this machine."""
        return max(WAYS, key=lambda way: median(self.rates[way]))

    def load(self, server: Running, clients: int, *, repeated: bool = False) -> dict[str, Any]:
        """One row: a closed loop of so many clients, without its first quarter."""
        seconds = self.times.few if clients <= 4 else self.times.many
        with Watch(server) as watch:
            load = loads.run_apart(loads.Plan(server.port, self.pair, clients, seconds, repeated=repeated))
        if not repeated:
            self.generator = max(self.generator, load.cpu_share)
        ramp = seconds / 4
        times = [1000 * one for one in load.latencies(after=ramp)]
        refused = load.status.count(503)
        return {
            "clients": clients,
            "throughput": load.throughput(ramp, seconds),
            "p50_ms": percentile(times, 50),
            "p95_ms": percentile(times, 95),
            "p99_ms": percentile(times, 99),
            "answers": len(times),
            "refused": refused,
            "failed": len(load.status) - refused - load.status.count(200),
            "memory_mib": watch.peak / _MIB,
            "cores": watch.cores,
            "generator_cores": load.cpu_share,
        }

    def turn(self, server: Running, clients: tuple[int, ...]) -> list[dict[str, Any]]:
        """Limit, loads, limit. Every row gets the limit of its turn by `WAYS`, that of one client the lone pipeline."""
        before, rows = self.measure_limit(), []
        for number in clients:
            alone = [self.limit.alone(self.times.alone)] if number == 1 else []
            row = self.load(server, number)
            if number == 1:
                row["alone_ms"] = mean([*alone, self.limit.alone(self.times.alone)])
            rows.append(row)
        after = self.measure_limit()
        return [{**row, "limits": {way: mean((before[way], after[way])) for way in WAYS}} for row in rows]


def compare(bench: Bench, wanted: list[Engine], clients: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    """All turns of all engines by name: facemix's own before, between and after the others."""
    ours, others = wanted[0], wanted[1:]
    order: list[Engine] = list(others)
    for turn in range(bench.times.rounds):
        order.insert(round(turn * len(others) / max(bench.times.rounds - 1, 1)) + turn, ours)
    turns: dict[str, list[list[dict[str, Any]]]] = {engine.name: [] for engine in wanted}
    out: dict[str, str | None] = {engine.name: engine.absent for engine in wanted}
    for engine in order:
        if out[engine.name] is None:
            say(f"{engine.name}: under load")
            try:
                with running(engine.command, ready=engine.ready, environment=bench.environment) as server:
                    turns[engine.name].append(bench.turn(server, clients))
            except NotStarted as error:
                out[engine.name] = str(error)
        if out[engine.name]:
            say(f"{engine.name} is left out: {out[engine.name]}")
    way = bench.way()
    return {
        name: {"left_out": out[name], "turns": len(turns[name]), "rows": summary(turns[name], way)} for name in turns
    }


def summary(turns: list[list[dict[str, Any]]], way: str) -> list[dict[str, Any]]:
    """A row per number of clients: medians over the turns; the worst of memory, refusals and failures."""
    rows = []
    for same in zip(*turns, strict=True):
        row: dict[str, Any] = {"clients": same[0]["clients"]}
        for name in ("throughput", "p50_ms", "p95_ms", "p99_ms", "cores"):
            row[name] = median(one[name] for one in same)
        for name in ("memory_mib", "refused", "failed", "generator_cores"):
            row[name] = max(one[name] for one in same)
        ratios = [one["throughput"] / one["limits"][way] for one in same]
        row |= {"over_limit": median(ratios), "over_limit_by_turn": ratios}
        if "alone_ms" in same[0]:
            row["alone_ms"] = median(one["alone_ms"] for one in same)
            row["over_alone_ms"] = median(one["p50_ms"] - one["alone_ms"] for one in same)
        rows.append(row)
    return rows


def start_and_idle(environment: Mapping[str, str], times: Times) -> dict[str, Any]:
    """How long a start takes as an operator starts it, and what an idle server takes."""
    ready, idle, memory = [], [], []
    for _ in range(times.starts):
        with running(environment=environment) as server:
            ready.append(server.ready_seconds)
            idle.append(server.idle_cores(times.idle))
            memory.append(server.memory() / _MIB)
    return {"ready_seconds": ready, "idle_cores": idle, "idle_memory_mib": memory}


def caches(bench: Bench, clients: int) -> dict[str, Any]:
    """The same load with the same two photographs over and over, and without any caches."""
    with running(environment=bench.environment) as server:
        repeated = bench.load(server, clients, repeated=True)
    with running(environment={**bench.environment, "FACEMIX_CACHE_BYTES": "0"}) as server:
        (off,) = bench.turn(server, (clients,))
    return {"repeated": repeated, "off": summary([[off]], bench.way())[0]}


def drill(bench: Bench, queue: int, capacity: float) -> dict[str, Any]:
    """The three drills in their short form."""
    times = bench.times
    with running(environment=bench.environment) as server:
        say("clients that leave")
        left = [
            drills.leaving(server, bench.pair, clients=32, after=after, rounds=times.leaving) for after in (0.05, 0.3)
        ]
        say("twice the capacity")
        limits = [bench.measure_limit()[bench.way()]]
        ramp = drills.filling(limits[0], queue, times.overload)
        over = drills.overload(server, bench.pair, rate=2 * capacity, ramp=ramp, seconds=times.overload)
        limits.append(bench.measure_limit()[bench.way()])
    over = drills.against(over, limits, queue, bench.batch)
    say("a stop in mid-load")
    stop = drills.stopping(bench.pair, bench.environment, clients=16, seconds=times.stop)
    return {"leaving": None if None in left else left, "overload": over, "stop": stop}


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from facemix.settings import load_settings

    times = QUICK if options.quick else FULL
    settings, environment = load_settings(), serving_environment(folder / "data")
    pair = photos.pair(folder)
    say("starts")
    start = start_and_idle(environment, times)
    bench = Bench(pair, environment, times)
    try:
        wanted = engines(options.litserve)[: 2 if options.quick else None]
        clients = (1, 4) if options.quick else tuple(sorted({*CLIENTS, bench.batch, 2 * bench.batch}))
        compared = compare(bench, wanted, clients)
        capacity = max(row["throughput"] for row in compared[OURS]["rows"])
        say("caches")
        cached = caches(bench, 4 if options.quick else 2 * bench.batch)
        drilled = drill(bench, settings.max_queue, capacity)
    finally:
        bench.limit.close()
    return {
        "machine": record.machine(),
        "quick": options.quick,
        "about": bench.limit.about,
        "settings": settings.model_dump(mode="json", include={"max_queue", "threads", "workers", "cache_bytes"}),
        "photo": {"side": 512, "bytes": [Path(path).stat().st_size for path in pair]},
        "start": start,
        "limit": {"way": bench.way(), **{way: median(bench.rates[way]) for way in WAYS}, "runs": bench.rates},
        "engines": compared,
        "caches": cached,
        "generator_cores": bench.generator,
        **drilled,
    }


def report(found: Mapping[str, Any]) -> str:
    """What was measured, as text."""
    limit, start = found["limit"], found["start"]
    text = [
        f"{found['about']['backend']}, batches of {found['about']['max_batch']} frames; "
        f"limit {limit[limit['way']]:.1f} mixes/s ({limit['way']}); the load generator took at most "
        f"{found['generator_cores']:.3f} core",
        f"start to ready {median(start['ready_seconds']):.1f} s; idle {median(start['idle_cores']):.4f} core",
    ]
    for name, one in found["engines"].items():
        text += [f"\n{name}" + (f" is left out: {one['left_out']}" if one["left_out"] else "")]
        text += [record.table([{k: v for k, v in row.items() if k != "over_limit_by_turn"} for row in one["rows"]])]
    for name in ("repeated", "off"):
        row = found["caches"][name]
        text += [f"\ncaches, {name}: {row['throughput']:.1f} mixes/s with {row['clients']} clients"]
    text += ["\ntwice the capacity", drills.describe(found["overload"])]
    text += [
        "\nclients that leave",
        record.table(found["leaving"]) if found["leaving"] else "not measured: no /metrics",
    ]
    text += ["\na stop in mid-load", record.table([found["stop"]])]
    return "\n".join(text)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a little of everything; the figures mean nothing")
    parser.add_argument("--litserve", default=sys.executable, help="an interpreter that can import litserve")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options, Path(folder))
    print(report(found))
    record.write(options.out, found)


if __name__ == "__main__":
    main()
