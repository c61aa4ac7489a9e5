"""The command that fits the geometry which lies beside a checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from facemix.errors import CheckpointMissing, RequestInvalid
from facemix.progress import progress_bar


def geometry(
    data: Annotated[Path, typer.Argument(help="A prepared data set.")],
    checkpoint: Annotated[Path, typer.Argument(help="Folder with model.safetensors and card.json.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write to; default the checkpoint's.")] = None,
    finer: Annotated[
        bool, typer.Option("--finer", help="Second stage: begin with the checkpoint's geometry, with less stiffness.")
    ] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the fit; default 3000, with --finer 2500.")] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Take the first so many training faces alone.")] = None,
    pairs: Annotated[int, typer.Option(min=2, help="Measure between so many pairs of unseen faces.")] = 400,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of every draw.")] = 0,
    time_limit: Annotated[float | None, typer.Option(help="Save and stop after so many seconds.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")] = False,
) -> None:
    """Fit what reads a face's shape from its crop, or go on fitting it (``docs/training.md``)."""
    from facemix.training.geometry_config import geometry_config

    config = geometry_config(finer=finer, steps=steps, seed=seed)
    if dry_run:
        print(config.model_dump_json(indent=2))
        return
    from facemix.evaluation.correspondence import ABSENT, measure_shapes, table
    from facemix.faces.embedder import load_embedder
    from facemix.mixing.regions import masks
    from facemix.training.dataset import load_split
    from facemix.training.geometry import FIELD, STATE_FILE, fit_geometry
    from facemix.vae.checkpoint import read_card
    from facemix.vae.geometry import GEOMETRY_FILE, Geometry, load_geometry, save_geometry

    read_card(checkpoint)  # said now rather than after minutes of work
    begins = load_geometry(checkpoint) if finer else None
    if finer and begins is None:
        raise CheckpointMissing(
            f"there is no {GEOMETRY_FILE} in {checkpoint} for a finer fit to begin with",
            hint="fit one first: the same command without --finer",
        )
    folder = checkpoint if out is None else out
    if folder.exists() and not folder.is_dir():
        raise RequestInvalid("not a folder", hint="name one to write to", where=str(folder))
    unseen = load_split(data, "test").images.numpy()
    embedder = load_embedder()
    if embedder is None:
        print(ABSENT, file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / STATE_FILE
    with progress_bar("steps") as on_progress:
        fitted = fit_geometry(
            config,
            data,
            state,
            regions=masks(FIELD),
            begins=begins,
            limit=limit,
            time_limit=time_limit,
            on_progress=on_progress,
        )
    if fitted is None:
        print(f"stopped at the time limit; the same command goes on in {folder}")
        return
    measured: dict[str, Any] = {}
    if embedder is not None:
        measured = measure_shapes(Geometry(fitted.net), unseen, embedder, pairs=pairs, seed=seed)
        print(table(measured))
    path = save_geometry(folder, fitted.net, {**fitted.facts, "landmarks_carried": measured})
    state.unlink()
    print(f"{path}: {path.stat().st_size} bytes, fitted to {fitted.facts['faces']} faces")
