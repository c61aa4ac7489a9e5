"""Servers to be measured, each in processes of its own (Linux: what they take is read from /proc)."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.outcome import slope

ROOT = Path(__file__).parent.parent
START_SECONDS, STOP_SECONDS = 180.0, 60.0
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_SECONDS = 0.5  # looking through /proc takes some milliseconds

# Clients of a benchmark ask far more than a person may.
UNRATED = {"FACEMIX_RATE_PER_ADDRESS": "none", "FACEMIX_RATE_PER_KEY": "none"}
FACEMIX = (sys.executable, "-m", "facemix", "serve")


class NotStarted(Exception):
    """The server ended, or did not become ready; says what it said last."""


class Running:
    """A server that is ready.

    Attributes:
        ready_seconds: from the start of the process to the first time that it said that it is ready.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process, self.port, self._log = process, port, log
        self.ready_seconds = float("nan")

    def get(self, path: str) -> tuple[int, str]:
        """Status and body.

        Raises:
            OSError: it does not answer.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def metrics(self) -> dict[str, float] | None:
        """The series of /metrics by name and labels; None where there is no such page."""
        status, text = self.get("/metrics")
        return series(text) if status == 200 else None

    def cpu_seconds(self) -> float:
        """Processor time of all of its processes so far."""
        return sum(_cpu_seconds(pid) for pid in tree(self.process.pid))

    def memory(self) -> int:
        """Resident bytes of all of its processes; what they share counts for each."""
        return sum(_resident(pid) for pid in tree(self.process.pid))

    def idle_cores(self, seconds: float) -> float:
        """Cores that it takes while nobody asks it anything."""
        before, started = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        return (self.cpu_seconds() - before) / (time.monotonic() - started)

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def said(self, lines: int = 3) -> str:
        """The last lines that it printed."""
        return " | ".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def wait_until_ready(self, path: str) -> None:
        """Raises NotStarted."""
        started = time.monotonic()
        while time.monotonic() < started + START_SECONDS:
            if self.process.poll() is not None:
                raise NotStarted(f"it ended with status {self.process.returncode}: {self.said()}")
            try:
                if self.get(path)[0] == 200:
                    self.ready_seconds = time.monotonic() - started
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise NotStarted(f"it was not ready after {START_SECONDS:.0f} s: {self.said()}")

    def stop(self) -> int:
        """Asks it to stop, and ends what is left of it after a minute. Returns the exit status."""
        below = {pid: _born(pid) for pid in tree(self.process.pid)}
        if self.process.poll() is None:
            self.signal()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid, born in below.items():
            if born and _born(pid) == born:  # the number may be another's by now
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        return self.process.returncode


@contextmanager
def running(
    command: Sequence[str] = FACEMIX, *, ready: str = "/readyz", environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Starts a server, waits until it is ready, and stops it afterwards. It is told its port in FACEMIX_PORT.

    Raises:
        NotStarted: see there.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.txt"
        with log.open("wb") as file:
            process = subprocess.Popen(
                list(command),
                cwd=ROOT,
                env={**os.environ, **(environment or {}), "FACEMIX_PORT": str(port)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        server = Running(process, port, log)
        try:
            server.wait_until_ready(ready)
            yield server
        finally:
            server.stop()


def serving_environment(data: Path) -> dict[str, str]:
    """This process's environment with limits for one client out of the way and stored things put into `data`."""
    return {"FACEMIX_LOG_LEVEL": "warning", **os.environ, **UNRATED, "FACEMIX_DATA_DIR": str(data)}


def pinned(environment: Mapping[str, str], backend: str) -> dict[str, str]:
    """The same with the backend (``torch bf16``) set, so that several processes choose the same."""
    library, precision = backend.split()[:2]
    return {**environment, "FACEMIX_BACKEND": library, "FACEMIX_PRECISION": precision}


class Watch:
    """Samples a server's memory while something goes on.

    Attributes:
        samples: (seconds since the begin, resident bytes).
    """

    def __init__(self, server: Running) -> None:
        self._server = server
        self.samples: list[tuple[float, int]] = []
        self._done = threading.Event()

    def __enter__(self) -> Watch:
        self._cpu, self._started = self._server.cpu_seconds(), time.monotonic()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.cores = (self._server.cpu_seconds() - self._cpu) / (time.monotonic() - self._started)

    @property
    def peak(self) -> int:
        return max((memory for _, memory in self.samples), default=0)

    def growth(self, after: float) -> float:
        """Bytes a second by which the memory grew, without the first so many seconds."""
        kept = [(moment, memory) for moment, memory in self.samples if moment >= after]
        return slope([moment for moment, _ in kept], [memory for _, memory in kept])

    def _sample(self) -> None:
        while True:
            self.samples.append((time.monotonic() - self._started, self._server.memory()))
            if self._done.wait(_SAMPLE_SECONDS):
                return


def series(text: str) -> dict[str, float]:
    """Prometheus's text format: ``{'facemix_batch_jobs_total{kind="encode"}': 12.0, ...}``."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def tree(pid: int) -> list[int]:
    """A process and all that are below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold anything; none of a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _born(pid: int) -> str:
    fields = _stat(pid)
    return fields[19] if fields else ""


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK if fields else 0.0


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
