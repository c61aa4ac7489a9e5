"""A browser before the application with its console: keeps cookies, and sends forms as a page of the server does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
from argon2 import PasswordHasher
from web_client import AppClient, running

from facemix.governance.operators import Operators
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.web.accounts import Accounts
from facemix.web.governed import Governed

ORIGIN = "http://facemix.test"
PASSWORD = "some words in a row"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Browser:
    """Attributes: cookies: by name, those that it keeps. set_cookies: the last answer's headers, by name."""

    def __init__(self, client: AppClient) -> None:
        self.client = client
        self.cookies: dict[str, str] = {}
        self.set_cookies: dict[str, str] = {}

    def request(self, method: str, path: str, headers: dict[str, str] | None = None, **options) -> httpx.Response:
        sent = {"Accept": "text/html, */*;q=0.8", **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.client.request(method, path, headers=sent, **options)
        self.set_cookies = {}
        for header in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(header).items():
                self.set_cookies[name] = header
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer

    def get(self, path: str, **options) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, fields: dict[str, str], origin: str | None = ORIGIN, **options) -> httpx.Response:
        headers = {} if origin is None else {"Origin": origin}
        return self.request("POST", path, headers=headers, data=fields, **options)

    def send(self, page: str, path: str | None = None, **fields: str) -> httpx.Response:
        """Opens a page and sends a form of it."""
        csrf = hidden(self.get(page).text, "csrf")
        return self.post(path or page, {"csrf": csrf, **fields})

    def sign_in(self, name: str = "anna", password: str = PASSWORD, following: str = "") -> httpx.Response:
        page = self.get(f"/console/sign-in?next={following}" if following else "/console/sign-in").text
        fields = {"form": hidden(page, "form"), "next": hidden(page, "next"), "name": name, "password": password}
        return self.post("/console/sign-in", fields)


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, page
    return found[1]


@contextmanager
def console(folder: Path, *, people: dict[str, str] | None = None, **settings) -> Iterator[Browser]:
    """The application with a database in `folder`; people: roles by name, all with `PASSWORD`."""
    database = Database.open(f"sqlite:///{folder}/facemix.db")
    database.upgrade()
    settings = {"data_dir": folder, **settings}
    governed = Governed.open(Settings(**settings), database)
    governed.operators = Operators(database, QUICK)
    for name, role in (people or {}).items():
        governed.operators.create(name, PASSWORD, role, actor="test")
    with running(accounts=Accounts(database), governed=governed, **settings) as client:
        client.governed = governed
        yield Browser(client)
