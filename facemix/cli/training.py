"""Commands that prepare photographs, train on them and measure what came of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from facemix.errors import ConfigError, RequestInvalid
from facemix.progress import progress_bar


def prepare(
    source: Annotated[Path, typer.Argument(help="Folder with photographs, searched through.")],
    out: Annotated[Path, typer.Argument(help="Folder of the data set; an interrupted run goes on there.")],
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side of the crops in pixels.")] = 128,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes; default one per core.")] = None,
    name: Annotated[str, typer.Option(help="What the data set is called.")] = "unnamed data set",
    licence: Annotated[
        str, typer.Option(help="Terms of the photographs; the card of every checkpoint repeats them.")
    ] = "unstated: the terms of the photographs apply to the weights",
) -> None:
    """Prepare a training set: detect, align, filter, split."""
    from facemix.training.prepare import PrepareOptions, prepare

    options = PrepareOptions(crop_size=size, name=name, licence=licence)
    with progress_bar("faces") as on_progress:
        summary = prepare(source, out, options, workers=workers, on_progress=on_progress)
    splits = ", ".join(f"{count:,} {split}" for split, count in summary["splits"].items())
    print(f"{out}: {summary['kept']:,} of {summary['photographs']:,} photographs kept ({splits})")
    for reason, count in summary["refused"].items():
        print(f"  refused {count:>6,}  {reason}")


def train(
    data: Annotated[Path, typer.Argument(help="A prepared data set.")],
    run: Annotated[Path, typer.Argument(help="Folder of the run; an interrupted run goes on there.")],
    preset: Annotated[str, typer.Option(help="Named configuration.")] = "cpu-128",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field of the preset, as in images=50000.")
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="Save and stop after so many seconds.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")] = False,
) -> None:
    """Train a model, or go on training it."""
    from facemix.training.config import preset as resolve
    from facemix.training.trainer import World
    from facemix.training.trainer import train as run_training

    config = resolve(preset, **_assignments(set_ or []))
    if dry_run:
        print(config.model_dump_json(indent=2))
        return
    if World.from_torchrun().rank != 0:
        run_training(config, data, run, time_limit=time_limit, say=lambda line: None)
        return
    with progress_bar("images") as on_progress:
        folder = run_training(config, data, run, time_limit=time_limit, on_progress=on_progress)
    print(f"checkpoint: {folder}" if folder else f"stopped at the time limit; the same command goes on in {run}")


def sharpen(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of the checkpoint to begin with; it is only read.")],
    data: Annotated[Path, typer.Argument(help="A prepared data set, best the one that it was trained on.")],
    run: Annotated[Path, typer.Argument(help="Folder of the run; an interrupted run goes on there.")],
    images: Annotated[int | None, typer.Option(help="Photographs to see in all.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Photographs per step.")] = None,
    adversarial_weight: Annotated[
        float | None, typer.Option(help="How hard the discriminator pulls; 0 leaves only fidelity.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field of the configuration, as in mix_share=1.")
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="Save and stop after so many seconds.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")] = False,
) -> None:
    """Sharpen a trained decoder against a discriminator; the encoder stays as it is."""
    from facemix.training.sharpen_config import sharpen_config

    named = {"images": images, "batch_size": batch_size, "adversarial_weight": adversarial_weight}
    config = sharpen_config(**(named | _assignments(set_ or [])))
    if dry_run:
        print(config.model_dump_json(indent=2))
        return
    from facemix.training.sharpen import sharpen as run_sharpening

    with progress_bar("images") as on_progress:
        folder = run_sharpening(config, checkpoint, data, run, time_limit=time_limit, on_progress=on_progress)
    print(f"checkpoint: {folder}" if folder else f"stopped at the time limit; the same command goes on in {run}")


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Folder with model.safetensors and card.json.")],
    data: Annotated[Path, typer.Argument(help="A prepared data set.")],
    out: Annotated[Path | None, typer.Option("--out", help="Also write the results, as JSON.")] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Measure so many faces, drawn at random.")] = None,
    split: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    baselines: Annotated[bool, typer.Option(help="Also measure PCA of the same size, and the cross-fade.")] = True,
    compare: Annotated[
        list[str] | None, typer.Option("--compare", help="A further checkpoint, as in older=FOLDER; repeatable.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Mid-points to measure.")] = 256,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of every draw.")] = 0,
    photos: Annotated[
        Path | None,
        typer.Option(help="Folder of the photographs of the data set: also measure results at their own size."),
    ] = None,
) -> None:
    """Measure a checkpoint on faces it was not trained on (``docs/evaluation.md``)."""
    from facemix.evaluation.evaluate import Options
    from facemix.evaluation.evaluate import evaluate as measure
    from facemix.evaluation.results import write_results
    from facemix.evaluation.table import text

    if split not in ("test", "validation", "train"):
        raise RequestInvalid(f"the split is {split!r}", hint="it is test, validation or train", where="--split")
    # Said now rather than after minutes of work.
    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise RequestInvalid("not a file in an existing folder", hint="name one, as in results.json", where=str(out))
    if photos is not None and not photos.is_dir():
        raise RequestInvalid("not a folder", hint="name the one that `facemix prepare` was given", where=str(photos))
    others = _named_folders(compare or [])
    options = Options(
        split=split, limit=limit, pairs=pairs, baselines=baselines, compare=others, seed=seed, photos=photos
    )
    results = measure(checkpoint, data, options, say=lambda line: print(line, file=sys.stderr))
    if out is not None:
        write_results(out, results)
    print(text(results), end="")


def directions(
    checkpoint: Annotated[Path, typer.Argument(help="Folder with model.safetensors and card.json.")],
    data: Annotated[Path, typer.Argument(help="A prepared data set, best the one that it was trained on.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write to; default the checkpoint's.")] = None,
    limit: Annotated[int | None, typer.Option(min=5, help="Fit to so many photographs, drawn at random.")] = None,
    faces: Annotated[int, typer.Option(min=1, help="Measure the effects on so many unseen faces.")] = 128,
    min_r2: Annotated[float, typer.Option(max=1, help="Least R2 of a probe that is worth a direction.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of every draw.")] = 0,
) -> None:
    """Fit a checkpoint's attribute directions and measure what they do (``docs/attributes.md``)."""
    from facemix.evaluation.identity import ABSENT
    from facemix.faces.embedder import load_embedder
    from facemix.training.directions import Options, fit_directions
    from facemix.training.directions_table import text

    folder = checkpoint if out is None else out
    if folder.exists() and not folder.is_dir():
        raise RequestInvalid("not a folder", hint="name one to write to", where=str(folder))
    embedder = load_embedder()
    if embedder is None:
        print(ABSENT, file=sys.stderr)
    options = Options(limit=limit, faces=faces, min_r2=min_r2, seed=seed)
    with progress_bar("passes") as on_progress:
        found = fit_directions(
            checkpoint, data, options, embed=embedder.embed if embedder else None, on_progress=on_progress
        )
    found.save(folder)
    print(text(found.card), end="")
    print(f"{folder}: {len(found.names)} directions of {found.card.model}@{found.card.weights_sha256[:12]}")


def fit_checks(
    checkpoint: Annotated[Path, typer.Argument(help="Folder with model.safetensors and card.json.")],
    draws: Annotated[int, typer.Option(min=64, max=100_000, help="Faces to decode.")] = 1200,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of every draw.")] = 0,
) -> None:
    """Fit what a checkpoint's results are checked by, from faces that it draws itself (``docs/safety.md``)."""
    from facemix.safety.result_statistics import FILE, fit_statistics
    from facemix.vae.checkpoint import load_checkpoint

    found = load_checkpoint(checkpoint)
    statistics = fit_statistics(found, draws=draws, seed=seed)
    statistics.save(checkpoint, found.card)
    print(f"{checkpoint / FILE}: residual {statistics.most_residual:.3f}, contrast {statistics.least_contrast:.3f}")


def _assignments(pairs: list[str]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair!r} sets nothing", hint="write --set field=value")
        try:
            fields[key] = json.loads(value)
        except ValueError:
            fields[key] = value
    return fields


def _named_folders(pairs: list[str]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for pair in pairs:
        name, equals, folder = pair.partition("=")
        if not (equals and folder) or name in folders:
            raise ConfigError(
                f"--compare {pair!r} does not name one more checkpoint",
                hint="write --compare NAME=FOLDER, each name once",
            )
        folders[name] = Path(folder)
    return folders
