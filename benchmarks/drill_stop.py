"""How long the kill switch takes: servers on one data folder under load, `facemix stop`, until nobody is given a face.

    python -m benchmarks.drill_stop --servers 2 --rounds 5

prints for each server, from the moment at which the switch was written to the database, when it first refused with
`halted`, when it last gave out a face, and when a film that was being drawn had failed; then how long it took after
`facemix resume` until it gave out faces again. Fails if any server gave out a face later than five seconds after that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.servers import UNRATED, Running, running
from facemix.governance.controls import KILL, Controls
from facemix.storage.database import Database
from facemix.storage.engine import default_url

LIMIT_SECONDS = 5.0
_WAIT_SECONDS = 60.0
_PARENTS = [{"sample": 1}, {"sample": 2}]
_FILM = {"parents": _PARENTS, "seconds": 20, "fps": 25, "media_type": "image/gif", "size": 256}


class Asked:
    """Asks one server for mixes, one after the other, and notes when each was answered and how."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.answers: list[tuple[float, str]] = []  # when, and "face" or the code of the refusal
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        number = 10
        while not self._stop.is_set():
            number += 1
            _, body = _post(self.server, "/api/v1/mix", {"parents": [{"sample": number}, {"sample": 3}]})
            self.answers.append((time.monotonic(), body.get("code", "face")))

    @contextmanager
    def asking(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def first(self, what: str, after: float) -> float:
        """Seconds from `after` to the first answer of that kind."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            for at, how in list(self.answers):
                if how == what and at > after:
                    return at - after
            time.sleep(0.005)
        raise SystemExit(f"no {what} within {_WAIT_SECONDS:g} s; the last were {self.answers[-3:]}")

    def last(self, what: str, between: tuple[float, float]) -> float:
        """Seconds from the beginning to the last answer of that kind; 0 where there was none."""
        return max(
            (at - between[0] for at, how in self.answers if how == what and between[0] < at < between[1]), default=0.0
        )


def one_round(servers: Sequence[Running]) -> list[dict[str, Any]]:
    """Stops and resumes once."""
    clients = [Asked(server) for server in servers]
    with ExitStack() as stack:
        for client in clients:
            stack.enter_context(client.asking())
        began = time.monotonic()
        for client in clients:
            client.first("face", began)
        films = [_post(server, "/api/v1/animations", _FILM)[1]["job"]["id"] for server in servers]
        for server, film in zip(servers, films, strict=True):
            _until(server, film, ("running",))
        with ThreadPoolExecutor(len(servers)) as pool:  # looked at while the command runs: it takes seconds to end
            ends = [
                pool.submit(_until, *one, ("failed", "done", "cancelled")) for one in zip(servers, films, strict=True)
            ]
            _facemix("stop", "--reason", "a drill")
            stopped = _switched()
            failed = [end.result() for end in ends]
        refused = [client.first("halted", stopped) for client in clients]
        time.sleep(LIMIT_SECONDS)  # nothing may come in this time either
        over = time.monotonic()
        _facemix("resume")
        resumed = _switched()
        again = [client.first("face", resumed) for client in clients]
    return [
        {
            "server": number,
            "refused_seconds": refused[number],
            "last_face_seconds": client.last("face", (stopped, over)),
            "film": failed[number][1],
            "film_seconds": failed[number][0] - stopped,
            "resumed_seconds": again[number],
        }
        for number, client in enumerate(clients)
    ]


def _switched() -> float:
    """When the switch was last turned, on the clock of `time.monotonic`."""
    with Database.open(default_url(Path(os.environ["FACEMIX_DATA_DIR"]))) as database:
        found = Controls(database).get(KILL)
    assert found is not None
    return time.monotonic() - (time.time() - found[1].timestamp())


def _until(server: Running, job: str, states: Sequence[str]) -> tuple[float, str]:
    """When the job came into one of the states, and which."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        status, text = server.get(f"/api/v1/jobs/{job}")
        if status == 200 and (state := json.loads(text)["state"]) in states:
            return time.monotonic(), state
        time.sleep(0.02)
    raise SystemExit(f"the film did not become {' or '.join(states)}: {text}")


def _post(server: Running, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_WAIT_SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def _facemix(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "facemix", *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        os.environ |= {"FACEMIX_DATA_DIR": str(Path(folder)), **UNRATED}  # of the commands and of the servers
        servers = [stack.enter_context(running()) for _ in range(wanted.servers)]
        rows = []
        for number in range(wanted.rounds):
            rows += [{"round": number + 1, **row} for row in one_round(servers)]
    machine = record.machine()
    print(
        f"python -m benchmarks.drill_stop --servers {wanted.servers} --rounds {wanted.rounds}: {json.dumps(machine)}\n"
    )
    print(record.table(rows))
    worst = max(max(row["last_face_seconds"], row["film_seconds"]) for row in rows)
    print(f"\nlongest from the switch to the last face given out, or to the end of a film: {worst:.2f} s")
    print(f"longest until every server refused: {max(row['refused_seconds'] for row in rows):.2f} s")
    if worst > LIMIT_SECONDS or any(row["film"] != "failed" for row in rows):
        raise SystemExit(f"the kill switch took longer than {LIMIT_SECONDS:g} s, or a film went on")


if __name__ == "__main__":
    main()
