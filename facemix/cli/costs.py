"""Commands about what requests cost."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facemix.cli.accounts import _database

if TYPE_CHECKING:
    from facemix.governance.costs import Line, Report
    from facemix.governance.prices import PriceTable

costs = typer.Typer(name="costs", help="What requests cost, and the prices behind it.", no_args_is_help=True)


@costs.command("report")
def report(
    days: Annotated[int, typer.Option(min=1, max=36500, help="So many days, today included.")] = 30,
    by: Annotated[Literal["day", "model", "key", "outcome"], typer.Option(help="What to add up by.")] = "day",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what was spent, what a thousand mixes cost, and where the month goes."""
    with _database() as database:
        from facemix.governance.costs import Costs

        found = Costs(database).report(days, by)
    if as_json:
        print(json.dumps(dataclasses.asdict(found), default=lambda value: value.isoformat(), indent=2))
    else:
        _print(found)


@costs.command("prices")
def prices(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print every version of the price table, the newest first."""
    with _database() as database:
        from facemix.governance.prices import Prices, has_gpu
        from facemix.settings import load_settings

        store = Prices(database, gpu=has_gpu(load_settings()))
        store.current()  # makes the first version where there is none
        found = store.list()
    if as_json:
        print(json.dumps([dataclasses.asdict(one) for one in found], default=lambda at: at.isoformat(), indent=2))
        return
    for table in found:
        print(_prices(table))


@costs.command("set-prices")
def set_prices(
    cpu_second: Annotated[float | None, typer.Option(help="Price of a second of one processor thread.")] = None,
    device_second: Annotated[float | None, typer.Option(help="Price of a second of the GPU; 0 without one.")] = None,
    gigabyte: Annotated[float | None, typer.Option(help="Price of 10^9 bytes, in and out together.")] = None,
    currency: Annotated[str | None, typer.Option(help="Code of three letters, as EUR.")] = None,
) -> None:
    """Make the next version of the price table; what is not named stays as it is. Servers take it within seconds."""
    if cpu_second is None and device_second is None and gigabyte is None and currency is None:
        raise typer.BadParameter("name at least one price, or a currency")
    with _database() as database:
        from facemix.governance.prices import Prices, has_gpu
        from facemix.settings import load_settings

        made = Prices(database, gpu=has_gpu(load_settings())).set(
            actor="command line",
            cpu_second=cpu_second,
            device_second=device_second,
            gigabyte=gigabyte,
            currency=currency,
        )
    print(_prices(made))


def _prices(table: PriceTable) -> str:
    from facemix.governance.costs import figure

    return (
        f"version {table.version}, from {table.created_at:%Y-%m-%d %H:%M} UTC: {table.currency} "
        f"{figure(table.cpu_second)} per CPU-second, {figure(table.device_second)} per device-second, "
        f"{figure(table.gigabyte)} per GB"
    )


def _print(found: Report) -> None:
    from facemix.governance.costs import figure

    if not found.lines:
        print(f"no request since {found.since:%Y-%m-%d}")
        return
    for line in found.lines:
        print(_line(line.name or f"no {found.by}", line))
    for total in found.totals:
        print(_line("in all", total))
    for mix in found.mixes:
        print(
            f"a thousand mixes: {mix.currency} {figure(mix.per_thousand)}; {figure(mix.with_all)} with what all else "
            f"costs shared out to them ({mix.mixes} mixes)"
        )
    for one in found.forecast:
        print(
            f"this month: {one.currency} {figure(one.spent)} so far; {figure(one.month)} at its end, "
            f"if it goes on like the last {one.days:.1f} days"
        )


def _line(name: str, line: Line) -> str:
    from facemix.governance.costs import figure

    money = "without a price" if line.currency is None else f"{line.currency} {figure(line.cost)}"
    return (
        f"{name}: {money}; {line.requests} requests, {line.cpu_seconds:.1f} CPU-seconds, {line.device_seconds:.1f} "
        f"device-seconds, {line.bytes_in / 1e6:.1f} MB in, {line.bytes_out / 1e6:.1f} MB out"
    )
