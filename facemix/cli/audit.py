"""Commands about the audit log."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from facemix.errors import RequestInvalid
from facemix.settings import load_settings

if TYPE_CHECKING:
    from facemix.governance.audit import AuditLog
    from facemix.storage.database import Database

BROKEN = 1  # exit status
_KEPT = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})\Z")

audit = typer.Typer(name="audit", help="What was done to this installation, and by whom.", no_args_is_help=True)


@audit.command("list")
def audit_list(
    most: Annotated[int, typer.Option(min=1, max=10_000, help="So many rows at most.")] = 50,
    before: Annotated[int | None, typer.Option(min=1, help="Only rows below this number.")] = None,
) -> None:
    """List what was done, the newest first."""
    from facemix.governance.audit import AuditLog

    with _database() as database:
        for row in AuditLog(database).list(most, before):
            details = json.dumps(row.details, ensure_ascii=True, sort_keys=True)
            print(
                f"{row.number} {row.at:%Y-%m-%d %H:%M:%S} UTC {row.actor}: {row.action} {row.subject or '-'} {details}"
            )


@audit.command("verify")
def audit_verify(
    kept: Annotated[
        str | None, typer.Option(help="A row's number and hash that you kept elsewhere, as 17:3f0c...; must be there.")
    ] = None,
) -> None:
    """Check that no row was changed, taken out or put in. Status 1 if one was; prints the newest hash, to be kept."""
    from facemix.governance.audit import AuditLog

    if kept is not None and not _KEPT.match(kept):
        raise RequestInvalid(f"{kept[:100]!r} is no row", hint="write NUMBER:HASH as it was printed", where="--kept")
    with _database() as database:
        log = AuditLog(database)
        found = log.verify()
        broken = found.broken or (_missing(log, kept) if kept is not None else None)
    print(f"{found.rows} rows are right; the newest is {found.rows}:{found.newest}")
    if broken is not None:
        print(f"facemix: the audit log is broken: {broken}", file=sys.stderr)
        raise typer.Exit(BROKEN)


def _missing(log: AuditLog, kept: str) -> str | None:
    number, _, wanted = kept.partition(":")
    rows = log.list(1, before=int(number) + 1)
    if rows and rows[0].number == int(number) and rows[0].hash == wanted:
        return None
    return f"row {number} does not have the hash that was kept"


def _database() -> Database:
    from facemix.web.run import open_database

    return open_database(load_settings())
