"""Commands about the models that a server may answer with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facemix.settings import load_settings

if TYPE_CHECKING:
    from facemix.governance.model_version import ModelVersion
    from facemix.governance.registry import Registry

ACTOR = "command line"

models = typer.Typer(name="models", help="Say which models answer, and go back.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="MODEL", help="Its name, name@hash, or the beginning of the hash.")]


@models.command("add")
def models_add(
    folder: Annotated[Path, typer.Argument(help="A checkpoint: model.safetensors and card.json.")],
) -> None:
    """Make a checkpoint a candidate. Its folder must stay where it is."""
    with _registry() as registry:
        _print_line(registry.add(folder, actor=ACTOR))


@models.command("list")
def models_list() -> None:
    """List all models, the default first."""
    with _registry() as registry:
        for version in registry.list():
            _print_line(version)


@models.command("show")
def models_show(model: Which) -> None:
    """Show one model: its terms, where it lies, and what was measured of it."""
    with _registry() as registry:
        version = registry.show(model)
    _print_line(version)
    print(f"  weights: {version.weights}")
    print(f"  latent schema: {version.latent_schema}")
    print(f"  folder: {version.folder}")
    print(f"  licence: {version.licence}")
    print(f"  added {version.added_at:%Y-%m-%d %H:%M} UTC, changed {version.changed_at:%Y-%m-%d %H:%M} UTC")
    if version.former is not None:
        print(f"  before it: {version.former[:12]}")
    if version.measured is None:
        print("  measured: nothing; a promotion needs a results file")
        return
    measured = version.measured
    print(f"  measured: {measured.faces} faces and {measured.pairs} mid-points of {measured.data}")
    if measured.conditions:
        print(f"  promoted on: {', '.join(measured.conditions)}")
    both = measured.figure("identity_both")
    if both is not None:
        print(f"  mid-points taken for both parents: {100 * both:.1f} % (the risk of a portrait that passes for two)")
    for name, value in sorted({**measured.figures, **measured.milliseconds}.items()):
        print(f"  {name}: {value:g}")


@models.command("promote")
def models_promote(
    model: Which,
    results: Annotated[
        Path | None, typer.Option(help="Its results file; default results.json in its folder.", dir_okay=False)
    ] = None,
    require: Annotated[
        list[str] | None, typer.Option(help='What a figure must meet, as "identity_distance<=0.4"; may be repeated.')
    ] = None,
    default: Annotated[
        bool, typer.Option("--default/--no-default", help="Whether it also answers whoever names no model.")
    ] = True,
) -> None:
    """Let a model go live, in the place of the live one of its name. Needs what was measured of it."""
    with _registry() as registry:
        _print_line(registry.promote(model, actor=ACTOR, results=results, require=require or (), default=default))


@models.command("rollback")
def models_rollback() -> None:
    """Make the default before the present one the default again."""
    with _registry() as registry:
        _print_line(registry.rollback(actor=ACTOR))


@models.command("retire")
def models_retire(model: Which) -> None:
    """Let a model answer nobody any more."""
    with _registry() as registry:
        _print_line(registry.retire(model, actor=ACTOR))


@models.command("share")
def models_share(
    model: Which,
    share: Annotated[float, typer.Argument(help="Of the clients, 0 to 1.")],
) -> None:
    """Let a candidate answer a share of the clients. Each stays with the same model."""
    with _registry() as registry:
        _print_line(registry.set_share(model, share, actor=ACTOR))


@contextmanager
def _registry() -> Iterator[Registry]:
    from facemix.cli.accounts import _database
    from facemix.governance.registry import Registry

    settings = load_settings()
    if settings.checkpoint is not None:
        print(
            f"facemix: FACEMIX_CHECKPOINT is {settings.checkpoint}: servers with this setting answer with that alone, "
            "whatever is said here",
            file=sys.stderr,
        )
    with _database() as database:
        yield Registry(database)


def _print_line(version: ModelVersion) -> None:
    status = str(version.status)
    if version.is_default:
        status += ", default"
    if version.share:
        status += f", {100 * version.share:g} % of the clients"
    print(f"{version.id}: {status}")
