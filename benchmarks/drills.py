"""A server where it must not break: more load than it can bear, clients that leave, a stop in mid-load.

    python -m benchmarks.drills overload --seconds 600

measures the machine's limit and the server's throughput, sends twice that for ten minutes, prints what came of it and
writes benchmarks/results/overload.json. `bench_serve` runs short forms of all three.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks import loads, photos, record
from benchmarks.limit import Limit
from benchmarks.outcome import LEFT, percentile
from benchmarks.servers import Running, Watch, pinned, running, serving_environment

OVERLOAD = record.RESULTS / "overload.json"
FRAMES = 3  # of one mix of two photographs: two to encode, one to decode
LEEWAY = 1.2  # on the time that a full queue and two batches take
_MIB = 2**20
_SURE_SECONDS = 0.1  # what was sent so long before the signal has reached the server's process
_SETTLED_SECONDS = 0.6


def overload(server: Running, pair: tuple[str, str], *, rate: float, ramp: float, seconds: float) -> dict[str, Any]:
    """An open loop: requests come at `rate` whether or not the earlier ones are answered.

    Args:
        rate: requests a second.
        ramp: seconds that do not count, because the queue is not full yet; see `filling`.
    """
    with Watch(server) as watch:
        load = loads.run_apart(loads.Plan(server.port, pair, seconds=seconds, rate=rate))
    window = [
        (got, retry)
        for begun, got, retry in zip(load.begun, load.status, load.retry_after, strict=True)
        if begun >= load.started + ramp
    ]
    accepted = load.latencies(200, after=ramp)
    refused = load.latencies(503, since="asked", after=ramp)
    goodput = load.throughput(ramp, seconds)
    growth = watch.growth(ramp)
    kept = [memory for moment, memory in watch.samples if moment >= ramp]
    return {
        "seconds": seconds,
        "ramp_seconds": ramp,
        "rate": rate,
        "sent_rate": len(window) / (seconds - ramp),
        "goodput": goodput,
        "accepted_p50_seconds": percentile(accepted, 50),
        "accepted_p99_seconds": percentile(accepted, 99),
        "refused_p50_ms": 1000 * percentile(refused, 50),
        "refused_p99_ms": 1000 * percentile(refused, 99),
        "refused_with_connecting_p50_ms": 1000 * percentile(load.latencies(503, after=ramp), 50),
        "statuses": load.statuses(),
        "refused_without_retry_after": sum(1 for got, retry in window if got == 503 and not retry),
        "not_sent": load.unsent,
        "generator_cores": load.cpu_share,
        "server_cores": watch.cores,
        "memory_mib": median(kept) / _MIB if kept else None,
        "memory_peak_mib": watch.peak / _MIB,
        "memory_growth_mib": growth * (seconds - ramp) / _MIB,
        "memory_mib_by_time": _thinned(watch.samples),
    }


def filling(limit: float, queue: int, seconds: float) -> float:
    """Seconds in which a queue of so many frames is surely full, at twice the limit; at most half of all."""
    return min(seconds / 2, 1.5 * queue / (FRAMES * limit) + 1)


def against(found: Mapping[str, Any], limits: Sequence[float], queue: int, batch: int) -> dict[str, Any]:
    """What an overload came to, beside what the machine can do and how long the accepted may wait.

    Args:
        limits: mixes a second, measured before and after.
        queue, batch: frames that the server lets in, and frames of its batches.
    """
    limit = mean(limits)
    return {
        **found,
        "limit": limit,
        "goodput_over_limit": found["goodput"] / limit,
        "bound_seconds": LEEWAY * (queue + 2 * batch) / (FRAMES * limit),
    }


def leaving(
    server: Running, pair: tuple[str, str], *, clients: int, after: float, rounds: int
) -> dict[str, Any] | None:
    """Clients that all ask at once and all go away `after` seconds later. None where the server counts nothing.

    ``batches_after`` are batches that ended when all clients were gone, the largest number of a round: one was being
    computed; ``cores_after_seconds`` is all processor time spent then.
    """
    found: list[dict[str, float]] = []
    for _ in range(rounds):
        before = work_of(server)
        if before is None:
            return None
        load = loads.run(loads.Plan(server.port, pair, clients=clients, once=True, leave_after=after))
        cpu, gone = server.cpu_seconds(), work_of(server)
        settled = _settled(server)
        assert gone is not None
        found.append(
            {
                "left": load.status.count(LEFT),
                "batches": settled["batches"] - before["batches"],
                "frames": settled["frames"] - before["frames"],
                "batches_after": settled["batches"] - gone["batches"],
                "frames_after": settled["frames"] - gone["frames"],
                "cpu_after": server.cpu_seconds() - cpu,
            }
        )
    honest = loads.run(loads.Plan(server.port, pair, clients=1, once=True))
    return {
        "clients": clients,
        "leave_after_seconds": after,
        "rounds": rounds,
        "left": sum(one["left"] for one in found),
        "frames_computed": sum(one["frames"] for one in found),
        "batches_after": max(one["batches_after"] for one in found),
        "frames_after": max(one["frames_after"] for one in found),
        "cpu_seconds_after": median(one["cpu_after"] for one in found),
        "next_request": honest.status[0],
        "next_request_ms": 1000 * (honest.ended[0] - honest.begun[0]),
    }


def stopping(pair: tuple[str, str], environment: Mapping[str, str], *, clients: int, seconds: float) -> dict[str, Any]:
    """SIGTERM after half of the time, while `clients` ask without a pause."""
    with running(environment=environment) as server:
        sending = loads.begin_apart(loads.Plan(server.port, pair, clients=clients, seconds=seconds, patience=60))
        time.sleep(seconds / 2)
        signalled = time.monotonic()
        server.signal()
        status = server.process.wait(90)
        gone = time.monotonic()
    load = loads.ending(sending)
    inside = [
        got
        for sent, end, got in zip(load.sent, load.ended, load.status, strict=True)
        if 0 < sent < signalled - _SURE_SECONDS and end > signalled
    ]
    last = max((end for end, got in zip(load.ended, load.status, strict=True) if got > 0), default=signalled)
    return {
        "clients": clients,
        "inside": len(inside),
        "inside_answered": inside.count(200),
        "inside_lost": sum(1 for got in inside if got <= 0),
        "exit_status": status,
        "seconds_from_signal": gone - signalled,
        "seconds_from_last_answer": gone - max(last, signalled),
    }


def work_of(server: Running) -> dict[str, float] | None:
    """Batches and frames that the device has computed so far."""
    found = server.metrics()
    if found is None:
        return None
    return {
        "batches": sum(value for name, value in found.items() if name.startswith("facemix_batch_frames_count")),
        "frames": sum(value for name, value in found.items() if name.startswith("facemix_batch_frames_sum")),
    }


def _settled(server: Running) -> dict[str, float]:
    """The same once it has not changed for a while."""
    last = work_of(server)
    while True:
        time.sleep(_SETTLED_SECONDS)
        now = work_of(server)
        assert now is not None
        if now == last:
            return now
        last = now


def _thinned(samples: list[tuple[float, int]], points: int = 60) -> list[tuple[float, float]]:
    step = max(1, len(samples) // points)
    return [(moment, memory / _MIB) for moment, memory in samples[::step]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drill", choices=["overload"])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=32, help="whose throughput is taken for the capacity")
    parser.add_argument("--measure", type=float, default=10, help="seconds of measuring limit and capacity")
    parser.add_argument("--out", type=Path, default=OVERLOAD)
    options = parser.parse_args()
    from facemix.settings import load_settings

    queue = load_settings().max_queue
    with tempfile.TemporaryDirectory() as folder:
        pair, environment = photos.pair(Path(folder)), serving_environment(Path(folder) / "data")
        limit = Limit(pair, environment)
        environment = pinned(environment, limit.about["backend"])
        try:
            with running(environment=environment) as server:
                limits = [max(limit.rates(options.measure).values())]
                plan = loads.Plan(server.port, pair, clients=options.clients, seconds=options.measure)
                capacity = loads.run_apart(plan).throughput(options.measure / 4, options.measure)
                ramp = filling(limits[0], queue, options.seconds)
                found = overload(server, pair, rate=2 * capacity, ramp=ramp, seconds=options.seconds)
                limits.append(max(limit.rates(options.measure).values()))
                found = against(found, limits, queue, limit.about["max_batch"])
        finally:
            limit.close()
    results = {"machine": record.machine(), "backend": limit.about["backend"], "capacity": capacity, "overload": found}
    print(describe(found), file=sys.stdout)
    record.write(options.out, results)


def describe(found: Mapping[str, Any]) -> str:
    """What an overload came to, a line per figure."""
    lines = [
        {"figure": name, "value": value}
        for name, value in found.items()
        if name not in ("statuses", "memory_mib_by_time")
    ]
    lines += [{"figure": f"answers: {status}", "value": number} for status, number in found["statuses"].items()]
    return record.table(lines)


if __name__ == "__main__":
    main()
