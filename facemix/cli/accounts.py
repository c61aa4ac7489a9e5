"""Commands about API keys and the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facemix.settings import load_settings

if TYPE_CHECKING:
    from facemix.storage.database import Database

keys = typer.Typer(name="keys", help="Give out and revoke API keys.", no_args_is_help=True)


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
