"""Writes the model card and the data sheet of the shipped checkpoint: ``python -m benchmarks.cards``.

Both are rendered from the templates in benchmarks/templates with the figures of the JSON files that lie in the
checkpoint's folder, and written beside them:

    card.json          what the checkpoint says of itself
    results.json       what `facemix evaluate` measured
    dataset.json       what `python -m benchmarks.dataset` counted
    attributes.json    its attribute directions, if it has any
    log.jsonl, sharpen.jsonl    its training, if they were kept

Where a sentence compares, the figures choose its words. What was not measured is said to be so. A test compares the
written files with `render`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from benchmarks import curve, dataset
from facemix.evaluation.groups import LEAST_FACES
from facemix.evaluation.results import read_results
from facemix.evaluation.table import markdown
from facemix.faces.embedder import SAME_PERSON
from facemix.faces.quality import DARK, FACE_PIXELS, SHARPNESS, YAW
from facemix.resources import resource_dir
from facemix.vae.checkpoint import newest_checkpoint, read_card
from facemix.vae.directions import ATTRIBUTES_FILE, AttributesCard

MODEL_CARD, DATASHEET = "MODEL_CARD.md", "DATASHEET.md"
RESULTS, ATTRIBUTES = "results.json", ATTRIBUTES_FILE
DESCRIBED = "UTKFace"  # where the photographs came from stands in the template, not in any file of figures
TEMPLATES = Path(__file__).parent / "templates"

# Figures by which the model is compared with others: where they lie, their name in a sentence, and what is better:
# more, less, or nearer to 1 (what is kept of a photograph can be too much as well as too little).
COMPARED = (
    ("reconstruction", "psnr", "PSNR", "more"),
    ("reconstruction", "ssim", "SSIM", "more"),
    ("reconstruction", "ms_ssim", "MS-SSIM", "more"),
    ("reconstruction", "sharpness", "sharpness kept", "one"),
    ("reconstruction", "colour_shift", "colour shift", "less"),
    ("reconstruction", "asymmetry", "asymmetry kept", "one"),
    ("reconstruction", "variance", "variance kept", "one"),
    ("reconstruction", "identity_distance", "identity distance", "less"),
    ("wrinkles", "60_and_over", "wrinkle band kept of people of 60 and over", "one"),
    ("midpoints", "sharpness", "sharpness of mid-points over their ends'", "one"),
    ("midpoints", "sharpness_to_photographs", "sharpness of mid-points over the photographs'", "one"),
    ("midpoints", "ghost", "distance of mid-points from a cross-fade", "more"),
    ("midpoints", "double_edges", "double edges of mid-points", "less"),
    ("midpoints", "confidence", "detector's confidence in mid-points", "more"),
    ("midpoints", "landmark_offset", "landmarks of mid-points lying between their parents'", "less"),
    ("midpoints", "identity_to_parents", "identity distance of mid-points to their parents", "less"),
    ("midpoints", "identity_imbalance", "balance of mid-points between their parents", "less"),
)
# What was aimed for before the training: where the figure lies, in words, at least or at most, how much.
AIMS = (
    ("margin", "psnr", "PSNR above PCA of the same size, dB", "at least", 1.5),
    ("reconstruction", "sharpness", "sharpness kept in reconstructions", "at least", 0.8),
    ("midpoints", "sharpness", "sharpness of mid-points over their ends'", "at least", 0.9),
    ("midpoints", "double_edges", "double edges of mid-points; a cross-fade has 1", "at most", 0.5),
    ("reconstruction", "identity_distance", "median identity distance of a reconstruction", "at most", 0.5),
    ("wrinkles", "60_and_over", "wrinkle band kept, people of 60 and over", "at least", 0.8),
    ("groups", "age", "worst to best group by age, squared error", "at most", 1.25),
    ("groups", "gender", "worst to best group by gender, squared error", "at most", 1.25),
    ("groups", "ethnicity", "worst to best group by ethnicity, squared error", "at most", 1.25),
)
GROUP_FIGURES = (
    ("psnr", "PSNR, dB", 2),
    ("ssim", "SSIM", 3),
    ("sharpness", "sharpness kept", 2),
    ("mse", "squared error", 4),
    ("identity_distance", "identity distance", 2),
    ("strangers", "distance of strangers", 2),
)
QUALITIES = (
    ("face_pixels", "distance of the eyes, pixels", 0),
    ("sharpness", "sharpness", 3),
    ("yaw", "turn of the head, 1 is a profile", 2),
    ("brightness", "brightness", 2),
)
UNITARY = ("age", "gender", "ethnicity")
_CURVE_ROWS = 10

Json = Mapping[str, Any]


def main() -> None:
    folder = newest_checkpoint(resource_dir("checkpoints"))
    for name, text in render(folder).items():
        (folder / name).write_text(text)
        print(folder / name)


def render(folder: Path) -> dict[str, str]:
    """The texts of both files by their names, from the JSON files in `folder`.

    Raises:
        SystemExit: a file belongs to another checkpoint or data set.
        CheckpointMissing, CheckpointCorrupt, ConfigError: see `read_card` and `read_results`.
    """
    card, results = read_card(folder), read_results(folder / RESULTS)
    counts, attributes = _read(folder / dataset.FILE), _attributes(folder / ATTRIBUTES)
    subject = results.subjects[results.model]
    if subject.identity is None or subject.identity.weights_sha256 != card.weights_sha256:
        raise SystemExit(f"{folder / RESULTS} belongs to another checkpoint: run `facemix evaluate` again")
    if attributes and attributes["weights_sha256"] != card.weights_sha256:
        raise SystemExit(f"{folder / ATTRIBUTES} belongs to another checkpoint: run `facemix directions` again")
    if counts is None or counts["manifest_sha256"] != card.data["manifest_sha256"]:
        raise SystemExit(
            f"{folder / dataset.FILE} is missing or counts another data set than the checkpoint was trained on: "
            "run `python -m benchmarks.dataset DATA` with that one"
        )
    if DESCRIBED not in counts["name"]:
        raise SystemExit(f"the data sheet's words are about {DESCRIBED}, not {counts['name']}: write a template for it")
    found = results.model_dump(mode="json")
    context = {
        "card": card.model_dump(mode="json"),
        "results": found,
        "model": found["subjects"][found["model"]],
        "table": markdown(results),
        "sharpenings": _sharpenings(card.training),
        "comparisons": comparisons(found),
        "aims": aims(found),
        "intersections": [name for name in found["subjects"][found["model"]]["groups"] or {} if name not in UNITARY],
        "dataset": counts,
        "attributes": attributes,
        "curve": _curve(folder),
        "curve_figures": [one for one in curve.FIGURES if any(one[0] in row for row in _curve(folder))],
        "gates": {"face_pixels": FACE_PIXELS, "sharpness": SHARPNESS, "yaw": YAW, "dark": DARK},
        "same_person": SAME_PERSON,
        "least_faces": LEAST_FACES,
        "ages": _ages(counts),
        "percentiles": dataset.PERCENTILES,
        "qualities": QUALITIES,
        "unitary": UNITARY,
        "group_figures": GROUP_FIGURES,
    }
    environment = _environment()
    return {
        name: re.sub(r"\n{3,}", "\n\n", environment.get_template(f"{template}.md.j2").render(context))
        for name, template in ((MODEL_CARD, "model_card"), (DATASHEET, "datasheet"))
    }


def comparisons(results: Json) -> dict[str, dict[str, list[str]]]:
    """For every other subject the figures on which the model is ``ahead``, ``behind`` or ``level``, in words.

    Level is what chance may explain: a margin whose interval holds 0 or, where there is none, intervals that overlap.
    """
    mine = results["subjects"][results["model"]]
    found = {}
    for name, other in results["subjects"].items():
        if name == results["model"]:
            continue
        verdicts: dict[str, list[str]] = {"ahead": [], "behind": [], "level": []}
        for part, figure, words, better in COMPARED:
            ours, theirs = ((one.get(part) or {}).get(figure) for one in (mine, other))
            margin = results["margins"].get(name, {}).get(part, {}).get(figure)
            verdict = _verdict(ours, theirs, margin, better)
            if verdict:
                verdicts[verdict].append(words)
        found[name] = verdicts
    return found


def _verdict(ours: Json | None, theirs: Json | None, margin: Json | None, better: str) -> str | None:
    if any(one is None or one["mean"] is None or one["low"] is None for one in (ours, theirs)):
        return None
    if margin and margin["low"] is not None:
        level = margin["low"] <= 0 <= margin["high"]
    else:
        level = ours["low"] <= theirs["high"] and theirs["low"] <= ours["high"]
    if level:
        return "level"
    distance = abs(ours["mean"] - 1) - abs(theirs["mean"] - 1) if better == "one" else ours["mean"] - theirs["mean"]
    return "ahead" if (distance > 0) == (better == "more") else "behind"


def aims(results: Json) -> list[dict[str, Any]]:
    """Every aim with what was reached: its words and the figure, None where it was not measured.

    ``reached`` is decided by the figure itself; ``open`` says that its interval holds the aim.
    """
    model = results["subjects"][results["model"]]
    pca = next((name for name, one in results["subjects"].items() if one["kind"] == "pca"), None)
    found = []
    for part, name, words, side, value in AIMS:
        if part == "margin":
            figure = results["margins"].get(pca, {}).get("reconstruction", {}).get(name)
        elif part == "groups":
            figure = ((model["groups"] or {}).get(name) or {}).get("worst_to_best")
        else:
            figure = (model.get(part) or {}).get(name)
        if figure is not None and figure["mean"] is None:
            figure = None
        one = {"words": words, "side": side, "value": value, "figure": figure, "reached": None, "open": False}
        if figure:
            one["reached"] = figure["mean"] >= value if side == "at least" else figure["mean"] <= value
            one["open"] = figure["low"] is not None and figure["low"] < value < figure["high"]
        found.append(one)
    return found


def _curve(folder: Path) -> list[dict[str, float]]:
    """The training curve thinned to a table's length, first and last included; empty without a log."""
    rows: dict[float, dict[str, float]] = {}
    for name, points in curve.shipped_run(folder).figures.items():
        for images, value in points:
            rows.setdefault(images, {"images": images})[name] = value
    ordered = [rows[images] for images in sorted(rows)]
    if len(ordered) <= _CURVE_ROWS:
        return ordered
    last = len(ordered) - 1
    return [ordered[round(step * last / (_CURVE_ROWS - 1))] for step in range(_CURVE_ROWS)]


def _sharpenings(training: Json) -> list[Json]:
    """The sharpening runs behind a checkpoint, the first one first; none where there was none."""
    found = []
    part = training.get("sharpen")
    while part:
        found.insert(0, part)
        part = part.get("before")
    return found


def _ages(counts: Json) -> list[str]:
    """The data sheet's bands of age, the youngest first."""
    return sorted(counts.get("ages", {}).get("decades", {}), key=lambda band: (band[0].isdigit(), band))


def _attributes(path: Path) -> dict[str, Any] | None:
    found = _read(path)
    return found and AttributesCard.model_validate(found).model_dump(mode="json")


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.exists() else None


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # it is Markdown, from our own files
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"figure": figure, "number": number, "share": share, "listed": listed, "words": words}
    return environment


def figure(value: Json | None, digits: int) -> str:
    """A figure with its interval; a dash where there is none."""
    if value is None or value["mean"] is None:
        return "–"
    if value["low"] is None:
        return f"{value['mean']:.{digits}f}"
    return f"{value['mean']:.{digits}f} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"


def number(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}"


def share(part: float, whole: float, digits: int = 1) -> str:
    return f"{100 * part / whole:.{digits}f} %" if whole else "–"


def listed(items: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def words(name: str) -> str:
    """A key as words: ``face_not_found`` as "face not found"."""
    return name.replace("_", " ")


if __name__ == "__main__":
    main()
