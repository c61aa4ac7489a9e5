"""The command that says what a file is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facemix.cli.accounts import _database
from facemix.cli.files import read_bytes
from facemix.errors import ImageError
from facemix.settings import load_settings

# What a verdict ends with; docs/cli.md has them.
KNOWN, UNKNOWN, CHANGED = 0, 1, 13
_STATUSES = {"signed": KNOWN, "marked": KNOWN, "changed": CHANGED, "signed_elsewhere": UNKNOWN, "nothing": UNKNOWN}


def verify(
    file: Annotated[Path, typer.Argument(help="A picture, a GIF or an MP4, as it was received.")],
) -> None:
    """Say whether a file was made by this installation, and whether it was changed since."""
    from functools import partial

    from facemix.governance.secrets import open_secrets
    from facemix.imaging.decode import DecodeLimits
    from facemix.safety.credentials import open_signer
    from facemix.safety.known import known_recipes, uses_of
    from facemix.safety.marking import Marker
    from facemix.safety.verify import verify as look

    settings = load_settings()
    data = read_bytes(file, settings.max_upload_bytes)
    # Whatever is put on results now, those of before are known again.
    marker = Marker(label=False, mark=False, credentials=open_signer(settings), secrets=open_secrets(settings))
    with _database() as database:
        try:
            verdict = look(data, marker, partial(known_recipes, database), DecodeLimits.from_settings(settings))
        except ImageError as error:
            raise error.at(str(file)) from None
        verdict = verdict.dated(partial(uses_of, database))
    print(f"{file}: {verdict.title}")
    for sentence in verdict.sentences():
        print(sentence)
    if verdict.recipe_hash is not None:
        print(f"recipe {verdict.recipe_hash}")
    raise typer.Exit(_STATUSES[verdict.kind])
