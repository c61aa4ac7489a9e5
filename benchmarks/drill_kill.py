"""Kills a serving server over and over: ``python -m benchmarks.drill_kill --rounds 100``.

In every round a real server (`facemix serve`, with a checkpoint that is quick to load) is asked by several clients at
once, for mixes of sample faces, for what it refuses, and for its model's card; at a random moment it is killed with
SIGKILL. The next round starts it again on the same data, and looks for every request whose whole answer a client has
read: it has to be in the ledger once. In every other round the clients begin before the model is loaded, so that the
kill may come in the middle of a start, too.

Printed: for all rounds together, how many answers were read, how many of them the database did not have at the moment
of the kill (the spool had them), how many are missing, and how many are there twice. The exit status is 1 if any is.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.servers import FACEMIX, ROOT, Running, serving_environment

CLIENTS = 8
LONGEST = 2.0  # seconds of load before a kill, at most
SETTLE_SECONDS = 60.0  # in which a started server has to have written what the one before has left
MIX = json.dumps({"parents": [{"sample": 1}, {"sample": 2}]})
# Method, path, body: what is answered with 200, with 422, and without the model's doing anything.
ASKED = (
    ("POST", "/api/v1/mix", MIX),
    ("POST", "/api/v1/mix", MIX),
    ("POST", "/api/v1/mix", '{"parents": []}'),
    ("GET", "/api/v1/model", None),
)


@dataclass
class Outcome:
    """What came of all rounds. `unwritten`: answers that were read, and not yet in the database at the kill."""

    rounds: int = 0
    answers: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    unwritten: int = 0
    rounds_with_unwritten: int = 0
    missing: int = 0
    doubled: int = 0
    rows: int = 0


class Clients:
    """Ask until they are told to stop, or the server is gone; `read` are the ids whose whole answer they have."""

    def __init__(self, port: int, round_: int) -> None:
        self.read: dict[str, int] = {}
        self._port, self._round = port, round_
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with suppress(OSError, http.client.HTTPException), closing(connection):
            for number in range(1_000_000):
                if self._stop.is_set():
                    return
                method, path, body = ASKED[(client + number) % len(ASKED)]
                identity = f"r{self._round}-{client}-{number}"
                headers = {"X-Request-Id": identity, "Content-Type": "application/json"}
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                answer.read()
                self.read[identity] = answer.status


def drill(environment: Mapping[str, str], data: Path, rounds: int, seed: int) -> Outcome:
    """Runs the rounds.

    Args:
        environment: the server's, with its checkpoint; `data` is its data folder.

    Raises:
        NotStarted: the server did not start.
    """
    chance, outcome = random.Random(seed), Outcome()
    before: dict[str, int] = {}
    for round_ in range(rounds + 1):  # the last one only looks
        server = start(environment, data)
        try:
            server.wait_until_ready("/readyz" if round_ % 2 == 0 else "/healthz")
            settle(data, before, outcome)
            if round_ == rounds:
                server.stop()
                break
            clients = Clients(server.port, round_)
            time.sleep(chance.uniform(0.05, LONGEST))
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            clients.stop()
        finally:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()
        before = clients.read
        there = counts(data)
        unwritten = sum(1 for identity in before if identity not in there)
        outcome.rounds += 1
        outcome.answers += len(before)
        outcome.statuses.update(before.values())
        outcome.unwritten += unwritten
        outcome.rounds_with_unwritten += unwritten > 0
    found = counts(data)
    outcome.rows = sum(found.values())
    outcome.doubled = sum(1 for count in found.values() if count > 1)
    return outcome


def start(environment: Mapping[str, str], data: Path) -> Running:
    """A server that has just been started."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = data / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            FACEMIX,
            cwd=ROOT,
            env={**environment, "FACEMIX_PORT": str(port), "FACEMIX_DATA_DIR": str(data)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    return Running(process, port, log)


def settle(data: Path, read: Mapping[str, int], outcome: Outcome) -> None:
    """Waits until every answer that was read is in the ledger; counts those that do not come."""
    give_up = time.monotonic() + SETTLE_SECONDS
    while missing := read.keys() - counts(data).keys():
        if time.monotonic() > give_up:
            outcome.missing += len(missing)
            return
        time.sleep(0.1)


def counts(data: Path) -> dict[str, int]:
    """How many rows each request has."""
    path = data / "facemix.sqlite3"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        return dict(connection.execute("SELECT request_id, count(*) FROM ledger GROUP BY request_id"))


def checkpoint(folder: Path) -> Path:
    """A checkpoint of a small network that has learned nothing: it is loaded in no time."""
    import torch

    from facemix.vae.checkpoint import save_checkpoint
    from facemix.vae.config import VAEConfig
    from facemix.vae.networks import VAE

    small = {"crop_size": 32, "latent_size": 8, "encoder_patch": 4, "decoder_patch": 4, "norm_groups": 4}
    torch.manual_seed(0)
    network = VAE(VAEConfig(**small, encoder_widths=(8, 16), decoder_widths=(8, 16))).eval()
    save_checkpoint(
        folder,
        network,
        name="drill",
        created="2026-01-01T00:00:00+00:00",
        training={"images_seen": 0},
        data={"name": "none", "kept": 0},
        metrics={},
        code_version="0",
        licence="CC0-1.0",
    )
    return folder


def quick(folder: Path) -> dict[str, str]:
    """The environment of a server that starts soon and refuses no client for asking often."""
    chosen = {
        "FACEMIX_CHECKPOINT": str(folder),
        "FACEMIX_DEVICE": "cpu",
        "FACEMIX_BACKEND": "torch",
        "FACEMIX_PRECISION": "fp32",
        "FACEMIX_MAX_BATCH": "4",
        "FACEMIX_THREADS": "1",
        "FACEMIX_WORKERS": "1",
        "FACEMIX_ISOLATE": "false",
        "FACEMIX_CREDENTIALS": "false",
    }
    return {**serving_environment(folder), **chosen}


def describe(outcome: Outcome) -> str:
    """As printed."""
    lines = [
        ("rounds", outcome.rounds),
        ("answers read", outcome.answers),
        *((f"  with status {status}", count) for status, count in sorted(outcome.statuses.items())),
        ("not in the database at the kill", outcome.unwritten),
        ("  in so many rounds", outcome.rounds_with_unwritten),
        ("rows in the end", outcome.rows),
        ("answers without a row", outcome.missing),
        ("requests with two rows", outcome.doubled),
    ]
    return "\n".join(f"{name:<34}{value:>9}" for name, value in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = checkpoint(Path(folder) / "checkpoint")
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        outcome = drill(quick(made), data, options.rounds, options.seed)
    print(f"python -m benchmarks.drill_kill --rounds {options.rounds} --seed {options.seed}, {os.cpu_count()} cores\n")
    print(describe(outcome))
    return 1 if outcome.missing or outcome.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
