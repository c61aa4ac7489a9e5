"""The application with a database, people who sign in, and a queue of reviews."""

import re
from contextlib import contextmanager
from datetime import UTC, datetime

from argon2 import PasswordHasher
from fake_mixer import FakeMixer
from web_client import running

from facemix.governance.operators import Operators, Proof
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.storage.governance_tables import operators
from facemix.web.governed import Governed
from facemix.web.origins import SESSION_COOKIE
from facemix.web.stores import Stores

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Reviewing:
    """One such application; `queue` is its reviews."""

    def __init__(self, client, governed):
        self.client, self.governed, self.queue = client, governed, governed.reviews

    def person(self, name, role):
        """Somebody who is signed in."""
        password = f"long words of {name}"
        Operators(self.governed.database, CHEAP).create(name, password, role, actor="command line")
        with self.governed.database.reading() as connection:
            wanted = operators.select().where(operators.c.name == name)
            proof = Proof(name, connection.execute(wanted).mappings().one()["password_hash"])
        token, session = self.governed.sessions.begin(proof)
        return Person(self.client, token, session.csrf)

    def held(self, trigger="guard", **given):
        given = {"picture": b"PICTURE" * 30, "media_type": "image/png", "model_id": "m@1", **given}
        return self.queue.hold("request-1", trigger, "near to somebody", **given)

    def actions(self):
        return [(row.actor, row.action) for row in reversed(self.governed.audit.list())]


class Person:
    def __init__(self, client, token, csrf):
        self.client, self.csrf = client, csrf
        self.headers = {**HTML, "Cookie": f"{SESSION_COOKIE}={token}"}

    def get(self, path):
        return self.client.get(path, headers=self.headers)

    def post(self, path, **fields):
        headers = {**self.headers, "Origin": "http://facemix.test"}
        return self.client.post(path, headers=headers, data={"csrf": self.csrf, **fields})


@contextmanager
def reviewing(folder, factory=FakeMixer, **settings):
    settings["data_dir"] = folder
    database = Database.open(f"sqlite:///{folder / 'facemix.sqlite3'}")
    database.upgrade()
    made = Settings(**settings)
    governed = Governed.open(made, database)
    with running(factory, stores=Stores.open(made, database), governed=governed, **settings) as client:
        yield Reviewing(client, governed)
    database.close()


def words(page):
    """What a person reads of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


def now():
    return datetime.now(UTC)
