"""What work costs: a table of prices in versions. A version is never changed, only followed by the next, so that every
row of the ledger can be reckoned again from the version that it names."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import RowMapping, insert, select
from sqlalchemy.exc import IntegrityError

from facemix.errors import RecordMissing, RequestInvalid
from facemix.governance.audit import AuditLog
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.storage.governance_tables import prices

GIGABYTE = 10**9
MOST_PRICE = 1e6  # per second or gigabyte
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_TRIES = 5

# Version 1 until an operator sets another: what large clouds ask for by list, rounded; `docs/costs.md` says which.
CURRENCY = "USD"
CPU_SECOND = 0.048 / 3600
GPU_SECOND = 0.526 / 3600
PER_GIGABYTE = 0.09
_GPU = Path("/dev/nvidiactl")


@dataclass(frozen=True)
class PriceTable:
    """One version.

    Attributes:
        version: counted from 1.
        currency: three capital letters (ISO 4217).
        cpu_second: price of a second of one processor thread.
        device_second: price of a second of the device beside the processors that it is driven by; 0 without a GPU.
        gigabyte: price of 10^9 bytes of bodies, of what comes in and what goes out together.
        created_at: in UTC.
    """

    version: int
    currency: str
    cpu_second: float
    device_second: float
    gigabyte: float
    created_at: datetime

    def cost(self, cpu_seconds: float, device_seconds: float, bytes: int) -> float:
        """What that much costs, in the table's currency."""
        return self.cpu_second * cpu_seconds + self.device_second * device_seconds + self.gigabyte * (bytes / GIGABYTE)


class Prices:
    """The table of versions. Thread-safe; several processes may share it.

    Args:
        gpu: whether the first version, if there is none yet, has a price for the device.
    """

    def __init__(self, database: Database, *, gpu: bool = False) -> None:
        self._database, self._gpu = database, gpu
        self._audit = AuditLog(database)

    def current(self) -> PriceTable:
        """The newest version; the first is made where there is none.

        Raises:
            StorageFull, StorageUnavailable: the database refused.
        """
        found = self._newest()
        if found is None:
            first = PriceTable(1, CURRENCY, CPU_SECOND, GPU_SECOND if self._gpu else 0.0, PER_GIGABYTE, _now())
            self._database.insert_missing(prices, [vars(first)])
            found = self._newest() or first
        return found

    def at(self, version: int) -> PriceTable:
        """One version.

        Raises:
            RecordMissing: there is none of that number.
            StorageUnavailable: the database refused.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(prices).where(prices.c.version == version)).mappings().one_or_none()
        if row is None:
            raise RecordMissing(f"there is no price table {version}", hint="the versions are counted from 1")
        return _read(row)

    def list(self) -> list[PriceTable]:
        """Every version, the newest first.

        Raises:
            StorageUnavailable: the database refused.
        """
        with self._database.reading() as connection:
            rows = connection.execute(select(prices).order_by(prices.c.version.desc())).mappings().all()
        return [_read(row) for row in rows]

    def set(
        self,
        *,
        actor: str,
        currency: str | None = None,
        cpu_second: float | None = None,
        device_second: float | None = None,
        gigabyte: float | None = None,
        now: datetime | None = None,
    ) -> PriceTable:
        """Makes the next version, with a row in the audit log; what is None stays as it is. Servers take it within
        seconds.

        Raises:
            RequestInvalid: a price is below 0, not finite or absurd, or the currency no code of three letters.
            StorageFull, StorageUnavailable: the database refused; nothing was changed.
        """
        given = {"cpu_second": cpu_second, "device_second": device_second, "gigabyte": gigabyte}
        for name, price in given.items():
            if price is not None and not (math.isfinite(price) and 0 <= price <= MOST_PRICE):
                raise RequestInvalid(f"{name} is {price}", hint=f"give a price from 0 to {MOST_PRICE:g}", where=name)
        if currency is not None and not _CURRENCY.match(currency):
            raise RequestInvalid(
                f"{currency[:20]!r} is no currency", hint="give its code of three letters, as EUR", where="currency"
            )
        changes = {name: value for name, value in {**given, "currency": currency}.items() if value is not None}
        for last in (*(False,) * _TRIES, True):
            former = self.current()
            new = PriceTable(**{**vars(former), **changes, "version": former.version + 1, "created_at": now or _now()})
            told = {name: getattr(new, name) for name in ("currency", *given)}
            try:
                with self._database.writing() as connection:
                    self._audit.append_in(connection, actor, "prices.set", str(new.version), told, now=now)
                    connection.execute(insert(prices), vars(new))
                return new
            except IntegrityError:  # somebody else has made a version in this very moment
                if last:
                    raise
        raise AssertionError("the last try answers or raises")

    def _newest(self) -> PriceTable | None:
        with self._database.reading() as connection:
            wanted = select(prices).order_by(prices.c.version.desc()).limit(1)
            row = connection.execute(wanted).mappings().one_or_none()
        return None if row is None else _read(row)


def has_gpu(settings: Settings) -> bool:
    """Whether the model will run on a GPU, as far as that is known without the libraries that drive one."""
    return settings.device == "cuda" or (settings.device == "auto" and _GPU.exists())


def _read(row: RowMapping) -> PriceTable:
    return PriceTable(**row)


def _now() -> datetime:
    return datetime.now(UTC)
