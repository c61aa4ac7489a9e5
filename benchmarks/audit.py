"""Asks the vulnerability services about every version that is pinned: ``make audit``.

The work is pip-audit's (https://pypi.org/project/pip-audit). It passes over what a service does not know and calls the
rest clean, so that a mirror without such data looks as if nothing were wrong; this program counts what was looked at.

    python -m benchmarks.audit [--pins FILE]

Exit status: 0 every pin was looked at and nothing is known against any; 1 something is; 2 there is nothing to look
at, or no pip-audit; 3 no service answered about all of them, so that nothing can be said.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

PINS = Path(__file__).resolve().parent.parent / ".ci" / "constraints.txt"
SERVICES = ("pypi", "osv")  # asked in this order, the second only about what the first left open
SECONDS = 600
CLEAN, VULNERABLE, UNUSABLE, UNKNOWN = 0, 1, 2, 3
_PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")


@dataclass
class Answer:
    """Of one service. known: what it says about each package that it looked at; reason: why not about all."""

    known: dict[str, list[str]] = field(default_factory=dict)
    reason: str = ""


def pinned(text: str) -> dict[str, str]:
    """Versions by the normalised names of the packages, of a constraints file's text."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    found = (_PIN.match(line) for line in lines)
    return {normal(match[1]): match[2] for match in found if match is not None}


def normal(name: str) -> str:
    """As the index compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def ask(command: list[str], pins: Path, service: str) -> Answer:
    """What one service says.

    Args:
        command: how pip-audit is called.
    """
    asked = [*command, "-r", str(pins), "--no-deps", "--disable-pip", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [*asked, "-s", service, "-f", "json"], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        listed = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return Answer(reason=f"no answer within {SECONDS} seconds")
    except (ValueError, KeyError, TypeError):
        last = done.stderr.strip().splitlines()[-1:] or [f"pip-audit ended with status {done.returncode}"]
        return Answer(reason=last[0][:300])
    answer = Answer()
    for one in listed:
        if "skip_reason" in one:
            answer.reason = one["skip_reason"]
        else:
            answer.known[normal(one["name"])] = [
                f"{found['id']} (mended in {', '.join(found['fix_versions']) or 'no version yet'})"
                for found in one["vulns"]
            ]
    return answer


def audit(command: list[str], pins: Path) -> int:
    """Prints what is known, and returns the exit status."""
    try:
        wanted = pinned(pins.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        print(f"{pins} cannot be read: {error}", file=sys.stderr)
        return UNUSABLE
    if not wanted:
        print(f"{pins} pins nothing", file=sys.stderr)
        return UNUSABLE
    known: dict[str, list[str]] = {}
    for service in SERVICES:
        try:
            answer = ask(command, pins, service)
        except OSError as error:
            print(f"pip-audit cannot be run: {error}", file=sys.stderr)
            return UNUSABLE
        for name, found in answer.known.items():
            known[name] = sorted({*known.get(name, ()), *found})
        looked = len(wanted.keys() & answer.known.keys())
        print(f"{service}: looked at {looked} of {len(wanted)} pins" + (f"; {answer.reason}" if answer.reason else ""))
        if wanted.keys() <= known.keys():
            break
    bad = {name: found for name, found in known.items() if found}
    for name, found in sorted(bad.items()):
        print(f"{name} {wanted.get(name, '')}: {'; '.join(found)}")
    open_still = sorted(wanted.keys() - known.keys())
    if open_still:
        print(f"not audited: {len(open_still)} of {len(wanted)} pins; nothing can be said about them", file=sys.stderr)
    if bad:
        return VULNERABLE
    if open_still:
        return UNKNOWN
    print(f"nothing is known against any of the {len(wanted)} pinned versions")
    return CLEAN


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pins", type=Path, default=PINS, help="the constraints file")
    return audit([sys.executable, "-m", "pip_audit"], parser.parse_args().pins)


if __name__ == "__main__":
    sys.exit(main())
