"""The command line: thin commands over the rooms below.

Everything heavy is imported inside the commands, so that ``facemix --help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any, NoReturn

import typer

from facemix import __version__
from facemix.cli import (
    accounts,
    audit,
    batching,
    costs,
    explaining,
    faces,
    gate,
    geometry,
    guard,
    incident,
    mixing,
    models,
    neighbours,
    pictures,
    receipts,
    review,
    serving,
    stop,
    training,
    verify,
)
from facemix.errors import ConfigError, FacemixError, located
from facemix.settings import load_settings

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
        _complain(located(error.where, error.message), error.hint)
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
        unknown = hasattr(error, "possibilities")  # an option that there is not, or what passes for one
        further = "; write -- before a name or an id that begins with a hyphen" if unknown else ""
        _complain(message, f"`{command} --help` shows how it is used{further}")
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


for command in (
    mixing.mix,
    mixing.replay,
    pictures.grid,
    pictures.animate,
    batching.batch,
    batching.sample,
    faces.faces,
    faces.attributes,
    explaining.explain,
    serving.serve,
    stop.stop,
    stop.resume,
    accounts.ledger,
    training.prepare,
    training.train,
    training.sharpen,
    training.directions,
    geometry.geometry,
    neighbours.neighbours,
    training.evaluate,
    training.fit_checks,
    gate.gate,
    serving.doctor,
    receipts.receipt,
    incident.incident,
    verify.verify,
):
    app.command()(command)
app.add_typer(models.models)
app.add_typer(accounts.keys)
app.add_typer(review.review)
app.add_typer(audit.audit)
app.add_typer(costs.costs)
app.add_typer(accounts.operators)
app.add_typer(guard.guard)


if __name__ == "__main__":
    main()
