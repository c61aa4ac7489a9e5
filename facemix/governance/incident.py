"""What a post-mortem needs, in one archive: figures, decisions, settings and rows, and nothing that shows a person.

Left out, by name or by shape: pictures and latents in every form, secrets and hashes of secrets, passwords inside of
addresses, idempotency keys, what people have written in free text, and the ids of links that still open something.
A part that cannot be had leaves its reason in its place, and costs no other.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import platform
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import URL, ColumnElement, Select, Table, func, make_url, select
from sqlalchemy.exc import ArgumentError

import facemix
from facemix.errors import FacemixError
from facemix.governance.audit import AuditLog
from facemix.governance.controls import Controls
from facemix.governance.review_rows import select_reviews
from facemix.settings import Settings
from facemix.storage import migrate
from facemix.storage.database import Database
from facemix.storage.governance_tables import audit, controls, models, operators, prices, protected, reviews, sessions
from facemix.storage.tables import keys, ledger, recipes, shelf

MOST_ROWS = 100_000  # of one table
LONGEST_TEXT = 200  # characters; an encoded latent or picture has thousands
MOST_NUMBERS = 16
LEFT_OUT = "left out"
_PACKAGES = ("torch", "openvino", "onnxruntime", "pillow", "fastapi", "sqlalchemy", "cryptography", "numpy")
# Members of a conditioning record or of an audit row that hold a face, or lead to one.
_NAMES = frozenset(("z", "latent", "latents", "image", "picture", "crop", "embedding", "points", "prompt", "text"))
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*(?=://)")
_USER = re.compile(r"(?<=//).*@", re.DOTALL)  # to the last one: a password may hold any character, unescaped
_NOT_OF_LEDGER = frozenset(("idempotency_key", "record"))
_OF_REVIEWS = (
    *("id", "request_id", "state", "version", "trigger", "owner", "model_id", "recipe_hash", "released"),
    *("media_type", "created_at", "due_at", "expires_at", "claimed_by", "decided_by", "decided_at", "reason"),
)
_OF_MODELS = (
    *(
        "weights",
        "name",
        "folder",
        "latent_schema",
        "status",
        "is_default",
        "share",
        "added_at",
        "changed_at",
        "former",
    ),
)
README = """\
Gathered by `facemix incident` {version} at {now}, from {since} on.

In it: version, settings, findings of the doctor, schema, sums and rows of the ledger, audit log and whether its chain
holds, reviews, models, prices, controls, and how much is stored.

Not in it: photographs, results, latents, embeddings; keys, passwords, tokens, secrets, or hashes of them; idempotency
keys; what people wrote in reports, appeals and notes; ids of saved recipes.

In it all the same, so look before you pass it on: names of API keys and of people who sign in, ids of requests, which
clients may have chosen, paths and host names of this installation, and why it was stopped, as an operator wrote it.
"""


def gather(
    settings: Settings,
    database: Database,
    *,
    since: datetime,
    now: datetime,
    findings: Iterable[Mapping[str, Any]] = (),
) -> bytes:
    """A ZIP archive.

    Args:
        since: from when on rows are of interest; aware.
        findings: of the doctor.
    """
    parts: dict[str, Callable[[], Any]] = {
        "version.json": _version,
        "settings.json": lambda: masked(settings),
        "doctor.json": lambda: [dict(finding) for finding in findings],
        "schema.json": lambda: _schema(database),
        "ledger-sums.json": lambda: _sums(database, since),
        "ledger.jsonl": lambda: _ledger(database, since),
        "audit.jsonl": lambda: _rows(database, select(audit), audit.c.at >= since, _audit_row, audit.c.number),
        "audit-check.json": lambda: asdict(AuditLog(database).verify()),
        "reviews.jsonl": lambda: _rows(database, select_reviews(), _recent(since), _review_row, reviews.c.created_at),
        "models.json": lambda: list(_rows(database, select(models), None, _of(_OF_MODELS), models.c.added_at)),
        "prices.json": lambda: list(_rows(database, select(prices), None, dict, prices.c.version)),
        "controls.json": lambda: _controls(database),
        "stored.json": lambda: _stored(database),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", README.format(version=facemix.__version__, now=now, since=since))
        for name, part in parts.items():
            _write(archive, name, part)
    return buffer.getvalue()


def _write(archive: zipfile.ZipFile, name: str, part: Callable[[], Any]) -> None:
    try:
        made = part()
        with archive.open(name, "w", force_zip64=True) as file:
            if name.endswith(".jsonl"):
                for row in made:
                    file.write(_json(row) + b"\n")
            else:
                file.write(_json(made, indent=1))
    except FacemixError as error:
        archive.writestr(f"{name}.failed.txt", f"{error.code}: {error.message}\n")


def _json(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, ensure_ascii=True, default=_plain, indent=indent).encode()


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return LEFT_OUT  # bytes above all


def masked(settings: Settings) -> dict[str, Any]:
    """The settings, with secrets, and what stands for a person or a password in an address, left out."""
    found: dict[str, Any] = {}
    for name in sorted(type(settings).model_fields):
        value = getattr(settings, name)
        if isinstance(value, SecretStr) or name == "s3_access_key_id":
            value = None if value is None else LEFT_OUT
        elif isinstance(value, str):
            value = _masked_database(value) if name == "database_url" else _masked_address(value)
        found[name] = value
    return found


def _masked_database(address: str) -> str:
    """Without user, password and query. Only the scheme of what is not read as whoever wrote it may have meant it."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        return _scheme_of(address)
    if address.count("@") != (url.username is not None):
        return _scheme_of(address)  # one of them belongs to a password, whose end would be taken for the host
    plain = URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()
    return plain if url.username is None else plain.replace("://", "://***@", 1)


def _masked_address(address: str) -> str:
    """Without user and password, nor anything after the path: collectors also take tokens there."""
    head, _, tail = address.partition("?")
    if "@" in tail and "//" in head:
        return _scheme_of(address)  # a password with a question mark, or a token with an @
    return _USER.sub("***@", head).partition("#")[0]


def _scheme_of(address: str) -> str:
    found = _SCHEME.match(address)
    return LEFT_OUT if found is None else f"{found[0]}://{LEFT_OUT}"


def scrubbed(value: Any) -> Any:
    """JSON without whatever could be a face: long texts, many numbers, and members that are called so."""
    if isinstance(value, dict):
        return {key: LEFT_OUT if key in _NAMES else scrubbed(item) for key, item in value.items()}
    if isinstance(value, list):
        if len(value) > MOST_NUMBERS and all(isinstance(item, int | float) for item in value):
            return f"{LEFT_OUT}: {len(value)} numbers"
        return [scrubbed(item) for item in value]
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{LEFT_OUT}: {len(value)} characters"
    return value


def _version() -> dict[str, Any]:
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            packages[name] = None
    return {
        "facemix": facemix.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
    }


def _schema(database: Database) -> dict[str, Any]:
    found, newest = migrate.revisions(database.engine)
    return {"database": database.engine.dialect.name, "revision": found, "newest": newest}


def _sums(database: Database, since: datetime) -> list[dict[str, Any]]:
    columns = ledger.c
    by = (columns.route, columns.outcome, columns.error_code, columns.reason, columns.model_id)
    sums = (columns.frames_encoded, columns.frames_decoded, columns.device_seconds, columns.cpu_seconds)
    sums += (columns.bytes_in, columns.bytes_out, columns.cost)
    wanted = (
        select(
            *by,
            func.count().label("requests"),
            func.max(columns.milliseconds).label("slowest_ms"),
            *(func.sum(column).label(column.name) for column in sums),
        )
        .where(columns.at >= since)
        .group_by(*by)
        .order_by(func.count().desc())
    )
    with database.reading() as connection:
        return [_numbers(row) for row in connection.execute(wanted).mappings()]


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """PostgreSQL sums big integers to decimals."""
    return {
        name: value if value is None or isinstance(value, str | float | int) else int(value)
        for name, value in row.items()
    }


def _ledger(database: Database, since: datetime) -> Iterator[Any]:
    def told(row: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in row.items() if name not in _NOT_OF_LEDGER}
        kept["stage_ms"] = _read(row["stage_ms"])
        kept["record"] = scrubbed(_read(row["record"]))
        return kept

    return _rows(database, select(ledger), ledger.c.at >= since, told, ledger.c.at)


def _read(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return f"{LEFT_OUT}: no JSON"


def _audit_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "details": scrubbed(_read(row["details"]))}


def _recent(since: datetime) -> ColumnElement[bool]:
    return (reviews.c.created_at >= since) | (reviews.c.decided_at >= since)


def _review_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Of a report even the detail is somebody's own words; of the others the program's."""
    own = row["trigger"] != "report"
    subject = row["subject"]
    return {
        **_of(_OF_REVIEWS)(row),
        "detail": scrubbed(row["detail"]) if own else LEFT_OUT,
        "has_picture": bool(row["has_picture"]),
        "appealed": row["appeal"] is not None,
        "subject": None if subject is None else hashlib.sha256(subject.encode()).hexdigest()[:16],
    }


def _of(names: Sequence[str]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda row: {name: row[name] for name in names}


def _rows(
    database: Database,
    query: Select[Any],
    wanted: ColumnElement[bool] | None,
    told: Callable[[Mapping[str, Any]], dict[str, Any]],
    order: ColumnElement[Any],
) -> Iterator[dict[str, Any]]:
    """The newest `MOST_ROWS`, the oldest of them last."""
    query = query.order_by(order.desc()).limit(MOST_ROWS)
    if wanted is not None:
        query = query.where(wanted)
    with database.reading() as connection:
        for row in connection.execution_options(yield_per=500).execute(query).mappings():
            yield told(row)


def _controls(database: Database) -> dict[str, Any]:
    with database.reading() as connection:
        rows = connection.execute(select(controls.c.name, controls.c.version, controls.c.changed_at)).mappings().all()
    return {"kill_switch": asdict(Controls(database).kill_switch()), "controls": [dict(row) for row in rows]}


def _stored(database: Database) -> dict[str, Any]:
    """How much of everything, and nothing of it."""
    size = func.coalesce(func.sum(func.length(shelf.c.data)), 0)
    with database.reading() as connection:

        def count(table: Table, *conditions: ColumnElement[bool]) -> int:
            return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()

        def counts(table: Table, by: ColumnElement[Any]) -> dict[str, int]:
            return {str(row[0]): row[1] for row in connection.execute(select(by, func.count()).group_by(by))}

        kinds = connection.execute(select(shelf.c.kind, func.count(), size).group_by(shelf.c.kind)).all()
        return {
            "shelf": {row[0]: {"things": row[1], "bytes": int(row[2])} for row in kinds},
            "recipes": count(recipes),
            "recipes_with_a_picture": count(recipes, recipes.c.picture.is_not(None)),
            "ledger_rows": count(ledger),
            "audit_rows": count(audit),
            "reviews": counts(reviews, reviews.c.state),
            "pictures_held": count(reviews, reviews.c.picture.is_not(None)),
            "protected_people": count(protected),
            "keys": count(keys, keys.c.revoked_at.is_(None)),
            "keys_revoked": count(keys, keys.c.revoked_at.is_not(None)),
            "people": counts(operators, operators.c.role),
            "sessions": count(sessions),
        }
