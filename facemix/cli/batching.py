"""Commands that write many files: mixes of a table, and faces of nobody."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from facemix.cli.files import make_folder
from facemix.errors import BatchIncomplete, RequestInvalid, located
from facemix.progress import progress_bar

MOST_NAMED = 20  # files in a note


def batch(
    table: Annotated[Path, typer.Argument(help="Comma-separated: a, b, weight, ... (docs/cli.md).")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the results; an interrupted run goes on there.")],
    kind: Annotated[str, typer.Option("--format", help="png, jpg or webp.")] = "png",
    portable: Annotated[
        bool, typer.Option("--portable", help="Put latents in the place of photographs in the recipes.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Rows at a time; default one per core.")] = None,
) -> None:
    """Mix every row of a table. What fails is listed with its reason; what is done already is not done again."""
    from facemix.cli.batch_run import BatchRun
    from facemix.cli.engines import mixer_for_many
    from facemix.imaging.encode import media_type_for_path

    if kind not in ("png", "jpg", "webp"):
        raise RequestInvalid(f"the format is {kind!r}", hint="it is png, jpg or webp", where="--format")
    run = BatchRun(table, out, f".{kind}", media_type_for_path(f"x.{kind}"), portable=portable)
    mixer = mixer_for_many()
    try:
        with progress_bar("rows") as on_progress:
            summary = run.work(mixer, workers, on_progress)
    finally:
        mixer.close()
    for item in summary.failures:
        problem = item["problem"]
        said = located(problem["where"], problem["detail"])
        print(f"row {item['number']} ({item['name']}): {said} ({problem['hint']})", file=sys.stderr)
    if summary.strays:
        named, rest = ", ".join(summary.strays[:MOST_NAMED]), len(summary.strays) - MOST_NAMED
        print(
            f"{out}: note: in the folder, but of no row that was made: {named}"
            + (f" and {rest} more" if rest > 0 else ""),
            file=sys.stderr,
        )
    print(f"{out}: {summary.made} made, {summary.skipped} made before, {len(summary.failures)} failed")
    if summary.failures:
        raise BatchIncomplete(
            f"{len(summary.failures)} of {summary.rows} rows failed",
            hint="the manifest names the reasons; the same command tries them again",
            where=str(out / "manifest.json"),
        )


def sample(
    count: Annotated[int, typer.Option(min=1, max=2**31, help="How many faces.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to; an interrupted run goes on there.")],
    labels: Annotated[
        bool, typer.Option("--labels", help="Also write labels.csv: attributes and typicality of each face.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of the draws.")] = 0,
    kind: Annotated[str, typer.Option("--format", help="png, or webp, which is smaller and not without loss.")] = "png",
) -> None:
    """Write faces of nobody, drawn from the model's prior, as data for training other models."""
    from facemix.cli.sample_run import SampleRun
    from facemix.serving.engine import engine_from_settings
    from facemix.settings import load_settings

    if kind not in ("png", "webp"):
        raise RequestInvalid(f"the format is {kind!r}", hint="it is png or webp", where="--format")
    make_folder(out)
    engine = engine_from_settings(load_settings())
    try:
        with progress_bar("faces") as on_progress:
            written = SampleRun(engine, out, count=count, seed=seed, kind=kind, labels=labels).work(on_progress)
    finally:
        engine.close()
    print(f"{out}: {count:,} faces, {written:,} of them new, by {engine.identity}")
