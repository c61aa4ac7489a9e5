"""The command that fits a checkpoint's photograph gate and measures it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from facemix.errors import RequestInvalid
from facemix.progress import progress_bar


def gate(
    data: Annotated[Path, typer.Argument(help="A prepared data set.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder of the checkpoint; default the newest that ships.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also write what was measured, as JSON.")] = None,
    limit: Annotated[int, typer.Option(min=64, help="Fit to so many photographs, drawn at random.")] = 6000,
    refused: Annotated[
        float, typer.Option(min=0.0001, max=0.2, help="Share of validation photographs that may be refused.")
    ] = 0.003,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of every draw.")] = 0,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Processes; 0 works in this one.")] = 2,
) -> None:
    """Fit the gate that refuses what is no photograph of a face, and measure it (``docs/safety.md``)."""
    from facemix.evaluation.photo_gate_fit import Options, fit_gate
    from facemix.evaluation.photo_gate_table import text
    from facemix.resources import resource_dir
    from facemix.safety.photo_gate import GATE_FILE
    from facemix.vae.checkpoint import load_checkpoint, newest_checkpoint

    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise RequestInvalid("not a file in an existing folder", hint="name one, as in gate.json", where=str(out))
    folder = checkpoint or newest_checkpoint(resource_dir("checkpoints"))
    card = load_checkpoint(folder).card
    options = Options(limit=limit, refused=refused, seed=seed, workers=workers)
    with progress_bar("photographs") as on_progress:
        fitted, report = fit_gate(card, data, options, on_progress=on_progress)
    fitted.save(folder)
    if out is not None:
        out.write_text(json.dumps(report, indent=1) + "\n")
    print(text(report), end="")
    print(f"{folder / GATE_FILE}: {report['bytes']:,} bytes for {card.name}@{card.weights_sha256[:12]}")
