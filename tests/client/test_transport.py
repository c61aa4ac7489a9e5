"""When requests are sent again, and how refusals are told, without a server."""

import json
import pickle
import subprocess
import sys
from datetime import UTC, datetime

import httpx
import pytest

from facemix.client import ApiError, Client, JobFailed, ResultHeld, Sample, transport

BUSY = {"status": 503, "code": "busy", "title": "Busy", "detail": "full", "hint": "wait", "request_id": "r1"}


class Server:
    """Answers one after the other; an exception is raised. Remembers requests."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []

    def __call__(self, request):
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **options):
        return Client("http://faces.test/deep/", http=httpx.Client(transport=httpx.MockTransport(self)), **options)


@pytest.fixture
def waited(monkeypatch):
    found = []
    monkeypatch.setattr(transport.time, "sleep", found.append)
    return found


def busy(status=503, after="7", **changes):
    headers = {} if after is None else {"Retry-After": after}
    return httpx.Response(status, json={**BUSY, "status": status, **changes}, headers=headers)


def listed():
    return httpx.Response(200, json={"items": [], "next": None})


def test_a_busy_server_is_asked_again_when_it_says(waited):
    server = Server(busy(), busy(429, "2.5"), busy(after=None), listed())
    assert server.client().models() == []
    assert waited == [7, 2.5, 1]
    assert {str(request.url) for request in server.requests} == {"http://faces.test/deep/api/v1/models"}


def test_a_server_that_is_switched_off_is_not_waited_for(waited):
    server = Server(busy(after="60", code="halted"))
    with pytest.raises(ApiError) as refusal:
        server.client().models()
    assert refusal.value.code == "halted"
    assert waited == []


TOKEN = "Q1pQ3n8m0c7f3hJ0yq2rYl4bq0vXn1k9sWc5tTz8uGE"
HELD = {
    "state": "pending",
    "code": "held_for_review",
    "title": "Held",
    "detail": "a person will look",
    "hint": "look at the status page",
    "request_id": "r2",
    "status_url": f"https://elsewhere.test/deep/api/v1/reviews/{TOKEN}",
    "page_url": f"https://elsewhere.test/deep/held/{TOKEN}",
}
STATUS = {
    "state": "pending",
    "kind": "result",
    "request_id": "r2",
    "since": "2026-11-21T11:00:00Z",
    "due_at": "2026-11-22T11:00:00Z",
    "expires_at": "2026-11-24T11:00:00Z",
    "next": "Somebody will look at it.",
    "reason": None,
    "picture_url": None,
    "may_appeal": False,
    "page_url": HELD["page_url"],
    "of_a_newer_server": 1,
}


def held(**changes):
    return httpx.Response(202, json={**HELD, **changes}, headers={"Retry-After": "60"})


def test_a_result_that_is_held_is_told_with_where_to_ask_and_not_asked_for_again(waited):
    server = Server(held())
    with server.client() as client, pytest.raises(ResultHeld) as told:
        client.mix([Sample(1), Sample(2)])
    error = told.value
    assert isinstance(error, ApiError), "whoever catches refusals catches it, too"
    assert (error.status, error.code, error.request_id) == (202, "held_for_review", "r2")
    assert (error.status_url, error.page_url, error.retry_after) == (HELD["status_url"], HELD["page_url"], 60)
    assert error.token == TOKEN
    assert TOKEN not in str(error), "messages get into logs, and whoever has it has the result"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))
    assert (len(server.requests), waited) == (1, [])


def test_a_held_answer_that_names_no_address_is_told_all_the_same():
    bare = {name: value for name, value in HELD.items() if not name.endswith("_url")}
    for headers, found in (({}, None), ({"Location": HELD["status_url"]}, HELD["status_url"])):
        with pytest.raises(ResultHeld) as told:
            Server(httpx.Response(202, json=bare, headers=headers)).client().sample(1)
        assert (told.value.status_url, told.value.page_url) == (found, None)
        assert told.value.token == (found and TOKEN)


@pytest.mark.parametrize(
    "told", [TOKEN, HELD["status_url"], HELD["page_url"], f"/held/{TOKEN}", f"look at it: /held/{TOKEN}"]
)
def test_how_it_stands_is_asked_of_the_clients_own_server(told):
    server = Server(httpx.Response(200, json=STATUS))
    review = server.client(key="fmx_secret").review(told)
    assert str(server.requests[0].url) == f"http://faces.test/deep/api/v1/reviews/{TOKEN}", "the key goes nowhere else"
    assert (review.state, review.kind, review.ready, review.may_appeal) == ("pending", "result", False, False)
    assert review.since == datetime(2026, 11, 21, 11, tzinfo=UTC)
    assert (review.expires_at - review.due_at).days == 2


def test_once_it_is_approved_the_result_is_fetched_and_after_a_rejection_one_may_appeal(tmp_path):
    ready = {**STATUS, "state": "approved", "picture_url": f"{HELD['status_url']}/picture"}
    appealed = {**STATUS, "state": "appealed"}
    server = Server(
        held(),
        httpx.Response(200, json=ready),
        httpx.Response(200, content=b"PNG", headers={"Content-Type": "image/png"}),
        httpx.Response(200, json=appealed),
    )
    client = server.client()
    with pytest.raises(ResultHeld) as told:
        client.mix([Sample(1), Sample(2)])
    assert client.review(told.value).ready
    picture = client.collect(told.value)
    assert (picture.save(tmp_path / "held.png").read_bytes(), picture.media_type) == (b"PNG", "image/png")
    assert client.appeal(told.value, "It is me.").state == "appealed"
    asked = [(request.method, request.url.path.rpartition(TOKEN)[2]) for request in server.requests[1:]]
    assert asked == [("GET", ""), ("GET", "/picture"), ("POST", "/appeal")]
    assert json.loads(server.requests[3].content) == {"text": "It is me."}


@pytest.mark.parametrize("told", ["", "short", "https://faces.test/api/v1/reviews/", f"{TOKEN}/../../jobs/x", "é" * 43])
def test_what_names_no_review_is_not_sent(told):
    server = Server()
    with pytest.raises(ValueError, match="names no review"):
        server.client().review(told)
    assert server.requests == []


@pytest.mark.parametrize(
    ("problem", "token"),
    [
        ({"code": "held_for_review", "detail": "wait", "hint": f"look at its status page: /held/{TOKEN}"}, TOKEN),
        ({"code": "held_for_review", "detail": "wait", "hint": "look"}, None),
        ({"code": "busy", "detail": "wait", "hint": f"/held/{TOKEN}"}, None),
        (None, None),
    ],
)
def test_a_job_that_is_held_says_where_to_ask(problem, token):
    assert JobFailed("it failed", problem).held == token
    assert vars(pickle.loads(pickle.dumps(JobFailed("it failed", problem)))) == {"problem": problem}


def test_no_wait_is_longer_than_a_minute(waited):
    server = Server(busy(after="86400"), busy(after="Wed, 21 Oct 2026 07:28:00 GMT"), listed())
    server.client().models()
    assert waited == [60, 1]


def test_after_so_many_tries_the_refusal_is_told(waited):
    server = Server(*[busy() for _ in range(3)])
    with pytest.raises(ApiError) as refusal:
        server.client(retries=2).models()
    error = refusal.value
    assert (error.status, error.code, error.detail, error.hint) == (503, "busy", "full", "wait")
    assert (error.request_id, error.retry_after) == ("r1", 7)
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "full (hint: wait)"
    assert waited == [7, 7]


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500, 507])
def test_other_refusals_are_told_at_once(waited, status):
    with pytest.raises(ApiError, match="full"):
        Server(busy(status)).client().models()
    assert waited == []


def test_what_creates_has_a_key_that_stays_the_same(waited):
    job = {
        "id": "x",
        "kind": "batch",
        "state": "queued",
        "done": 0,
        "total": 1,
        "expires_at": "2026-11-21T12:00:00Z",
        "media_type": None,
        "filename": None,
        "notes": [],
        "problem": None,
    }
    in_flight = busy(409, "1", code="idempotency_in_flight")
    server = Server(
        httpx.ReadTimeout("late"),
        in_flight,
        httpx.Response(202, json={"job": job}),
        httpx.Response(202, json={"job": job}),
    )
    client = server.client(key="fmx_secret")
    assert client.batch(b"PK", portable=True).id == "x"
    client.batch([{"parents": [Sample(1)]}])
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert len({request.content for request in server.requests[:3]}) == 1
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer fmx_secret"}


def test_a_server_that_is_not_there_is_tried_again_and_then_told(waited):
    server = Server(*[httpx.ConnectError("refused")] * 2)
    with pytest.raises(httpx.ConnectError):
        server.client(retries=1).models()
    assert len(server.requests) == 2


def test_an_answer_of_somebody_else_is_told_as_well_as_can_be(waited):
    for answer in (httpx.Response(502, text="<h1>Bad</h1>"), httpx.Response(502, json=["bad"])):
        with pytest.raises(ApiError) as refusal:
            Server(answer).client().models()
        assert (refusal.value.status, refusal.value.code) == (502, "http_502")
        assert "502 Bad Gateway" in str(refusal.value)


def test_a_client_that_was_given_is_not_closed():
    http = httpx.Client(transport=httpx.MockTransport(Server(listed(), listed())))
    with Client("http://faces.test", http=http) as client:
        client.models()
    assert not http.is_closed
    http.close()


def test_pages_are_followed():
    one = {"status": "live", "crop_size": 32, "licence": "CC0", "limitations": [], "attributes": 2}
    pages = [{"items": [{**one, "model": {"id": f"m{page}"}}], "next": page or None} for page in ("two", "")]
    server = Server(*[httpx.Response(200, json=page) for page in pages])
    assert [model.id for model in server.client().models()] == ["mtwo", "m"]
    assert dict(server.requests[1].url.params) == {"cursor": "two"}


def test_it_needs_none_of_the_servers_libraries():
    program = (
        "import sys; import facemix.client\n"
        "print([name for name in ('torch', 'numpy', 'fastapi', 'pydantic', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
