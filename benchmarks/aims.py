"""What the engine was built to reach, each beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks.engines import OURS

LONG_SECONDS = 600.0  # of overload, from which memory counts as flat
FLAT_SHARE = 0.02  # of the memory, by which it may grow in that time
GPU = "torch, GPU"  # the way of carrying detail in detail.json
IN_TIME = 0.99  # share of frames with which dragging counts as smooth

Json = Mapping[str, Any]


def aims(found: Json, gpu_detail: Json | None = None) -> list[dict[str, Any]]:
    """Every aim: what it is, how far it should go, what was measured in words, and whether that is enough.

    gpu_detail: what was measured of the photographs' detail on a machine with a GPU.

    ``reached`` is None where nothing was measured; ``measured`` then says why.
    """
    serve, scrub = found["serve"], found["scrub"]
    rows = _throughput(serve) + _overload(found) + _leaving(serve)
    idle = serve and median(serve["start"]["idle_cores"])
    rows.append(_row("idle", "< 0.03 core", serve, lambda: (f"{idle:.4f} core", idle < 0.03)))
    rows += _page(scrub) + _detail(found["detail"], gpu_detail)
    ready = serve and serve["start"]["ready_seconds"]
    rows.append(
        _row(
            "start to ready",
            "< 6 s",
            serve,
            lambda: (f"{median(ready):.1f} s (longest of {len(ready)}: {max(ready):.1f} s)", median(ready) < 6),
        )
    )
    return rows


def _row(words: str, aim: str, there: Any, judge: Any, reason: str = "no figures") -> dict[str, Any]:
    measured, reached = judge() if there else (f"not measured: {reason}", None)
    return {"words": words, "aim": aim, "measured": measured, "reached": reached}


def _throughput(serve: Json | None) -> list[dict[str, Any]]:
    batch = serve["about"]["max_batch"] if serve else None
    by_clients = {row["clients"]: row for row in serve["engines"][OURS]["rows"]} if serve else {}
    rows = []
    for times, aim in ((2, 0.95), (1, 0.90)):
        row = by_clients.get(batch and times * batch)
        words = f"throughput over the limit, clients = {'2 x ' if times == 2 else ''}batch"
        rows.append(
            _row(
                words,
                f">= {aim:.2f}",
                row,
                lambda row=row, aim=aim: (
                    f"{row['over_limit']:.3f} ({row['throughput']:.1f} mixes/s, {row['clients']} clients)",
                    row["over_limit"] >= aim,
                ),
            )
        )
    leads = ahead(serve) if serve else {}
    rows.append(
        _row(
            "throughput over every other engine's, at these numbers of clients",
            "> 1",
            leads,
            lambda: (
                "; ".join(f"{name}: {_ratios(least, most)}" for name, (least, most) in leads.items()),
                all(least > 1 for least, _ in leads.values()),
            ),
            "no other engine was there",
        )
    )
    one = by_clients.get(1)
    rows.append(
        _row(
            "one client, p50 over the raw pipeline",
            "<= 1 ms more",
            one and one["over_alone_ms"] is not None,
            lambda: (
                f"{one['over_alone_ms']:+.1f} ms ({one['p50_ms']:.1f} against {one['alone_ms']:.1f} ms)",
                one["over_alone_ms"] <= 1,
            ),
        )
    )
    return rows


def _ratios(least: float, most: float) -> str:
    return f"{least:.2f}" if f"{least:.2f}" == f"{most:.2f}" else f"{least:.2f} to {most:.2f}"


def ahead(serve: Json) -> dict[str, tuple[float, float]]:
    """Our share of the limit over that of each other engine: the least and the most of batch and 2 x batch clients."""
    batch = serve["about"]["max_batch"]
    shares = {
        name: {row["clients"]: row["over_limit"] for row in one["rows"]} for name, one in serve["engines"].items()
    }
    found = {}
    for name, theirs in shares.items():
        counts = [clients for clients in (batch, 2 * batch) if theirs.get(clients) and clients in shares[OURS]]
        if name != OURS and counts:
            ratios = [shares[OURS][clients] / theirs[clients] for clients in counts]
            found[name] = (min(ratios), max(ratios))
    return found


def _overload(found: Json) -> list[dict[str, Any]]:
    """Judged by the long run where there is one."""
    one = overload(found)
    over = "open loop at twice the capacity" + (f", {one['seconds']:.0f} s" if one else "")
    beyond = one and sum(number for status, number in one["statuses"].items() if status not in ("200", "503"))
    long = one and one["seconds"] >= LONG_SECONDS
    share = one and one["memory_growth_mib"] / one["memory_mib"]
    refused = one and one["refused_p50_ms"] is not None
    return [
        _row(
            f"{over}: goodput over the limit",
            ">= 0.95",
            one,
            lambda: (f"{one['goodput_over_limit']:.3f}", one["goodput_over_limit"] >= 0.95),
        ),
        _row(
            f"{over}: p99 of the accepted",
            "<= 1.2 x (queue + 2 batches) / rate",
            one and one["accepted_p99_seconds"] is not None,
            lambda: (
                f"{one['accepted_p99_seconds']:.2f} s against {one['bound_seconds']:.2f} s",
                one["accepted_p99_seconds"] <= one["bound_seconds"],
            ),
        ),
        _row(
            f"{over}: answers beyond",
            "only 503 with Retry-After",
            one,
            lambda: (
                listed([f"{number} x {status}" for status, number in one["statuses"].items()])
                + f"; {one['refused_without_retry_after']} of the 503 without Retry-After",
                beyond == 0 and one["refused_without_retry_after"] == 0,
            ),
        ),
        _row(
            f"{over}: memory",
            "flat for ten minutes",
            long,
            lambda: (
                f"{one['memory_growth_mib']:+.1f} MiB on {one['memory_mib']:.0f} MiB ({100 * share:+.1f} %)",
                share <= FLAT_SHARE,
            ),
            f"the run took {one['seconds']:.0f} s" if one else "no figures",
        ),
        _row(
            "p50 of a refusal",
            "< 2 ms",
            refused,
            lambda: (f"{one['refused_p50_ms']:.2f} ms", one["refused_p50_ms"] < 2),
            "nothing was refused" if one else "no figures",
        ),
    ]


def overload(found: Json) -> Json | None:
    """The longest run of twice the capacity."""
    if found["overload"]:
        return found["overload"]["overload"]
    return found["serve"]["overload"] if found["serve"] else None


def _leaving(serve: Json | None) -> list[dict[str, Any]]:
    runs = (serve or {}).get("leaving")
    worst = max((run["batches_after"] for run in runs), default=0) if runs else 0
    left = sum(run["left"] for run in runs) if runs else 0
    return [
        _row(
            "work done for clients that left",
            "at most one batch",
            runs,
            lambda: (f"at most {worst:.0f} after all of a round had left ({left} clients in all)", worst <= 1),
            "the server has no /metrics" if serve else "no figures",
        )
    ]


def _page(scrub: Json | None) -> list[dict[str, Any]]:
    return [
        _row(
            f"second upload to first blend, {scrub['machine']['cores'] if scrub else 2} cores",
            "< 1 s",
            scrub,
            lambda: (
                f"{scrub['first_blend']['median_ms']:.0f} ms (longest of {scrub['repetitions']}: "
                f"{scrub['first_blend']['longest_ms']:.0f} ms)",
                scrub["first_blend"]["median_ms"] < 1000,
            ),
        ),
        _row(
            "dragging never waits",
            f"frames every 16.7 ms, {100 * IN_TIME:.0f} % of them",
            scrub,
            lambda: (
                f"{100 * scrub['dragging']['in_time']:.1f} % of {scrub['dragging']['frames']} frames in time, "
                f"median {scrub['dragging']['median_ms']:.1f} ms",
                scrub["dragging"]["in_time"] >= IN_TIME,
            ),
        ),
    ]


def _detail(detail: Json | None, gpu: Json | None) -> list[dict[str, Any]]:
    ways = {row["mix"]: row for row in detail["mixes"]} if detail else {}
    carried = (gpu or detail or {"carry": []})["carry"]
    there = next((row for row in carried if row["way"] == GPU and row["side"] == 512 and row["frame_ms"]), None)
    rows = [
        _row(
            f"{words}, 512 px, {detail['machine']['cores'] if detail else 2} cores",
            f"< {most} ms",
            way,
            lambda way=way, most=most: (
                f"{way['with_ms']:.0f} ms, least {way['with_least_ms']:.0f} ms "
                f"({way['with_cpu_ms']:.0f} ms of the processors, load {detail['machine']['load_before']:.1f} before)",
                way["with_ms"] < most,
            ),
        )
        for words, most, way in (
            ("two new photographs to a picture with their detail", 250, ways.get("first")),
            ("each further frame with detail", 40, ways.get("strip")),
        )
    ]
    rows.append(
        _row(
            "carrying the detail of a frame on a GPU, 512 px",
            "< 10 ms",
            there,
            lambda: (f"{there['frame_ms']:.1f} ms", there["frame_ms"] < 10),
            "no GPU was there" if detail else "no figures",
        )
    )
    return rows


def listed(items: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
