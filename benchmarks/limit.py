"""The physical limit, in a process of its own that measures it when asked: ``python -m benchmarks.limit A.jpg B.jpg``.

Each line of the input is a command, ``limit SECONDS`` or ``alone SECONDS``; each is answered by a line of JSON. Between
commands it sleeps, so that a server can be measured in turn with it, under the same state of the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
WAYS = ("phased", "overlapped")


class Limit:
    """The process, seen from the benchmark.

    Attributes:
        about: ``backend``, ``device``, ``max_batch``, ``notes``, ``model``.
    """

    def __init__(self, photos: tuple[str, str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.limit", *photos],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=dict(environment),
        )
        self.about: dict[str, Any] = self._read()

    def rates(self, seconds: float) -> dict[str, float]:
        """Mixes a second by `WAYS`, in so many seconds altogether."""
        return self._ask(f"limit {seconds}")

    def alone(self, seconds: float) -> float:
        """Median milliseconds of one mix by itself."""
        return self._ask(f"alone {seconds}")

    def close(self) -> None:
        self._process.communicate(timeout=60)  # the end of its input is its end

    def _ask(self, command: str) -> Any:
        assert self._process.stdin is not None
        print(command, file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the process that measures the limit ended with status {self._process.wait()}")
        return json.loads(line)


def main() -> None:
    from facemix.serving.tuning import tune_allocator, wait_passively

    tune_allocator()  # as the server does, before torch is imported
    wait_passively()
    from benchmarks.pipeline import Pipeline, alone, limit
    from facemix.settings import load_settings

    pair = tuple(Path(name).read_bytes() for name in sys.argv[1:3])
    pipeline = Pipeline(load_settings())
    pipeline.mixes([pair] * pipeline.max_batch)
    names = ("backend", "device", "max_batch", "notes", "model")
    print(json.dumps({name: getattr(pipeline, name) for name in names}), flush=True)
    for line in sys.stdin:
        command, seconds = line.split()
        if command == "limit":
            share = float(seconds) / len(WAYS)
            answer = {way: limit(pipeline, pair, share, overlapped=way == "overlapped") for way in WAYS}
        else:
            answer = median(alone(pipeline, pair, float(seconds)))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
