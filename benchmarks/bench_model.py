"""Times every backend that this machine has, side by side:

    python -m benchmarks.bench_model --out benchmarks/results/model.json

Encode, decode, and both after each other, in batches of 1 to 64. Every backend lives in a process of its own, which is
how one of them can run without the allocator's tuning and how memory is told apart; they are asked in turn, many
times, so that a machine that drifts drifts for all of them. Prints a table and writes JSON. Figures are medians; run it
on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import record

ROOT = Path(__file__).resolve().parent.parent
BATCHES = (1, 2, 4, 8, 16, 32, 64)
PARTS = ("encode", "decode", "both")
TURN = 0.1  # seconds of calls per turn, at least one call


@dataclass(frozen=True)
class Variant:
    """One line of the table. `tuned`: allocator and waiting as `facemix serve` sets them."""

    name: str
    library: str
    precision: str
    device: str = "cpu"
    tuned: bool = True
    graphs: bool = False


VARIANTS = (
    Variant("torch fp32 untuned", "torch", "fp32", tuned=False),
    Variant("torch fp32", "torch", "fp32"),
    Variant("torch bf16", "torch", "bf16"),
    Variant("openvino fp32", "openvino", "fp32"),
    Variant("openvino bf16", "openvino", "bf16"),
    Variant("torch fp32 cuda", "torch", "fp32", device="cuda"),
    Variant("torch bf16 cuda", "torch", "bf16", device="cuda"),
    Variant("torch bf16 cuda graphs", "torch", "bf16", device="cuda", graphs=True),
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="folder; default the newest one that ships")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--seconds", type=float, default=150, help="how long to measure, after everything is loaded")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 means one per usable core")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--quick", action="store_true", help="batches of 1 and 2, two turns each: to see that it runs")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.quick:
        options.batches, options.seconds = (1, 2), 0.0
    if options.worker:
        return work(Variant(**json.loads(options.worker)), options)
    results = measure(options)
    print(table(results), end="")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    return None


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Asks every backend in turn until the time is up, at least twice."""
    load = os.getloadavg()[0]
    workers = [Worker(variant, options) for variant in VARIANTS]
    missing = {worker.name: worker.reason for worker in workers if worker.reason}
    workers = [worker for worker in workers if not worker.reason]
    times: dict[tuple[str, int], list[list[float]]] = {}
    turns, started = 0, time.perf_counter()
    while turns < 2 or time.perf_counter() - started < options.seconds:
        for batch in options.batches:
            for worker in workers:
                times.setdefault((worker.name, batch), []).extend(worker.ask(batch))
        turns += 1
    rows = [row for (name, batch), pairs in times.items() for row in rows_of(name, batch, pairs)]
    for row in rows:
        rivals = [other for other in rows if (other["batch"], other["part"]) == (row["batch"], row["part"])]
        row["of_best"] = round(row["images_per_second"] / max(one["images_per_second"] for one in rivals), 3)
    return {
        "machine": machine() | {"load_before": round(load, 2)},
        "quick": options.quick,
        "checkpoint": workers[0].hello["checkpoint"],
        "threads": workers[0].hello["threads"],
        "turns": turns,
        "backends": {worker.name: worker.end() for worker in workers},
        "missing": missing,
        "rows": rows,
    }


def rows_of(name: str, batch: int, pairs: list[list[float]]) -> list[dict[str, Any]]:
    """pairs: seconds of an encode and of the decode after it."""
    import numpy as np

    encode, decode = np.array(pairs).T
    rows = []
    for part, seconds in zip(PARTS, (encode, decode, encode + decode), strict=True):
        middle, slow = np.percentile(seconds, [50, 99])
        rows.append(
            {
                "backend": name,
                "batch": batch,
                "part": part,
                "images_per_second": round(batch / float(middle), 1),
                "p50_ms": round(1000 * float(middle), 3),
                "p99_ms": round(1000 * float(slow), 3),
                "calls": len(seconds),
            }
        )
    return rows


def table(results: dict[str, Any]) -> str:
    """Markdown: images per second, and the share of the best at that batch size."""
    batches = sorted({row["batch"] for row in results["rows"]})
    found = {(row["backend"], row["batch"], row["part"]): row for row in results["rows"]}
    lines = []
    for part in PARTS:
        lines += [
            f"\n{part}, images/s (share of the best; p50 / p99 ms)\n",
            "| backend | " + " | ".join(f"batch {batch}" for batch in batches) + " | peak MiB |",
            "|---|" + "---:|" * (len(batches) + 1),
        ]
        for name, memory in results["backends"].items():
            cells = [
                f"{row['images_per_second']:.0f} ({row['of_best']:.2f}; {row['p50_ms']:.1f} / {row['p99_ms']:.1f})"
                for row in (found[name, batch, part] for batch in batches)
            ]
            lines.append(f"| {name} | {' | '.join(cells)} | {memory['peak_mib']} |")
    lines += [f"\nwithout {name}: {reason}" for name, reason in results["missing"].items()]
    return "\n".join(lines) + "\n"


def machine() -> dict[str, Any]:
    """What every benchmark notes, and what matters to this one."""
    from facemix.vae.precision import has_bf16_units

    try:
        openvino = metadata.version("openvino")
    except metadata.PackageNotFoundError:
        openvino = None
    return record.machine() | {"bf16_units": has_bf16_units(), "openvino": openvino}


class Worker:
    """A process with one backend. `reason`: why there is none, or empty."""

    def __init__(self, variant: Variant, options: argparse.Namespace) -> None:
        self.name = variant.name
        command = [sys.executable, "-m", "benchmarks.bench_model", "--worker", json.dumps(asdict(variant))]
        command += ["--threads", str(options.threads), "--batches", *map(str, options.batches)]
        command += ["--checkpoint", str(options.checkpoint.resolve())] if options.checkpoint else []
        command += ["--quick"] if options.quick else []
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        self.hello = self._answer()
        self.reason: str = self.hello.get("missing", "")
        if self.reason:
            self._process.communicate()

    def ask(self, batch: int) -> list[list[float]]:
        self._say(str(batch))
        return self._answer()

    def end(self) -> dict[str, int]:
        self._say("end")
        figures = self._answer()
        self._process.communicate()
        return figures

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended: {self._process.communicate()[1].strip()}")
        return json.loads(line)


def work(variant: Variant, options: argparse.Namespace) -> None:
    """The other end: a line with a batch size in, a line of pairs of seconds out."""
    from facemix.serving.tuning import cores, tune_allocator, wait_passively

    if variant.tuned:
        tune_allocator()
        wait_passively()
    import resource

    import numpy as np
    import torch

    from facemix.resources import resource_dir
    from facemix.serving.backends.base import Reference
    from facemix.serving.backends.openvino_backend import OpenVINOBackend
    from facemix.serving.backends.torch_backend import TorchBackend
    from facemix.vae.checkpoint import load_checkpoint, newest_checkpoint

    if variant.device == "cuda" and not torch.cuda.is_available():
        return say({"missing": "torch sees no GPU"})
    threads, largest = options.threads or cores(), max(options.batches)
    torch.set_num_threads(threads)
    checkpoint = load_checkpoint(options.checkpoint or newest_checkpoint(resource_dir("checkpoints")))
    try:
        if variant.library == "openvino":
            backend = OpenVINOBackend(checkpoint, precision=variant.precision, threads=threads, max_batch=largest)
        else:
            backend = TorchBackend(
                checkpoint,
                precision=variant.precision,
                device=variant.device,
                max_batch=largest,
                cuda_graphs=variant.graphs,
            )
    except ImportError as error:
        return say({"missing": str(error)})
    faces = Reference.of(checkpoint, samples=8)
    repeats = -(-largest // 8)
    crops, z = (np.concatenate([part] * repeats) for part in (faces.pictures, faces.drawn))
    for batch in options.batches:
        timed(backend, crops[:batch], z[:batch])
    say({"checkpoint": f"{checkpoint.card.name}@{checkpoint.card.weights_sha256[:12]}", "threads": threads})
    for line in sys.stdin:
        if line.strip() == "end":
            break
        batch, pairs, started = int(line), [], time.perf_counter()
        while not pairs or (not options.quick and time.perf_counter() - started < TURN):
            pairs.append(timed(backend, crops[:batch], z[:batch]))
        say(pairs)
    # KiB on Linux
    return say({"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024})


def timed(backend: Any, crops: Any, z: Any) -> list[float]:
    """Seconds of an encode and of a decode."""
    started = time.perf_counter()
    backend.encode(crops)
    half = time.perf_counter()
    backend.decode(z)
    return [half - started, time.perf_counter() - half]


def say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
