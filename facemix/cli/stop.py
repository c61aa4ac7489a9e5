"""The kill switch: stopping generation in every worker, and letting it go on."""

from __future__ import annotations

from typing import Annotated

import typer

from facemix.errors import RequestInvalid

ACTOR = "command line"


def stop(
    reason: Annotated[str, typer.Option(help="Why; everybody who asks for a face reads it.")],
) -> None:
    """Stop generation in every worker, within seconds. Servers go on answering everything else."""
    from facemix.cli.accounts import _database
    from facemix.governance.controls import MOST_REASON, Controls

    said = " ".join(reason.split())
    if not 1 <= len(said) <= MOST_REASON:
        raise RequestInvalid(
            f"the reason has {len(said)} characters", hint=f"say in 1 to {MOST_REASON} why", where="--reason"
        )
    with _database() as database:
        Controls(database).kill(said, actor=ACTOR)
    print("generation is stopped; every worker hears of it within two seconds. Go on with `facemix resume`")


def resume() -> None:
    """Let generation go on after `facemix stop`."""
    from facemix.cli.accounts import _database
    from facemix.governance.controls import Controls

    with _database() as database:
        Controls(database).resume(actor=ACTOR)
    print("generation goes on")
