"""The servers that are compared: facemix's own engine, Ray Serve around it, and those of `benchmarks.rivals`."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from benchmarks.servers import FACEMIX

OURS = "facemix"


@dataclass(frozen=True)
class Engine:
    """One row of the comparison. `absent` says why it cannot be measured."""

    name: str
    command: tuple[str, ...]
    ready: str = "/readyz"
    absent: str | None = None


def engines(litserve: str) -> list[Engine]:
    """All that there are, facemix's own first."""
    rivals = ("-m", "benchmarks.rivals.threadpool"), ("-m", "benchmarks.rivals.lit")
    return [
        Engine(OURS, FACEMIX),
        Engine("thread pool", (sys.executable, *rivals[0])),
        Engine("LitServe", (litserve, *rivals[1]), "/health", _absent(litserve, "litserve")),
        *(
            Engine(
                f"Ray Serve, {number} replica{'s' * (number > 1)}",
                (*FACEMIX, "--engine", "ray", "--replicas", str(number)),
                absent=_absent(sys.executable, "ray"),
            )
            for number in (1, 2)
        ),
    ]


def _absent(interpreter: str, module: str) -> str | None:
    """Why a module cannot be imported there."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    missing = subprocess.run([interpreter, "-c", code], check=False).returncode
    return f"{module} is not installed for {interpreter}" if missing else None
