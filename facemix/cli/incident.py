"""The command that gathers what a post-mortem needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from facemix.errors import RequestInvalid
from facemix.settings import load_settings

HOURS = 24


def incident(
    out: Annotated[Path, typer.Option(help="The archive to write, a .zip file.")],
    since: Annotated[
        str | None, typer.Option(help="From when on, as 2026-11-21T08:00; UTC unless it says otherwise.")
    ] = None,
    hours: Annotated[float | None, typer.Option(min=0.01, max=24 * 3660, help="Or so many hours back.")] = None,
) -> None:
    """Gather what a post-mortem needs into one archive, without a photograph, a latent or a secret."""
    from facemix.cli.files import write
    from facemix.governance.incident import gather
    from facemix.serving.doctor import examine
    from facemix.storage.database import Database
    from facemix.storage.engine import default_url

    if since is not None and hours is not None:
        raise RequestInvalid("both --since and --hours are given", hint="give one of them", where="--since")
    if out.suffix.lower() != ".zip":
        raise RequestInvalid(f"{out} is no .zip file", hint="name one that ends in .zip", where="--out")
    now = datetime.now(UTC)
    start = now - timedelta(hours=hours or HOURS) if since is None else _moment(since)
    if start > now:
        raise RequestInvalid(f"{since} lies ahead", hint="name a time that has passed", where="--since")
    settings = load_settings()
    findings = [
        {"check": one.check, "verdict": one.verdict, "message": one.message, "hint": one.hint}
        for one in examine(settings)
    ]
    # Not upgraded: a database is looked at as it was found.
    with Database.open(settings.database_url or default_url(settings.data_dir)) as database:
        archive = gather(settings, database, since=start, now=now, findings=findings)
    write(out, archive)
    print(
        f"{out}: {len(archive)} bytes, from {start:%Y-%m-%d %H:%M} UTC on; read README.txt in it before you pass it on"
    )


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RequestInvalid(
            f"{text[:60]!r} is no time", hint="write it as 2026-11-21T08:00", where="--since"
        ) from None
