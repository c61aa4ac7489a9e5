"""Commands about API keys, the people who sign in, and the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facemix.settings import load_settings

if TYPE_CHECKING:
    from facemix.storage.database import Database

keys = typer.Typer(name="keys", help="Give out and revoke API keys.", no_args_is_help=True)
operators = typer.Typer(name="operators", help="Say who may sign in, and as what.", no_args_is_help=True)

ACTOR = "command line"  # in the audit log

Who = Annotated[str, typer.Argument(help="Name of the person.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]


@keys.command("add")
def keys_add(
    name: Annotated[str, typer.Argument(help="Who gets it; stands in the ledger.")],
    per_minute: Annotated[
        int | None, typer.Option(min=1, help="Requests for work per minute; default FACEMIX_RATE_PER_KEY.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it is good for: mix, faces, recipes, jobs, verify, usage; may be repeated. Default all."
        ),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; default never.")] = None,
    budget_day: Annotated[float | None, typer.Option(help="Most that its requests of a day may cost.")] = None,
    budget_month: Annotated[float | None, typer.Option(help="The same of a month.")] = None,
) -> None:
    """Make a key and print it. It is shown this once: only its hash is stored."""
    with _database() as database:
        from facemix.governance.keys import AuditedKeys

        made = AuditedKeys(database, ACTOR).add(
            name, per_minute, scopes=scope or None, days=days, budget_day=budget_day, budget_month=budget_month
        )
        print(made)


@keys.command("list")
def keys_list() -> None:
    """List all keys, without their secrets."""
    with _database() as database:
        from facemix.storage.keys import SCOPES, KeyStore

        found = KeyStore(database).list()
        limited = any(budget is not None for key in found for budget in (key.budget_day, key.budget_month))
        currency = _currency(database) if limited else ""
        for key in found:
            said = [f"made {key.created_at:%Y-%m-%d}"]
            state = "live"
            if key.revoked_at:
                state = f"revoked {key.revoked_at:%Y-%m-%d}"
            elif key.expires_at and not key.is_live():
                state = f"expired {key.expires_at:%Y-%m-%d}"
            elif key.expires_at:
                said.append(f"expires {key.expires_at:%Y-%m-%d}")
            said.append(
                "any key's rate" if key.requests_per_minute is None else f"{key.requests_per_minute} per minute"
            )
            if key.scopes is not None:
                said.append(f"good for {', '.join(word for word in SCOPES if word in key.scopes)}")
            for span, budget in (("day", key.budget_day), ("month", key.budget_month)):
                said += [] if budget is None else [f"{currency} {budget:g} per {span}"]
            print(f"{key.name}: {state}, {', '.join(said)}")


@keys.command("rotate")
def keys_rotate(name: Annotated[str, typer.Argument(help="Whose key.")]) -> None:
    """Give a key a new secret and print it. A running server lets the old one in for some seconds more."""
    with _database() as database:
        from facemix.governance.keys import AuditedKeys

        print(AuditedKeys(database, ACTOR).renew(name))


@keys.command("revoke")
def keys_revoke(name: Annotated[str, typer.Argument(help="Whose key.")]) -> None:
    """Revoke a key. A running server lets it in for some seconds more."""
    with _database() as database:
        from facemix.governance.keys import AuditedKeys

        AuditedKeys(database, ACTOR).end(name)


@operators.command("add")
def operators_add(
    name: Who,
    role: Annotated[str, typer.Option(help="member (mixes), reviewer (and reviews) or operator (everything).")],
    password_stdin: FromStdin = False,
) -> None:
    """Add a person who may sign in; asks for the password."""
    from facemix.governance.operators import Operators, check_password, check_role

    check_role(role)
    password = _password(password_stdin)
    check_password(name, password)
    with _database() as database:
        Operators(database).create(name, password, role, actor=ACTOR)  # type: ignore[arg-type]  # checked


@operators.command("list")
def operators_list() -> None:
    """List everybody who may sign in, and who no longer may."""
    with _database() as database:
        from facemix.governance.operators import Operators

        for one in Operators(database).list():
            state = f"disabled {one.disabled_at:%Y-%m-%d}" if one.disabled_at else "may sign in"
            print(f"{one.name}: {one.role}, {state}, added {one.created_at:%Y-%m-%d}")


@operators.command("password")
def operators_password(name: Who, password_stdin: FromStdin = False) -> None:
    """Set a person's password; asks for it. It ends the person's sign-ins."""
    password = _password(password_stdin)
    with _database() as database:
        from facemix.governance.operators import Operators

        Operators(database).set_password(name, password, actor=ACTOR)


@operators.command("role")
def operators_role(name: Who, role: Annotated[str, typer.Argument(help="member, reviewer or operator.")]) -> None:
    """Change what a person may do, from the next request on."""
    with _database() as database:
        from facemix.governance.operators import Operators

        Operators(database).set_role(name, role, actor=ACTOR)  # type: ignore[arg-type]  # it is looked at there


@operators.command("disable")
def operators_disable(name: Who) -> None:
    """End a person's sign-ins, and let no further one begin."""
    with _database() as database:
        from facemix.governance.operators import Operators

        Operators(database).disable(name, actor=ACTOR)


@operators.command("enable")
def operators_enable(name: Who) -> None:
    """Let a disabled person sign in again."""
    with _database() as database:
        from facemix.governance.operators import Operators

        Operators(database).enable(name, actor=ACTOR)


def _password(from_stdin: bool) -> str:
    """Twice from the terminal, without echo, or the first line of standard input.

    Raises:
        RequestInvalid: the two differ, or there is neither a terminal nor the option.
    """
    import getpass
    import sys

    from facemix.errors import RequestInvalid

    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise RequestInvalid(
            "there is no terminal to ask for the password on", hint="write it to standard input, with --password-stdin"
        )
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise RequestInvalid("the two passwords differ", hint="type the same twice")
    return first


def ledger(days: Annotated[int, typer.Option(min=1, help="So many days back.")] = 30) -> None:
    """Print what requests cost, by model and key."""
    from datetime import UTC, datetime, timedelta

    with _database() as database:
        from facemix.storage.ledger import Ledger

        for total in Ledger(database).totals(since=datetime.now(UTC) - timedelta(days=days)):
            who = f"{total.model_id or 'no model'}, {total.key_name or 'no key'}"
            print(
                f"{who}: {total.requests} requests, {total.refused} refused; {total.frames_encoded} frames encoded, "
                f"{total.frames_decoded} decoded, {total.device_seconds:.2f} s of the device, "
                f"{total.cpu_seconds:.2f} s of the processors"
            )


def _currency(database: Database) -> str:
    """That of the price table, in which budgets are."""
    from facemix.governance.prices import Prices, has_gpu

    return Prices(database, gpu=has_gpu(load_settings())).current().currency


def _database() -> Database:
    from facemix.web.run import open_database

    return open_database(load_settings())
