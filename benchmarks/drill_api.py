"""Ten thousand made-up requests against every address of the interface: ``python -m benchmarks.drill_api``.

Schemathesis reads the server's own OpenAPI document and makes cases of it, those that fit and those that do not; no
answer may be a server error. A real server with the shipped model answers on loopback. Printed: how many cases, how
many failures, and the first of them as curl commands. The exit status is 1 if there were any.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import skimage.data

from benchmarks.servers import ROOT, Running, running, serving_environment
from facemix.imaging.encode import encode_image

# Work that one case may ask for, so that ten thousand of them end.
SMALL = {
    "FACEMIX_RATE_SAMPLES": "none",
    "FACEMIX_RATE_SAVES": "none",
    "FACEMIX_RATE_PHOTO": "none",
    "FACEMIX_MAX_STEPS": "9",
    "FACEMIX_MAX_FRAMES": "20",
    "FACEMIX_MAX_CELLS": "16",
    "FACEMIX_MAX_JOBS": "10000",
    "FACEMIX_MAX_CONNECTIONS_PER_ADDRESS": "0",
}
_SUMMARY = re.compile(r"^\s*(?P<cases>[\d,]+) generated(?:.*?(?P<failures>\d+) unique failures?)?", re.M)
_ERRORS = re.compile(r"^\s*\S+ (?P<kind>\w+ Error): (?P<count>\d+)$", re.M)  # addresses that it gave up, by reason
_ITS_OWN = "Runtime Error"  # of Schemathesis: it stumbled over a case that it was making
_OPERATIONS = re.compile(r"^\s*Tested: (\d+)", re.M)


@dataclass(frozen=True)
class Outcome:
    """Of one run.

    Attributes:
        operations: addresses that were asked.
        failures: unique ones, and addresses that could not be asked, as by a gap in the document.
        given_up: addresses at which Schemathesis itself stumbled; what it had sent by then is among the cases.
        text: what it printed.
    """

    operations: int
    cases: int
    failures: int
    given_up: int
    text: str


def outcome_of(text: str, status: int) -> Outcome:
    """Reads what Schemathesis printed.

    Raises:
        ValueError: there is no summary, or one that does not fit the exit status.
    """
    found, operations = _SUMMARY.search(text), _OPERATIONS.search(text)
    if found is None or operations is None:
        raise ValueError(f"Schemathesis gave no summary, status {status}:\n{text[-2000:]}")
    errors = {one["kind"]: int(one["count"]) for one in _ERRORS.finditer(text)}
    given_up = errors.pop(_ITS_OWN, 0)
    failures = int(found["failures"] or 0) + sum(errors.values())
    if bool(status) != bool(failures or given_up):
        raise ValueError(f"Schemathesis ended with status {status} and {failures} failures:\n{text[-2000:]}")
    return Outcome(int(operations[1]), int(found["cases"].replace(",", "")), failures, given_up, text)


def identities(server: Running) -> dict[str, str]:
    """Things to be asked for, by the beginning of their addresses: a face, a saved recipe, a job, a report, a row."""
    parents = [{"sample": 1, "weight": 0.5}, {"sample": 2, "weight": 0.5}]
    recipe = _post(server, "/api/v1/recipes", {"parents": parents})
    film = {"parents": parents, "seconds": 0.5, "fps": 4, "media_type": "image/gif", "size": 128}
    report = _post(server, "/api/v1/reports", {"recipe": recipe["id"], "reason": "me"})
    return {
        "/api/v1/faces": _uploaded(server)["faces"][0]["id"],
        "/api/v1/recipes": recipe["id"],
        "/api/v1/jobs": _post(server, "/api/v1/animations", film)["job"]["id"],
        "/api/v1/reviews": report["status_url"].rpartition("/")[2],
        "/api/v1/records": _post(server, "/api/v1/mix", {"parents": parents})["request_id"],
    }


def _uploaded(server: Running) -> dict:
    portrait = encode_image(skimage.data.astronaut(), "image/png")
    head = b'--part\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\n\r\n'
    body = head + portrait + b"\r\n--part--\r\n"
    return _sent(server, "/api/v1/faces", body, "multipart/form-data; boundary=part")


def _post(server: Running, path: str, body: dict) -> dict:
    return _sent(server, path, json.dumps(body).encode(), "application/json")


def _sent(server: Running, path: str, body: bytes, kind: str) -> dict:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def drill(server: Running, *, seed: int, examples: int, phases: str) -> Outcome:
    """One run of Schemathesis.

    Args:
        examples: cases for each address in the phase ``fuzzing``.
        phases: of Schemathesis, with commas: ``coverage`` goes through the bounds of every field.
    """
    command = [str(Path(sys.executable).with_name("schemathesis")), "run"]
    command += [f"http://127.0.0.1:{server.port}/openapi.json", "--checks", "no_server_error", "--phases", phases]
    command += ["--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure", "--no-color"]
    command += ["--generation-database", ":memory:", "--warnings", "off", "--suppress-health-check", "all"]
    command += ["--request-timeout", "120"]  # a slow answer is no server error; by default it ends after ten seconds
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "benchmarks.api_hooks",
        "PYTHONPATH": str(ROOT),
        "FACEMIX_DRILL_IDENTITIES": json.dumps(identities(server)),
    }
    with tempfile.TemporaryDirectory() as folder:  # it keeps files beside itself
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return outcome_of(done.stdout + done.stderr, done.returncode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="runs are repeated, each with a seed of its own")
    parser.add_argument("--examples", type=int, default=40)
    parser.add_argument("--phases", default="coverage,fuzzing")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    cases = failures = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as data:
        environment = {**serving_environment(Path(data)), **SMALL}
        with running(environment=environment) as server:
            for seed in range(args.seed, args.seed + 1000):
                made = drill(server, seed=seed, examples=args.examples, phases=args.phases)
                cases, failures = cases + made.cases, failures + made.failures
                print(f"seed {seed}: {made.cases} cases of {made.operations} operations, {made.failures} failures")
                if made.given_up:
                    print(f"  Schemathesis itself stumbled at {made.given_up} of them, and went on with the next")
                if made.failures:
                    print(made.text[:6000])
                if cases >= args.cases or made.failures:
                    break
    print(f"{cases} cases in {time.monotonic() - began:.0f} s, {failures} server errors")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
