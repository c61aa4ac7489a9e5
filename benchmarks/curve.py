"""Draws training curves: ``python -m benchmarks.curve`` writes docs/pictures/curve.svg from the shipped run's log.

Other runs, each with a name, and with "+" before a log that goes on where the one before it ended:

    python -m benchmarks.curve mine=runs/mine/log.jsonl+runs/sharp/log.jsonl other=runs/other/log.jsonl --out curve.svg

There is a panel for every figure of the validation split that the logs have, over the photographs seen.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from facemix.resources import resource_dir
from facemix.vae.checkpoint import newest_checkpoint

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs/pictures/curve.svg"
LOGS = ("log.jsonl", "sharpen.jsonl")  # of a shipped checkpoint: its training, and the sharpening that went on from it
# Figures in the order of their panels: the name in the log, the panel's title and the unit of its upright axis.
FIGURES = (
    ("psnr", "Reconstruction", "PSNR, dB"),
    ("kl", "KL divergence", "nats per face"),
    ("sharpness_pooled", "Sharpness kept, pooled", "of the photographs'"),
    ("midpoint_sharpness", "Sharpness of mid-points", "of their ends'"),
)
COLOURS = 4  # that the template has
_WIDTH, _HEIGHT = 300, 170  # of a panel's plot
_LEFT, _TOP, _RIGHT, _BOTTOM = 66, 46, 52, 50

Point = tuple[float, float]


@dataclass(frozen=True)
class Run:
    """One line of every panel.

    Attributes:
        figures: by name, (photographs seen, value) in order.
        joints: photographs seen where one log ended and the next began.
    """

    name: str
    figures: Mapping[str, Sequence[Point]]
    joints: tuple[float, ...] = ()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="NAME=LOG[+LOG...]", help="instead of the shipped checkpoint's")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if any("=" not in run for run in options.runs):
        parser.error("a run is NAME=LOG, as in mine=runs/mine/log.jsonl")
    named = (run.partition("=") for run in options.runs)
    runs = [read_run(name, [Path(log) for log in logs.split("+")]) for name, _, logs in named]
    options.out.write_text(draw(runs or [shipped_run(newest_checkpoint(resource_dir("checkpoints")))]))
    print(options.out)


def shipped_run(folder: Path) -> Run:
    """The run behind a shipped checkpoint, from the logs in its folder; without figures where they were not kept."""
    return read_run(folder.name, [folder / name for name in LOGS if (folder / name).exists()])


def read_run(name: str, logs: Sequence[Path]) -> Run:
    """Reads a run's logs; each but the first goes on where the one before it ended."""
    figures: dict[str, list[Point]] = {}
    joints: list[float] = []
    seen = 0.0
    for number, log in enumerate(logs):
        if number:
            joints.append(seen)
        start = seen
        for line in log.read_text().splitlines():
            values = json.loads(line)
            seen = start + values["images"]
            for key, value in values.items():
                part, _, figure = key.partition("/")
                if part == "validation":
                    figures.setdefault(figure, []).append((seen, value))
    return Run(name, figures, tuple(joints))


def draw(runs: Sequence[Run]) -> str:
    """The curves as SVG, light or dark as its reader prefers.

    Raises:
        SystemExit: too many runs to tell apart, or no figure to draw.
    """
    if len(runs) > COLOURS:
        raise SystemExit(f"{len(runs)} runs cannot be told apart: give at most {COLOURS}")
    shown = [one for one in FIGURES if any(one[0] in run.figures for run in runs)]
    if not shown:
        raise SystemExit("the logs have no figures of the validation split: give the log.jsonl of a run")
    seen = [images for run in runs for figure, _, _ in shown for images, _ in run.figures.get(figure, ())]
    across = ticks(0, max(seen) / 1000)  # the same for all panels
    columns = min(2, len(shown))
    panels = [
        _panel(
            runs,
            *figure,
            across=across,
            left=_LEFT + number % columns * (_LEFT + _WIDTH + _RIGHT),
            top=_TOP + number // columns * (_TOP + _HEIGHT + _BOTTOM),
        )
        for number, figure in enumerate(shown)
    ]
    rows = math.ceil(len(shown) / columns)
    return _environment().get_template("curve.svg.j2").render(
        width=columns * (_LEFT + _WIDTH + _RIGHT),
        height=rows * (_TOP + _HEIGHT + _BOTTOM) + (24 if len(runs) > 1 else 0),
        plot_width=_WIDTH,
        plot_height=_HEIGHT,
        panels=panels,
        names=[run.name for run in runs],
        left=_LEFT,
    )  # fmt: skip


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from at most `low` to at least `high`, 1, 2 or 5 times a power of ten apart."""
    if high - low <= 1e-6 * max(abs(low), abs(high), 1e-6):  # one value: an axis around it
        around = 0.05 * (abs(low) if abs(low) > 1e-6 else 1)
        low, high = low - around, high + around
    step = 10 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 5, 10, 20):
        first, last = math.floor(low / (factor * step) + 1e-9), math.ceil(high / (factor * step) - 1e-9)
        if last - first <= most:
            return [float(f"{number * factor * step:.9g}") for number in range(first, last + 1)]
    raise AssertionError("twenty times a power of ten is always enough")


def _panel(
    runs: Sequence[Run], figure: str, title: str, unit: str, *, across: list[float], left: int, top: int
) -> dict[str, object]:
    lines = [run.figures.get(figure, ()) for run in runs]
    points = [point for line in lines for point in line]
    up = ticks(min(point[1] for point in points), max(point[1] for point in points))

    def x(images: float) -> float:
        return round(images / 1000 / across[-1] * _WIDTH, 1)

    def y(value: float) -> float:
        return round(_HEIGHT - (value - up[0]) / (up[-1] - up[0]) * _HEIGHT, 1)

    return {
        "title": title,
        "unit": unit,
        "left": left,
        "top": top,
        "across": [(x(1000 * tick), f"{tick:g}") for tick in across],
        "up": [(y(tick), f"{tick:g}") for tick in up],
        "lines": [[(x(images), y(value)) for images, value in line] for line in lines],
        "joints": [x(joint) for run in runs if figure in run.figures for joint in run.joints],
        "last": [f"{line[-1][1]:.4g}" if line else None for line in lines],
    }


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


if __name__ == "__main__":
    main()
