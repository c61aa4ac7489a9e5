"""Writes docs/performance.md and docs/scaling.md: ``python -m benchmarks.performance``.

The pages are rendered from the templates in benchmarks/templates with the figures of the files in benchmarks/results:

    model.json      python -m benchmarks.bench_model
    photos.json     python -m benchmarks.bench_photos
    serve.json      python -m benchmarks.bench_serve
    overload.json   python -m benchmarks.drills overload
    scrub.json      python -m benchmarks.bench_scrub
    scale.json      python -m benchmarks.bench_scale
    detail.json     python -m benchmarks.bench_detail

and of those of the same names in benchmarks/results/gpu, measured on a machine with a GPU. What has no file, or no
figure in it, is said not to have been measured. A test compares the written pages with `render`.
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

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("performance.md", "scaling.md")
TEMPLATES = Path(__file__).parent / "templates"
PROGRAMS = {
    "model": "bench_model",
    "photos": "bench_photos",
    "serve": "bench_serve",
    "overload": "drills overload",
    "scrub": "bench_scrub",
    "scale": "bench_scale",
    "detail": "bench_detail",
}


def main() -> None:
    for page in PAGES:
        (DOCS / page).write_text(render(RESULTS, page))
        print(DOCS / page)


def render(folder: Path, page: str = PAGES[0]) -> str:
    """One of `PAGES`, from the JSON files in `folder`.

    Raises:
        SystemExit: a file was written by a quick form, whose figures mean nothing.
    """
    found, gpu = read(folder), read(folder / "gpu")
    text = (
        environment()
        .get_template(f"{page}.j2")
        .render(
            **found,
            gpu=gpu,
            aims=aims(found, gpu["detail"]),
            programs=PROGRAMS,
            files={"": found, "gpu/": gpu},
            ours=OURS,
            rivals=rivals(found["serve"]),
            gains=gains(found["model"]),
        )
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def environment() -> jinja2.Environment:
    """The templates of pages."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # it is Markdown, from our own files
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"fixed": fixed, "whole": whole, "middle": median, "listed": listed}
    return made


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


def rivals(serve: dict[str, Any] | None) -> list[str]:
    """Every other engine that was faster with some number of clients: its name, how much, with how many."""
    found = []
    shares = {
        name: {row["clients"]: row["over_limit"] for row in one["rows"]}
        for name, one in (serve or {"engines": {}})["engines"].items()
    }
    for name, theirs in shares.items():
        better = {
            clients: share / shares[OURS][clients]
            for clients, share in theirs.items()
            if clients in shares[OURS] and share > shares[OURS][clients]
        }
        if better:
            counts = listed([str(clients) for clients in sorted(better)])
            clients = "client" if counts == "1" else "clients"
            found.append(f"{name} with {counts} {clients} (up to {max(better.values()):.2f} times)")
    return found


def gains(model: dict[str, Any] | None) -> list[str]:
    """How much faster than torch OpenVINO computes both parts, in bfloat16, in batches of 1 and 16."""
    rates = {
        (row["backend"], row["batch"]): row["images_per_second"]
        for row in (model or {"rows": []})["rows"]
        if row["part"] == "both"
    }
    return [
        f"{rates['openvino bf16', batch] / rates['torch bf16', batch]:.1f} times as fast in batches of {batch}"
        for batch in (1, 16)
        if ("openvino bf16", batch) in rates and ("torch bf16", batch) in rates
    ]


def fixed(value: float | None, digits: int = 1) -> str:
    """So many decimals; a dash for what is not there."""
    return "–" if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


def whole(value: float | None) -> str:
    return fixed(value, 0)


if __name__ == "__main__":
    main()
