"""Writes docs/performance.md: ``python -m benchmarks.performance``.

The page is rendered from the template in benchmarks/templates with the figures of the JSON files in benchmarks/results:

    model.json      python -m benchmarks.bench_model
    photos.json     python -m benchmarks.bench_photos
    serve.json      python -m benchmarks.bench_serve
    overload.json   python -m benchmarks.drills overload
    scrub.json      python -m benchmarks.bench_scrub
    scale.json      python -m benchmarks.bench_scale

and of those of the same names in benchmarks/results/gpu, measured on a machine with a GPU. What has no file, or no
figure in it, is said not to have been measured. A test compares the written page with `render`.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from statistics import median
from typing import Any

import jinja2

from benchmarks.aims import aims, listed
from benchmarks.engines import OURS
from benchmarks.record import RESULTS

PAGE = Path(__file__).parent.parent / "docs/performance.md"
TEMPLATES = Path(__file__).parent / "templates"
PROGRAMS = {
    "model": "bench_model",
    "photos": "bench_photos",
    "serve": "bench_serve",
    "overload": "drills overload",
    "scrub": "bench_scrub",
    "scale": "bench_scale",
}


def main() -> None:
    PAGE.write_text(render(RESULTS))
    print(PAGE)


def render(folder: Path) -> str:
    """The page, from the JSON files in `folder`.

    Raises:
        SystemExit: a file was written by a quick form, whose figures mean nothing.
    """
    found, gpu = read(folder), read(folder / "gpu")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # it is Markdown, from our own files
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"fixed": fixed, "whole": whole, "middle": median, "listed": listed}
    text = environment.get_template("performance.md.j2").render(
        **found, gpu=gpu, aims=aims(found), programs=PROGRAMS, files={"": found, "gpu/": gpu}, ours=OURS
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def read(folder: Path) -> dict[str, Any]:
    """What each program measured, None where there is no file.

    Raises:
        SystemExit: see `render`.
    """
    found: dict[str, Any] = {}
    for name in PROGRAMS:
        path = folder / f"{name}.json"
        found[name] = json.loads(path.read_text()) if path.exists() else None
        if found[name] and found[name].get("quick"):
            raise SystemExit(f"{path} was written by a quick form: measure again without --quick")
    return found


def fixed(value: float | None, digits: int = 1) -> str:
    """So many decimals; a dash for what is not there."""
    return "–" if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


def whole(value: float | None) -> str:
    return fixed(value, 0)


if __name__ == "__main__":
    main()
