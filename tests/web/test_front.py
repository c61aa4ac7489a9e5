import asyncio
import json

import anyio
import pytest
from web_client import AppClient, picture

from facemix.errors import Busy, NotReady
from facemix.settings import Settings
from facemix.web.front import Answer, ReplicaLost, answer_of, create_front
from facemix.web.problems import PROBLEM_MEDIA_TYPE

SAID = Answer(200, [(b"content-type", b"text/plain"), (b"x-facemix-replica", b"one")], b"said")


class Replicas:
    """Answers in turn with what it is given: an answer, an error, or None for no answer ever."""

    def __init__(self, *turns) -> None:
        self.turns, self.asked, self.cancelled = list(turns), [], 0

    async def __call__(self, scope, body):
        self.asked.append((scope, body))
        turn = self.turns.pop(0) if self.turns else SAID
        if turn is None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if isinstance(turn, Exception):
            raise turn
        return turn


@pytest.fixture
def portal():
    with anyio.from_thread.start_blocking_portal() as portal:
        yield portal


class Book:
    """An account book that keeps its rows."""

    def __init__(self) -> None:
        self.rows = []
        self.add = self.rows.append

    async def sender_of(self, secret):
        return None

    async def check_budget(self, sender):
        return None


def front(portal, replicas, accounts=None, **settings) -> AppClient:
    return AppClient(create_front(Settings(**settings), replicas, accounts), portal)


def test_a_request_goes_to_a_replica_as_it_is_and_so_does_its_answer_back(portal):
    replicas = Replicas()
    client = front(portal, replicas)
    answer = client.post("/api/v1/mix?x=1", content=b"body", headers={"Accept": "image/png", "X-Request-Id": "mine"})
    assert (answer.status_code, answer.content) == (200, b"said")
    assert answer.headers["x-facemix-replica"] == "one"
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["cache-control"] == "no-store"
    ((scope, body),) = replicas.asked
    assert body == b"body"
    assert (scope["method"], scope["path"], scope["query_string"]) == ("POST", "/api/v1/mix", b"x=1")
    assert dict(scope["headers"])[b"accept"] == b"image/png"
    assert [value for name, value in scope["headers"] if name == b"x-request-id"] == [b"mine"]
    assert set(scope) <= {
        *("type", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path"),
        *("headers", "client", "server"),
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("HEAD", "/readyz"), ("POST", "/"), ("POST", "/api/v1/mix"), ("POST", "/api/v1/strip")],
)
def test_a_lost_replica_is_asked_once_more(portal, method, path):
    replicas = Replicas(ReplicaLost("gone"))
    assert front(portal, replicas).request(method, path).status_code == 200
    assert len(replicas.asked) == 2
    assert replicas.asked[0] == replicas.asked[1]


@pytest.mark.parametrize(("path", "asked"), [("/api/v1/mix", 2), ("/api/v1/recipes", 1)])
def test_a_request_that_stays_lost_is_refused(portal, path, asked):
    replicas = Replicas(ReplicaLost("gone"), ReplicaLost("gone"), SAID)
    answer = front(portal, replicas).post(path)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["code"] == "engine_failed"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert len(replicas.asked) == asked


def test_people_are_refused_with_a_page(portal):
    replicas = Replicas(Busy("full", hint="wait", retry_after=7))
    answer = front(portal, replicas).get("/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert "Full." in answer.text
    assert answer.headers["content-type"].startswith("text/html")


def test_nobody_waits_without_end(portal, monkeypatch):
    monkeypatch.setattr("facemix.web.front.GRACE_SECONDS", 0.0)
    replicas = Replicas(ReplicaLost("gone"), None)
    answer = front(portal, replicas, deadline_seconds=1).post("/api/v1/mix")
    assert (answer.status_code, answer.json()["code"]) == (503, "deadline_exceeded")
    assert "retry-after" in answer.headers
    assert replicas.cancelled == 1


def test_who_leaves_is_worked_for_no_more(portal):
    replicas, sent, book = Replicas(None), [], Book()
    client = front(portal, replicas, book)

    async def leave():
        messages = [{"type": "http.request", "body": b"body", "more_body": False}, {"type": "http.disconnect"}]

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        await client.app(client.scope("POST", "/api/v1/mix", {}), receive, send)

    portal.call(leave)
    assert (len(replicas.asked), replicas.cancelled, sent) == (1, 1, [])
    assert book.rows == []  # the replica's own row is the one


@pytest.mark.parametrize(
    ("turns", "statuses"),
    [
        ([SAID], []),
        ([ReplicaLost("gone"), SAID], []),
        ([None], []),  # the front's patience ends; the replica writes that it was left
        ([ReplicaLost("gone"), ReplicaLost("gone")], [503]),
        ([Busy("full", hint="wait")], [503]),
        ([NotReady("starting", hint="wait")], [503]),
        ([ReplicaLost("gone"), Busy("full", hint="wait")], [503]),
        ([ZeroDivisionError()], [500]),
    ],
)
def test_a_request_has_one_row_in_the_ledger_the_replicas_or_the_fronts(portal, monkeypatch, turns, statuses):
    monkeypatch.setattr("facemix.web.front.GRACE_SECONDS", 0.0)
    book = Book()
    front(portal, Replicas(*turns), book, deadline_seconds=2).post("/api/v1/mix")
    assert [row.status for row in book.rows] == statuses


def test_what_reaches_no_replica_is_in_the_fronts_ledger(portal):
    book = Book()
    assert front(portal, Replicas(), book, max_body_bytes=4096).post("/", content=b"x" * 5000).status_code == 413
    assert [row.error_code for row in book.rows] == ["body_too_large"]


def test_what_is_too_large_reaches_no_replica(portal):
    replicas = Replicas()
    client = front(portal, replicas, max_body_bytes=4096)
    assert client.post("/api/v1/mix", content=b"x" * 5000).status_code == 413
    assert client.raw("POST", "/api/v1/mix", {}, [b"x" * 3000, b"x" * 3000])[0] == 413
    assert replicas.asked == []


def test_health_is_the_fronts_own(portal):
    replicas = Replicas()
    answer = front(portal, replicas).get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert replicas.asked == []


def test_a_defect_says_nothing_of_itself(portal):
    answer = front(portal, Replicas(ZeroDivisionError("secret"))).get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text


def test_the_application_answers_behind_the_front(client):
    """The two ends together: what `create_front` sends, `answer_of` gives to the application."""

    async def ask(scope, body):
        return await answer_of(client.app, scope, body)

    through = AppClient(create_front(Settings(), ask), client.portal)
    files = {"face_a": ("a.png", picture(), "image/png"), "face_b": ("b.png", picture((9, 9, 9)), "image/png")}
    options = {"files": files, "data": {"weight": "0.5"}, "headers": {"Accept": "image/png"}}
    direct, forwarded = client.post("/api/v1/mix", **options), through.post("/api/v1/mix", **options)
    assert forwarded.status_code == 200
    assert forwarded.content == direct.content
    assert set(forwarded.headers) == set(direct.headers)
    page = through.get("/", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    wrong = through.post("/api/v1/mix", json={"parents": []})
    assert wrong.status_code == 422
    assert json.loads(wrong.content)["request_id"] == wrong.headers["x-request-id"]
    head, get = through.request("HEAD", "/readyz"), through.get("/readyz")
    assert (head.content, head.headers["content-length"]) == (b"", get.headers["content-length"])
