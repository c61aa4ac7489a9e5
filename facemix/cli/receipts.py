"""Reading receipts of deletions."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from facemix.errors import RequestInvalid
from facemix.settings import load_settings


def receipt(
    text: Annotated[str, typer.Argument(help="The receipt as it stood in the header, or - to read it from stdin.")],
    identity: Annotated[str | None, typer.Option("--id", help="Check that it is about the thing of this id.")] = None,
) -> None:
    """Check that a receipt of a deletion was given out by this installation, and print what it says."""
    from facemix.governance.receipts import Receipts
    from facemix.governance.secrets import open_secrets

    given = sys.stdin.read() if text == "-" else text
    read = Receipts(open_secrets(load_settings())).read(given)
    if identity is not None and not read.is_of(identity):
        raise RequestInvalid("the receipt is about something else", hint="compare the id with that which was deleted")
    print(f"{read.kind} with the id of SHA-256 {read.id_sha256}: deleted {read.deleted_at:%Y-%m-%d %H:%M:%S} UTC")
