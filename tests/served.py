"""`python -m facemix serve` in a process of its own, on a free port, with settings of the test's choosing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from ports import reserved_port

ROOT = Path(__file__).parents[1]
START_SECONDS = 120  # on two busy cores


class Served:
    """A running server.

    Attributes:
        address: as ``http://127.0.0.1:12345``.
        process: the server's process.
    """

    def __init__(self, address: str, process: subprocess.Popen, log: Path) -> None:
        self.address, self.process, self._log = address, process, log

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def client(self, **options) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=120, **options)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"the server ended with status {self.process.returncode}:\n{self.log}")
            try:
                if httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        pytest.fail(f"the server is not ready after {START_SECONDS} s:\n{self.log}")

    def stop(self) -> int:
        """Asks it to end, and returns the status with which it does."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def serving(folder: Path, **settings: object) -> Iterator[Served]:
    """A server that is ready.

    Args:
        folder: for its log and its data.
        settings: by name, as in `facemix.settings.Settings`; of the caller's own FACEMIX_ variables none is kept.
    """
    with reserved_port() as port:
        settings = {"port": port, "data_dir": folder / "data", "rate_per_address": "none", **settings}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FACEMIX_")}
        environment |= {f"FACEMIX_{name.upper()}": str(value) for name, value in settings.items()}
        log = folder / "log.txt"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "facemix", "serve"],
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=environment,
            )
        made = Served(f"http://127.0.0.1:{port}", process, log)
        try:
            made.wait_until_ready()
            yield made
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
