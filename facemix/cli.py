"""The command line: thin commands over the rooms below.

Everything heavy is imported inside the commands, so that ``facemix --help`` answers at once.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from facemix import __version__
from facemix.errors import ConfigError, FacemixError, InstallationError, RequestInvalid
from facemix.progress import progress_bar
from facemix.settings import Settings, load_settings

if TYPE_CHECKING:
    from facemix.serving.types import ParentFace, ParentInput
    from facemix.storage.database import Database

app = typer.Typer(
    name="facemix",
    help="Mix faces: two photographs in, one believable face out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


# Typer's own refusals of what was typed (an unknown option, a weight of 2). It carries click inside in some
# releases and imports it in others; the base of its BadParameter is right in both.
_USAGE_ERRORS = (typer.BadParameter.__mro__[1],)


def main() -> NoReturn:
    """Runs the command line. A refusal is one line on stderr and an exit status (``docs/cli.md``)."""
    try:
        status = app(standalone_mode=False)
    except FacemixError as error:
        place = f"{error.where}: " if error.where else ""
        _complain(f"{place}{error.message}", error.hint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if isinstance(error, _USAGE_ERRORS):
            _print_usage_error(error)
            sys.exit(2)
        if _debugging():
            raise
        _complain(
            f"{type(error).__name__}: {error}", "this is a defect; FACEMIX_LOG_LEVEL=debug shows where it happened"
        )
        sys.exit(1)
    sys.exit(status or 0)


def _complain(message: str, hint: str) -> None:
    """One line, whatever line breaks a file's name or a library's message brings along."""
    print(" ".join(f"facemix: {message} (hint: {hint})".split()), file=sys.stderr)


def _debugging() -> bool:
    try:
        return load_settings().log_level == "debug"
    except ConfigError:
        return False


def _print_usage_error(error: Any) -> None:
    command = error.ctx.command_path if error.ctx else "facemix"
    message = error.format_message()
    if message:
        _complain(message, f"`{command} --help` shows how it is used")
    else:  # no command at all: the help has been printed
        print("facemix: name a command", file=sys.stderr)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"facemix {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


@app.command()
def mix(
    photos: Annotated[
        list[str], typer.Argument(help="Photographs, or sample:NUMBER for a face drawn from the model's prior.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .png, .jpg or .webp.")],
    weight: Annotated[
        float | None,
        typer.Option("--weight", "-w", min=0, max=1, help="Share of the second face, of two; default 0.5."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="One weight per photo, as in 2,1,1; they are scaled to sum to 1.")
    ] = None,
    faces: Annotated[
        str | None, typer.Option("--faces", help="Which face of each photo, as in 0,2; 0 is the largest.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Write a strip of so many frames from the first to the second.")
    ] = None,
    interpolation: Annotated[str, typer.Option(help="lerp, or slerp for more vivid results.")] = "lerp",
    vividness: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of the contrast that lerp loses which is given back.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of the sample faces.")] = 0,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Also write the recipe, as JSON.")] = None,
) -> None:
    """Mix two or more faces into one picture."""
    from facemix.imaging.encode import encode_image, media_type_for_path
    from facemix.mixing.recipe import Edits
    from facemix.serving.blocking import BlockingMixer
    from facemix.serving.mixer import mixer_from_settings

    media_type = media_type_for_path(output)
    if interpolation not in ("lerp", "slerp"):
        raise RequestInvalid(f"interpolation is {interpolation!r}", hint="it is lerp or slerp", where="--interpolation")
    if interpolation == "slerp" and vividness:
        raise RequestInvalid(
            "slerp loses nothing that could be given back", hint="leave it out, or use lerp", where="--vividness"
        )
    edits = Edits.of(interpolation=interpolation, vividness=vividness, seed=seed)
    shares = _shares(photos, weight, weights, steps)
    chosen = _numbers(faces, "--faces", int, len(photos)) if faces else [None] * len(photos)
    for target in (output, recipe):
        if target is not None and any(_same_file(target, photo) for photo in photos):
            raise RequestInvalid(f"{target} is one of the photos", hint="write the result to another file")
    if recipe is not None and recipe.absolute() == output.absolute():
        raise RequestInvalid(f"{recipe} is the output, too", hint="write the recipe to another file", where="--recipe")
    if steps is not None and len(photos) != 2:
        raise RequestInvalid(
            f"a strip goes from one face to another, not between {len(photos)}", hint="name two photos"
        )
    parents = [_parent(*parts) for parts in zip(photos, shares, chosen, strict=True)]
    mixer = BlockingMixer(mixer_from_settings(_for_one_mix(load_settings())))
    if steps is not None:
        first, second = parents
        strip = mixer.strip(first, second, steps=steps, edits=edits)
        pixels, used, described = _side_by_side(strip.frames), strip.parents, strip.recipes[len(strip.recipes) // 2]
    else:
        result = mixer.mix(parents, edits)
        pixels, used, described = result.image, result.parents, result.recipe
    for face in used:
        _report(face)
    _write(output, encode_image(pixels, media_type))
    if recipe is not None:
        _write(recipe, (described.to_json() + "\n").encode())
    print(f"{output}: {pixels.shape[1]} x {pixels.shape[0]} pixels, by {mixer.model}")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind to; default FACEMIX_HOST or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; default FACEMIX_PORT or 8000.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray for replicas on several devices or machines.")] = "local",
    replicas: Annotated[
        int | None, typer.Option(min=1, max=256, help="With ray: how many; default FACEMIX_REPLICAS or 1.")
    ] = None,
) -> None:
    """Serve the page and the endpoint."""
    from facemix.serving.tuning import tune_allocator, wait_passively

    tune_allocator()  # both before torch is imported: what is there by then stays as it is
    wait_passively()
    from facemix.web.logs import configure_logging

    if engine not in ("local", "ray"):
        raise RequestInvalid(f"the engine is {engine!r}", hint="it is local or ray", where="--engine")
    settings = load_settings()
    changes = {"host": host, "port": port, "replicas": replicas}
    settings = Settings(**{**settings.model_dump(), **{name: value for name, value in changes.items() if value}})
    configure_logging(settings.log_level, settings.log_format)
    if engine == "ray":
        from facemix.web.ray_engine import serve_with_ray

        raise typer.Exit(serve_with_ray(settings))
    from facemix.web.run import serve_here

    raise typer.Exit(serve_here(settings))


keys = typer.Typer(name="keys", help="Give out and revoke API keys.", no_args_is_help=True)
app.add_typer(keys)


@keys.command("add")
def keys_add(
    name: Annotated[str, typer.Argument(help="Who gets it; stands in the ledger.")],
    per_minute: Annotated[
        int | None, typer.Option(min=1, help="Requests for work per minute; default FACEMIX_RATE_PER_KEY.")
    ] = None,
) -> None:
    """Make a key and print it. It is shown this once: only its hash is stored."""
    with _database() as database:
        from facemix.storage.keys import KeyStore

        print(KeyStore(database).create(name, per_minute))


@keys.command("list")
def keys_list() -> None:
    """List all keys, without their secrets."""
    with _database() as database:
        from facemix.storage.keys import KeyStore

        for key in KeyStore(database).list():
            rate = "any key's rate" if key.requests_per_minute is None else f"{key.requests_per_minute} per minute"
            state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "live"
            print(f"{key.name}: {state}, made {key.created_at:%Y-%m-%d}, {rate}")


@keys.command("revoke")
def keys_revoke(name: Annotated[str, typer.Argument(help="Whose key.")]) -> None:
    """Revoke a key. A running server lets it in for some seconds more."""
    with _database() as database:
        from facemix.storage.keys import KeyStore

        KeyStore(database).revoke(name)


@app.command()
def ledger(days: Annotated[int, typer.Option(min=1, help="So many days back.")] = 30) -> None:
    """Print what requests cost, by model and key."""
    from datetime import UTC, datetime, timedelta

    with _database() as database:
        from facemix.storage.ledger import Ledger

        for total in Ledger(database).totals(since=datetime.now(UTC) - timedelta(days=days)):
            who = f"{total.model_id or 'no model'}, {total.key_name or 'no key'}"
            print(
                f"{who}: {total.requests} requests, {total.refused} refused; {total.frames_encoded} frames encoded, "
                f"{total.frames_decoded} decoded, {total.device_seconds:.2f} s of the device"
            )


def _database() -> Database:
    from facemix.web.run import open_database

    return open_database(load_settings())


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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
    others = _named_folders(compare or [])
    options = Options(split=split, limit=limit, pairs=pairs, baselines=baselines, compare=others, seed=seed)
    results = measure(checkpoint, data, options, say=lambda line: print(line, file=sys.stderr))
    if out is not None:
        write_results(out, results)
    print(text(results), end="")


@app.command()
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
    from facemix.evaluation.identity import ABSENT, load_embedder
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


@app.command()
def doctor() -> None:
    """Check the installation and say how to mend it."""
    from facemix.serving.doctor import examine

    failed = 0
    for finding in examine(load_settings()):
        print(f"{finding.verdict:4}  {finding.check}: {finding.message}")
        if finding.hint:
            print(f"      -> {finding.hint}")
        failed += finding.verdict == "fail"
    if failed:
        raise InstallationError(f"{failed} check(s) failed", hint="see the arrows above")


def _for_one_mix(settings: Settings) -> Settings:
    """What serves one command: choosing the fastest library and warming up every batch would take longer than a mix."""
    return settings.model_copy(
        update={
            "backend": "torch" if settings.backend == "auto" else settings.backend,
            "max_batch": min(settings.max_batch or 4, 4),
            "isolate": False,
        }
    )


def _parent(photo: str, weight: float, face: int | None) -> ParentInput:
    from facemix.serving.types import PhotoInput, SampleInput

    if photo.startswith("sample:"):
        number = photo.removeprefix("sample:")
        if not (number.isascii() and number.isdigit() and int(number) < 2**31):
            raise RequestInvalid(f"{photo!r} names no sample", hint="write sample:0, sample:1, ...")
        return SampleInput(int(number), where=photo, weight=weight)
    limit = load_settings().max_upload_bytes
    try:
        with Path(photo).open("rb") as file:
            data = file.read(limit + 1)  # the decoder refuses what is one byte too long
    except OSError as error:
        raise RequestInvalid(
            f"cannot be read: {error.strerror}", hint="name an existing file that you may read", where=photo
        ) from error
    return PhotoInput(data, where=photo, face=face, weight=weight)


def _shares(photos: list[str], weight: float | None, weights: str | None, steps: int | None) -> list[float]:
    """One share per photo. What would be ignored is refused: the result would not be what was asked for."""
    if weight is not None and weights is not None:
        raise RequestInvalid("--weight and --weights were both given", hint="give one of them", where="--weights")
    if steps is not None and (weight is not None or weights is not None):
        raise RequestInvalid(
            "a strip shows all weights between its ends", hint="leave --weight and --weights out", where="--steps"
        )
    if weight is not None and len(photos) != 2:
        raise RequestInvalid(
            f"--weight is the share of the second of two photos, not of {len(photos)}",
            hint="give one weight per photo, as in --weights 2,1,1",
            where="--weight",
        )
    if weights is not None:
        return _numbers(weights, "--weights", float, len(photos))
    return [1.0] * len(photos) if weight is None else [1 - weight, weight]


def _numbers(text: str, option: str, kind: type, count: int) -> list:
    try:
        values = [kind(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise RequestInvalid(
            f"{text!r} is not a list of {count} numbers", hint="write one per photo, as in 1,2", where=option
        )
    return values


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


def _same_file(target: Path, photo: str) -> bool:
    source = Path(photo)
    return target.exists() and source.exists() and target.samefile(source)


def _side_by_side(frames):
    import numpy as np

    return np.ascontiguousarray(np.concatenate(list(frames), axis=1))


def _report(face: ParentFace) -> None:
    """Says on stderr what a person should know about a photo."""
    if face.photo is None or face.chosen is None:
        return
    for note in face.photo.notes:
        print(f"{face.where}: note: {note}", file=sys.stderr)
    if len(face.photo.faces) > 1:
        print(
            f"{face.where}: note: {len(face.photo.faces)} faces were found, face {face.chosen.index} is used; "
            "--faces chooses another",
            file=sys.stderr,
        )
    for _, sentence in face.chosen.quality.warnings:
        print(f"{face.where}: warning: {sentence}", file=sys.stderr)


def _write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise RequestInvalid(
            f"cannot be written: {error.strerror}", hint="name a file in an existing, writable folder", where=str(path)
        ) from error


if __name__ == "__main__":
    main()
