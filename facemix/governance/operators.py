"""The people who sign in: their names, roles and passwords.

Passwords are hashed with Argon2id, by `argon2-cffi` with its defaults (RFC 9106, the second recommended choice). They
belong to people; the secrets of programs are API keys (`storage/keys.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from facemix.errors import RecordMissing, RequestInvalid
from facemix.governance.audit import ITSELF, AuditLog
from facemix.storage.database import Database
from facemix.storage.governance_tables import operators, sessions

Role = Literal["member", "reviewer", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)  # each may do what those before it may
LEAST_PASSWORD, MOST_PASSWORD = 12, 1024  # characters
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")
# What the audit log calls those who are nobody by name.
_TAKEN = frozenset((ITSELF, "command-line", "anonymous", "nobody"))


def may(role: str, wanted: Role) -> bool:
    """Whether somebody of that role may do what `wanted` may."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(wanted)


@dataclass(frozen=True)
class Operator:
    """A person who may sign in, unless `disabled_at`; the times are in UTC."""

    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True)
class Proof:
    """That somebody knew the password that had this hash; `Sessions.begin` looks whether it is still the one."""

    operator: str
    password_hash: str


_COLUMNS = (operators.c.name, operators.c.role, operators.c.created_at, operators.c.disabled_at)


class Operators:
    """The table. Thread-safe. What changes a person stands in the audit log, in the same transaction."""

    def __init__(self, database: Database, hasher: PasswordHasher | None = None) -> None:
        self._database = database
        self._audit = AuditLog(database)
        self._hasher = hasher or PasswordHasher()

    def create(self, name: str, password: str, role: Role, *, actor: str, now: datetime | None = None) -> None:
        """Adds a person.

        Args:
            name: 1 to 64 letters, digits, dots, dashes, underscores and @, starting with a letter or digit.
            password: at least 12 characters.
            actor: who does it, for the audit log.

        Raises:
            RequestInvalid: the name is malformed or taken, the password too easy, or there is no such role.
            StorageFull, StorageUnavailable: the database refused.
        """
        if not _NAME.match(name) or name.lower() in _TAKEN:
            raise RequestInvalid(
                f"{name[:80]!r} cannot name a person",
                hint="use 1 to 64 letters, digits, dots, dashes, underscores and @, starting with a letter or digit",
                where="name",
            )
        check_role(role)
        check_password(name, password)
        at = now or datetime.now(UTC)
        row = {"name": name, "password_hash": self._hasher.hash(password), "role": role, "created_at": at}
        try:
            with self._database.writing() as connection:
                self._audit.append_in(connection, actor, "operator.add", name, {"role": role}, now=at)
                connection.execute(insert(operators), row)
        except IntegrityError as error:
            raise RequestInvalid(
                f"there is a person {name!r} already", hint="choose another name, or set a password", where="name"
            ) from error

    def list(self) -> list[Operator]:
        """Everybody, those who are disabled too, by name. Raises `StorageUnavailable`."""
        with self._database.reading() as connection:
            rows = connection.execute(select(*_COLUMNS)).all()
        return sorted((Operator(*row) for row in rows), key=lambda one: one.name)  # databases collate differently

    def count(self, role: Role = "member") -> int:
        """How many enabled people may do what `role` may. Raises `StorageUnavailable`."""
        allowed = ROLES[ROLES.index(role) :]
        wanted = select(func.count()).where(operators.c.disabled_at.is_(None), operators.c.role.in_(allowed))
        with self._database.reading() as connection:
            return connection.execute(wanted).scalar_one()

    def has(self, name: str) -> bool:
        """Whether anybody has that name, disabled or not. Raises `StorageUnavailable`."""
        wanted = select(func.count()).where(operators.c.name == name)
        if not _NAME.match(name):
            return False
        with self._database.reading() as connection:
            return bool(connection.execute(wanted).scalar_one())

    def set_password(self, name: str, password: str, *, actor: str) -> None:
        """Sets a password and ends the person's sign-ins.

        Raises:
            RequestInvalid: the password is too easy.
            RecordMissing: there is no such person.
            StorageFull, StorageUnavailable: the database refused.
        """
        check_password(name, password)
        values = {"password_hash": self._hasher.hash(password)}
        self._change(name, values, actor, "operator.password", sign_out=True)

    def set_role(self, name: str, role: Role, *, actor: str) -> None:
        """It holds from the person's next request on.

        Raises:
            RequestInvalid: there is no such role.
            RecordMissing: there is no such person.
            StorageFull, StorageUnavailable: the database refused.
        """
        check_role(role)
        self._change(name, {"role": role}, actor, "operator.role", {"role": role})

    def disable(self, name: str, *, actor: str, now: datetime | None = None) -> None:
        """Ends the person's sign-ins and lets no further one begin. Raises as `set_role`."""
        self._change(name, {"disabled_at": now or datetime.now(UTC)}, actor, "operator.disable", sign_out=True)

    def enable(self, name: str, *, actor: str) -> None:
        """Lets a disabled person sign in again. Raises as `set_role`."""
        self._change(name, {"disabled_at": None}, actor, "operator.enable")

    def _change(
        self,
        name: str,
        values: dict[str, Any],
        actor: str,
        action: str,
        details: dict[str, Any] | None = None,
        *,
        sign_out: bool = False,
    ) -> None:
        missing = RecordMissing(f"there is no person {name[:80]!r}", hint="list the people to see their names")
        if not _NAME.match(name):
            raise missing
        with self._database.writing() as connection:
            # The audit's lock comes first, as everywhere, so that no two transactions wait for one another.
            self._audit.append_in(connection, actor, action, name, details)
            if not connection.execute(update(operators).where(operators.c.name == name).values(**values)).rowcount:
                raise missing  # which takes the row of the audit log back, too
            if sign_out:
                connection.execute(delete(sessions).where(sessions.c.operator == name))

    def check(self, name: str, password: str) -> Proof | None:
        """Whether that is the password of an enabled person. Takes as long, and as much memory, for a name that
        nobody has.

        Raises:
            StorageUnavailable: the database refused.
        """
        wanted = select(operators.c.password_hash).where(operators.c.name == name, operators.c.disabled_at.is_(None))
        known = None
        if _NAME.match(name):
            with self._database.reading() as connection:
                known = connection.execute(wanted).scalar_one_or_none()
        # A longer password than any that could be set matches none, and must not cost more to hash.
        given = password if len(password) <= MOST_PASSWORD else ""
        try:
            self._hasher.verify(known or _nobodys(self._hasher), given)
        except (VerificationError, InvalidHashError):
            return None
        if known is None:
            return None
        return Proof(name, self._renewed(name, given, known))

    def _renewed(self, name: str, password: str, known: str) -> str:
        """The hash by today's parameters, where that of the table was made by others."""
        if not self._hasher.check_needs_rehash(known):
            return known
        new = self._hasher.hash(password)
        still = (operators.c.name == name, operators.c.password_hash == known)
        with self._database.writing() as connection:
            changed = connection.execute(update(operators).where(*still).values(password_hash=new)).rowcount
        return new if changed else known


def still_proven(connection: Connection, proof: Proof) -> bool:
    """Whether the person is enabled and has the proven password still. Locks the row until the transaction ends."""
    wanted = select(operators.c.password_hash).where(
        operators.c.name == proof.operator, operators.c.disabled_at.is_(None)
    )
    return connection.execute(wanted.with_for_update()).scalar_one_or_none() == proof.password_hash


def check_role(role: str) -> None:
    """Raises `RequestInvalid` for what is no role."""
    if role not in ROLES:
        raise RequestInvalid(f"there is no role {role[:40]!r}", hint=f"the roles are {', '.join(ROLES)}", where="role")


def check_password(name: str, password: str) -> None:
    """Raises `RequestInvalid` for a password that is too short, too long, or the name."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise RequestInvalid(
            f"the password has {len(password)} characters",
            hint=f"take at least {LEAST_PASSWORD}, and at most {MOST_PASSWORD}: some words in a row are easy to keep",
            where="password",
        )
    if password.casefold() == name.casefold():
        raise RequestInvalid("the password is the name", hint="take another", where="password")
    if len(set(password)) < 4:
        raise RequestInvalid(
            "the password repeats the same few characters", hint="take some words in a row", where="password"
        )
    try:
        password.encode()
    except UnicodeEncodeError:
        raise RequestInvalid("the password is no text", hint="type it as UTF-8", where="password") from None


@cache
def _nobodys(hasher: PasswordHasher) -> str:
    """A hash by the same parameters that no password of anybody is compared with in earnest."""
    return hasher.hash("what nobody has chosen for a password")
