import asyncio
import contextlib
import hashlib
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import anyio
import httpx
import pytest
from anyio import to_thread
from fake_mixer import FakeMixer
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from web_client import PHOTO, AppClient, files, running

from facemix.errors import Busy, FacemixError, FaceNotFound, StorageFull, StorageUnavailable
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.storage.database_shelf import DatabaseShelf
from facemix.storage.memory_shelf import MemoryShelf
from facemix.storage.tables import ledger
from facemix.web import idempotency
from facemix.web.accounts import Accounts
from facemix.web.front import Answer, ReplicaLost, create_front
from facemix.web.idempotency import DAY, KIND, IdempotencyMiddleware
from facemix.web.limits import Buffered
from facemix.web.middleware import BodyLimitMiddleware, CatchMiddleware, RequestIdMiddleware
from facemix.web.problems import note_refusal, problem_response
from facemix.web.shelf import AsyncShelf
from facemix.web.stores import Stores

ADDRESS = "203.0.113.77"
LEASE = 300.0
MOST_BODY = 50_000


class Clock:
    """For the shelf and the middleware alike."""

    def __init__(self) -> None:
        self.now = 2_000_000_000.0

    def __call__(self) -> float:
        return self.now

    def date(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)


class Endpoint:
    """Counts its runs. What it does with a request is `act`, which gets the request and its body."""

    def __init__(self) -> None:
        self.runs = 0
        self.act = lambda request, body: JSONResponse(
            {"run": self.runs, "size": len(body)}, 201, {"Location": "/things/1", "Server-Timing": "x;dur=1"}
        )

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.runs += 1
        answer = self.act(request, body)
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def endpoint():
    return Endpoint()


@pytest.fixture(params=["memory", "database"])
def shelf(request, tmp_path, clock):
    if request.param == "memory":
        yield MemoryShelf(2**23, clock.date)
    else:
        with Database.open(f"sqlite:///{tmp_path}/facemix.db") as database:
            database.upgrade()
            yield DatabaseShelf(database, 2**24, clock.date)


def respond(request, error):
    note_refusal(error, request)
    return problem_response(error, request)


class Sender:
    """Stands for the middleware that knows keys and addresses."""

    def __init__(self, app) -> None:
        self.app = app
        self.refusals = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            named = dict(scope["headers"])
            scope["client"] = (named.get(b"x-from", ADDRESS.encode()).decode(), 1234)
            if b"x-key" in named:
                scope.setdefault("state", {})["api_key"] = named[b"x-key"].decode()
        await self.app(scope, receive, send)
        self.refusals.append(scope.get("state", {}).get("refusal"))


def built(shelf, endpoint, clock):
    """The endpoint at two addresses where keys count and one where they do not."""

    async def refused(request, error):
        return respond(request, error)

    routes = [Route(path, endpoint.answer, methods=["POST", "GET"]) for path in ("/work", "/other", "/free")]
    app = Starlette(routes=routes, exception_handlers={FacemixError: refused})
    app.add_middleware(
        IdempotencyMiddleware,
        shelf=AsyncShelf(shelf),
        paths={"/work": DAY, "/other": DAY},
        lease=LEASE,
        clock=clock,
    )
    app.add_middleware(BodyLimitMiddleware, max_bytes=MOST_BODY, buffered=Buffered(2**30))
    app.add_middleware(CatchMiddleware, respond=respond)
    app.add_middleware(RequestIdMiddleware)
    return Sender(app)


@pytest.fixture
def client(shelf, endpoint, clock):
    with anyio.from_thread.start_blocking_portal() as portal:
        yield AppClient(built(shelf, endpoint, clock), portal)


def ask(client, key="7d3b1f0e", *, path="/work", content=b'{"a": 1}', **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {} if key is None else {"Idempotency-Key": key}
    return client.post(path, content=content, headers={"Content-Type": "application/json", **given, **named})


def replayed(answer: httpx.Response) -> bool:
    return answer.headers.get("idempotent-replay") == "true"


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    return (answer.status_code, answer.json()["code"]) == (status, code)


# --- the same request --------------------------------------------------------------------------------------


def test_the_work_is_done_once_and_its_answer_given_again(client, endpoint):
    first, *again = (ask(client) for _ in range(3))
    assert endpoint.runs == 1
    assert (first.status_code, first.json()) == (201, {"run": 1, "size": 8})
    assert not replayed(first)
    for answer in again:
        assert replayed(answer)
        assert (answer.status_code, answer.content) == (first.status_code, first.content)
        for name in ("content-type", "content-length", "location"):
            assert answer.headers[name] == first.headers[name]
        assert "server-timing" not in answer.headers  # it took no such time
        assert answer.headers["x-request-id"] != first.headers["x-request-id"]


def test_without_a_key_and_where_keys_do_not_count_every_request_is_worked_on(client, endpoint):
    for _ in range(2):
        assert not replayed(ask(client, None))
        assert not replayed(ask(client, path="/free"))
        assert client.get("/work", headers={"Idempotency-Key": "k"}).status_code == 201
    assert endpoint.runs == 6


def test_a_form_that_is_built_anew_is_the_same_request(client, endpoint):
    answers = [client.post("/work", files=files(image=PHOTO), headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [replayed(answer) for answer in answers] == [False, True]
    other = client.post("/work", files=files(image=PHOTO[:-1]), headers={"Idempotency-Key": "k"})
    assert is_problem(other, 422, "idempotency_mismatch")
    assert endpoint.runs == 1


def test_it_is_the_same_request_however_it_is_cut(client, endpoint):
    headers = {"Idempotency-Key": "k", "Content-Type": "text/plain", "Transfer-Encoding": "chunked"}
    answers = [
        client.raw("POST", "/work", headers, chunks) for chunks in ([b"abcd"], [b"a", b"", b"bcd", b""], [b"abc", b"d"])
    ]
    assert {(status, body) for status, _, body, _ in answers} == {(201, b'{"run":1,"size":4}')}
    assert endpoint.runs == 1


def test_a_request_without_a_body_has_a_key_too(client, endpoint):
    answers = [client.raw("POST", "/work", {"Idempotency-Key": "k"}, [b""]) for _ in range(2)]
    assert [answer[0] for answer in answers] == [201, 201]
    assert answers[1][1]["idempotent-replay"] == "true"
    assert answers[1][3] == 0  # there was nothing to wait for
    assert endpoint.runs == 1


def test_an_answer_in_pieces_is_given_again_whole(client, endpoint):
    endpoint.act = lambda request, body: StreamingResponse(iter([b"one ", b"two ", b""]), 202)
    answers = [ask(client) for _ in range(2)]
    assert [answer.content for answer in answers] == [b"one two "] * 2
    assert [replayed(answer) for answer in answers] == [False, True]


def test_an_answer_without_content_is_given_again(client, endpoint):
    endpoint.act = lambda request, body: Response(status_code=204)
    answers = [ask(client) for _ in range(2)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 2
    assert replayed(answers[1])
    assert "content-length" not in answers[1].headers


def test_a_refusal_is_given_again_and_counts_as_one(client, endpoint):
    def refuse(request, body):
        raise FaceNotFound("no face was found", hint="use another photo", where="image")

    endpoint.act = refuse
    first, second = ask(client), ask(client)
    assert is_problem(second, 422, "face_not_found")
    assert second.content == first.content
    assert second.headers["content-type"] == "application/problem+json"
    assert endpoint.runs == 1
    assert client.app.refusals == ["face_not_found"] * 2


# --- another request ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        {"content": b'{"a": 2}'},
        {"content": b""},
        {"content": b'{"a": 1}' + bytes(40_000)},
        {"Content_Type": "text/plain"},
        {"path": "/work?x=1"},
    ],
)
def test_a_key_with_another_body_is_refused_and_stays_with_the_first(client, endpoint, other):
    ask(client)
    answer = ask(client, **other)
    assert is_problem(answer, 422, "idempotency_mismatch")
    assert answer.json()["where"] == "Idempotency-Key"
    assert replayed(ask(client))
    assert endpoint.runs == 1


@pytest.mark.parametrize(
    "other",
    [
        {"key": "7d3b1f0f"},
        {"key": "7D3B1F0E"},
        {"key": "7d3b1f0e "[:8] + "x"},
        {"path": "/other"},
        {"X_From": "203.0.113.78"},
        {"X_From": "2001:db8::1"},
        {"X_Key": "alice"},
        {"X_Key": ADDRESS},
    ],
)
def test_a_key_is_another_for_another_sender_and_another_address(client, endpoint, other):
    ask(client)
    assert not replayed(ask(client, **other))
    assert replayed(ask(client, **other))
    assert endpoint.runs == 2


def test_an_api_key_takes_its_keys_along_wherever_it_is(client, endpoint):
    ask(client, X_Key="alice")
    assert replayed(ask(client, X_Key="alice", X_From="2001:db8::1"))
    assert not replayed(ask(client, X_Key="bob"))
    assert endpoint.runs == 2


def test_addresses_of_one_network_are_one_sender(client, endpoint):
    ask(client, X_From="2001:db8::1")
    assert replayed(ask(client, X_From="2001:db8::2"))
    assert endpoint.runs == 1


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "ü", "\x7f", "a\x00b"])
def test_a_key_that_is_none_is_refused_before_any_work(client, endpoint, key):
    status, _, body, taken = client.raw("POST", "/work", {"Idempotency-Key": key, "Content-Length": "4"}, [b"body"])
    assert status == 422
    assert b'"request_invalid"' in body
    assert b'"Idempotency-Key"' in body
    assert (taken, endpoint.runs) == (0, 0)


def test_two_keys_are_refused(client, endpoint):
    answer = client.post("/work", content=b"x", headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert is_problem(answer, 422, "request_invalid")
    assert endpoint.runs == 0


@pytest.mark.parametrize("key", ["x" * 200, "~ !\"#$%&'()*+,-./", '"8e03978e-40d5-43e8"', "../../etc", "'; --"])
def test_any_printable_key_will_do(client, endpoint, key):
    ask(client, key)
    assert replayed(ask(client, key))


# --- at the same time --------------------------------------------------------------------------------------


class Gate:
    """Holds requests inside of the endpoint until it is opened."""

    def __init__(self) -> None:
        self.inside, self.opened = threading.Semaphore(0), threading.Event()

    async def __call__(self, request, body):
        self.inside.release()
        await to_thread.run_sync(self.opened.wait, 60)
        return JSONResponse({"done": True}, 201)


def test_while_the_first_is_worked_on_the_second_is_told_to_wait(client, endpoint):
    endpoint.act = gate = Gate()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, client)
        assert gate.inside.acquire(timeout=60)
        second = ask(client)
        assert is_problem(second, 409, "idempotency_in_flight")
        assert second.headers["retry-after"] == "1"
        assert is_problem(ask(client, content=b"other"), 409, "idempotency_in_flight")
        gate.opened.set()
        assert first.result(60).status_code == 201
    assert replayed(ask(client))
    assert endpoint.runs == 1


def test_of_many_at_once_exactly_one_is_worked_on(client, endpoint):
    for turn in range(5):
        before = endpoint.runs
        key = f"turn {turn}"
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _, key=key: ask(client, key), range(8)))
        assert endpoint.runs == before + 1
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert sum(answer.status_code == 201 and not replayed(answer) for answer in answers) == 1


def test_processes_that_share_a_shelf_do_it_once(shelf, endpoint, clock):
    """Each with a middleware of its own, as behind a load balancer."""
    endpoint.act = gate = Gate()
    with anyio.from_thread.start_blocking_portal() as one, anyio.from_thread.start_blocking_portal() as two:
        clients = [AppClient(built(shelf, endpoint, clock), portal) for portal in (one, two)]
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(ask, clients[0])
            assert gate.inside.acquire(timeout=60)
            assert is_problem(ask(clients[1]), 409, "idempotency_in_flight")
            gate.opened.set()
            first.result(60)
        assert replayed(ask(clients[1]))
    assert endpoint.runs == 1


# --- what frees a key --------------------------------------------------------------------------------------


def test_a_failure_frees_the_key(client, endpoint):
    def busy(request, body):
        raise Busy("full", hint="later")

    def defect(request, body):
        raise ZeroDivisionError

    works = endpoint.act
    endpoint.act = busy
    assert is_problem(ask(client), 503, "busy")
    endpoint.act = defect
    assert is_problem(ask(client), 500, "internal")
    endpoint.act = lambda request, body: Response("half", 502)
    assert ask(client, content=b"a third body").status_code == 502
    endpoint.act = works
    assert ask(client, content=b"a fourth").status_code == 201
    assert replayed(ask(client, content=b"a fourth"))
    assert endpoint.runs == 4


def test_a_client_that_leaves_frees_the_key(client, endpoint):
    async def left(request, body):
        assert (await request.receive())["type"] == "http.disconnect"
        raise ClientDisconnect

    works, endpoint.act = endpoint.act, left
    headers = {"Idempotency-Key": "7d3b1f0e", "Content-Length": "8", "Content-Type": "application/json"}
    for chunks in ([b'{"a"'], []):  # within the body
        assert client.raw("POST", "/work", headers, chunks, hang_up=True)[0] is None
    assert endpoint.runs == 0

    async def speak():
        messages = [{"type": "http.request", "body": b'{"a": 1}', "more_body": False}, {"type": "http.disconnect"}]

        async def receive():
            return messages.pop(0)

        async def send(message):
            raise AssertionError("there is nobody")

        await client.app(client.scope("POST", "/work", headers), receive, send)

    client.portal.call(speak)
    assert endpoint.runs == 1
    endpoint.act = works
    assert ask(client).json()["run"] == 2
    assert replayed(ask(client))


def test_a_request_that_is_cancelled_frees_the_key(client, endpoint):
    endpoint.act = lambda request, body: asyncio.sleep(60)
    works = Endpoint().act

    async def give_up():
        with anyio.move_on_after(60):
            async with anyio.create_task_group() as group:

                async def one():
                    transport = httpx.ASGITransport(app=client.app)
                    async with httpx.AsyncClient(transport=transport, base_url="http://facemix.test") as inner:
                        await inner.post("/work", content=b"x", headers={"Idempotency-Key": "k"})

                group.start_soon(one)
                while not endpoint.runs:
                    await asyncio.sleep(0.001)
                group.cancel_scope.cancel()

    client.portal.call(give_up)
    endpoint.act = works
    answer = client.post("/work", content=b"x", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201
    assert not replayed(answer)


def test_an_answer_that_nobody_received_is_kept(client, endpoint):
    """That is what keys are for: the connection broke when the work was done."""
    headers = {"Idempotency-Key": "7d3b1f0e", "Content-Length": "8", "Content-Type": "application/json"}

    async def speak():
        async def receive():
            return {"type": "http.request", "body": b'{"a": 1}', "more_body": False}

        async def send(message):
            raise OSError("the connection is gone")

        with pytest.raises(OSError, match="gone"):
            await client.app(client.scope("POST", "/work", headers), receive, send)

    # The head of an answer is sent before its end is known.
    endpoint.act, headless = (lambda request, body: _Headless()), endpoint.act
    client.portal.call(speak)
    endpoint.act = headless
    assert ask(client).content == b"done"
    assert endpoint.runs == 1


class _Headless(Response):
    """Sends its head whatever becomes of it."""

    def __init__(self) -> None:
        super().__init__(b"done", 201)

    async def __call__(self, scope, receive, send):
        with contextlib.suppress(OSError):
            await send({"type": "http.response.start", "status": 201, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b"done"})


def test_an_answer_before_the_end_of_the_body_is_not_kept(client, endpoint):
    """What it would have to be compared with has not arrived."""
    runs = []

    class Hasty(Endpoint):
        async def answer(self, request):
            runs.append(await request.receive())
            return Response(status_code=415)

    app = built_with(client, Hasty())
    headers = {"Idempotency-Key": "k", "Content-Length": "8"}
    for _ in range(2):
        status, answer, _, taken = app.raw("POST", "/work", headers, [b"abcd", b"efgh"])
        assert (status, taken) == (415, 1)
        assert "idempotent-replay" not in answer
    assert len(runs) == 2


def test_a_large_answer_is_sent_and_not_kept(client, endpoint):
    size = idempotency.MOST_ANSWER_BYTES
    endpoint.act = lambda request, body: Response(bytes(size + 1))
    for _ in range(2):
        answer = ask(client)
        assert len(answer.content) == size + 1
        assert not replayed(answer)
    endpoint.act = lambda request, body: StreamingResponse(iter([bytes(size // 2)] * 3))
    answer = ask(client)
    assert (len(answer.content), replayed(answer)) == (size // 2 * 3, False)
    endpoint.act = lambda request, body: Response(bytes(size))
    assert not replayed(ask(client))
    answer = ask(client)
    assert (len(answer.content), replayed(answer)) == (size, True)


# --- time --------------------------------------------------------------------------------------------------


def test_after_a_day_the_key_is_free(client, endpoint, clock):
    ask(client)
    clock.now += DAY - 1
    assert replayed(ask(client))
    clock.now += 1
    assert not replayed(ask(client, content=b"another"))
    assert endpoint.runs == 2


def test_a_claim_that_its_process_left_behind_runs_out(client, endpoint, clock, shelf):
    endpoint.act, works = (lambda request, body: asyncio.sleep(60)), endpoint.act

    async def die():  # without any farewell: what would free the key is cut off, too
        with anyio.move_on_after(60):
            request = asyncio.ensure_future(
                client.app(client.scope("POST", "/work", {"Idempotency-Key": "k"}), _empty, _nobody)
            )
            while not endpoint.runs:
                await asyncio.sleep(0.001)
            keep = shelf.delete
            shelf.delete = lambda *given, **options: None
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
            shelf.delete = keep

    client.portal.call(die)
    endpoint.act = works

    def again():
        return client.raw("POST", "/work", {"Idempotency-Key": "k"}, [b""])

    clock.now += LEASE - 1
    assert again()[0] == 409
    clock.now += 1.5
    assert again()[0] == 201
    assert again()[1]["idempotent-replay"] == "true"
    assert endpoint.runs == 2


async def _empty():
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nobody(message):
    pass


def test_who_comes_back_after_its_claim_ran_out_takes_nothing_from_the_next(client, endpoint, clock):
    gates = [Gate(), Gate()]
    endpoint.act = lambda request, body: gates[endpoint.runs - 1](request, body)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(ask, client)
        assert gates[0].inside.acquire(timeout=60)
        clock.now += LEASE + 1
        next_one = pool.submit(ask, client)
        assert gates[1].inside.acquire(timeout=60)
        gates[0].opened.set()
        assert slow.result(60).status_code == 201
        assert is_problem(ask(client), 409, "idempotency_in_flight")  # the second still works on it
        gates[1].opened.set()
        next_one.result(60)
    assert replayed(ask(client))
    assert endpoint.runs == 2


# --- what is kept, and where it cannot be ------------------------------------------------------------------


def things(shelf) -> list:
    if isinstance(shelf, MemoryShelf):
        return list(shelf._things.values())
    with shelf._database.reading() as connection:
        return connection.exec_driver_sql("SELECT * FROM shelf").mappings().all()


@pytest.mark.parametrize("working", [False, True])
def test_the_shelf_tells_neither_who_nor_what(client, endpoint, shelf, working):
    gate, content = Gate(), b'{"secret": "request"}'
    endpoint.act = gate
    key = f"key-{uuid.uuid4()}"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, client, key, content=content)
        assert gate.inside.acquire(timeout=60)
        kept = things(shelf)
        gate.opened.set()
        first.result(60)
    (thing,) = kept if working else things(shelf)
    text = repr(dict(thing) if not isinstance(shelf, MemoryShelf) else thing)
    plain = [ADDRESS, key, "secret", "done", "/work", "json"]
    hashed = [
        hashlib.sha256(given).hexdigest() for given in (ADDRESS.encode(), key.encode(), content, b'{"done":true}')
    ]
    assert [word for word in (*plain, *hashed) if word in text] == []


def test_equal_answers_look_different_on_the_shelf(client, endpoint, shelf):
    endpoint.act = lambda request, body: Response(bytes(1000))
    for key in "abc":
        ask(client, key)
    data = {bytes(thing["data"] if not hasattr(thing, "data") else thing.data) for thing in things(shelf)}
    assert len(data) == 3
    assert all(len(set(one)) > 100 for one in data)


class Failing:
    """A shelf one of whose methods refuses."""

    def __init__(self, shelf, method, error) -> None:
        self._shelf, self._method, self._error = shelf, method, error
        self.waits = shelf.waits

    def __getattr__(self, name):
        def refuse(*given, **options):
            raise self._error

        return refuse if name == self._method else getattr(self._shelf, name)


def built_with(client, endpoint, shelf=None):
    return AppClient(built(shelf or MemoryShelf(2**20), endpoint, lambda: 0.0), client.portal)


def test_without_a_shelf_nothing_is_promised_and_nothing_done(client, endpoint, shelf):
    down = StorageUnavailable("the database does not answer", hint="")
    assert is_problem(ask(built_with(client, endpoint, Failing(shelf, "put_new", down))), 503, "storage_unavailable")
    assert endpoint.runs == 0


@pytest.mark.parametrize("error", [StorageUnavailable("down", hint=""), StorageFull("full", hint="")])
def test_an_answer_that_cannot_be_kept_is_still_an_answer(client, endpoint, shelf, error):
    without = built_with(client, endpoint, Failing(shelf, "update", error))
    for _ in range(2):
        answer = ask(without)
        assert (answer.status_code, replayed(answer)) == (201, False)
    assert things(shelf) == []


def test_an_answer_that_was_pushed_out_is_made_again(client, endpoint):
    shelf = MemoryShelf(2**20)
    crowded = built_with(client, endpoint, shelf)

    def push(request, body):
        for identity in list(shelf._things):
            shelf.delete(KIND, identity, owner=None)
        return Response("made", 201)

    endpoint.act = push
    assert [ask(crowded).text for _ in range(2)] == ["made", "made"]
    assert endpoint.runs == 2


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_is_bounded_where_it_is_only_compared(client, endpoint, announced):
    ask(client)
    chunk = bytes(10_000)
    headers = {"Idempotency-Key": "7d3b1f0e", "Content-Type": "application/json"}
    headers |= {"Content-Length": "1000000"} if announced else {"Transfer-Encoding": "chunked"}
    status, _, body, taken = client.raw("POST", "/work", headers, [chunk] * 100)
    assert (status, b'"body_too_large"' in body) == (413, True)
    assert taken == (0 if announced else MOST_BODY // len(chunk) + 1)
    assert endpoint.runs == 1


def test_a_first_body_beyond_the_cap_frees_the_key(client, endpoint):
    assert is_problem(ask(client, content=bytes(MOST_BODY + 1)), 413, "body_too_large")
    assert ask(client).status_code == 201
    assert endpoint.runs == 1


# --- in the application ------------------------------------------------------------------------------------


def test_a_photo_that_is_sent_again_is_looked_at_once(tmp_path):
    looks = []
    database = Database.open(f"sqlite:///{tmp_path}/facemix.db")
    database.upgrade()
    with running(lambda: FakeMixer(hook=lambda: looks.append(1)), accounts=Accounts(database)) as client:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        first, second = (client.post("/api/v1/faces", files=files(image=PHOTO), headers=key) for _ in range(2))
        assert (first.status_code, replayed(second)) == (200, True)
        assert second.json() == first.json()
        assert len(looks) == 1
        # Headers that every answer has.
        assert second.headers["cache-control"] == "no-store"
        assert second.headers["x-content-type-options"] == "nosniff"
        mismatch = client.post("/api/v1/faces", files=files(image=PHOTO + b"x"), headers=key)
        assert is_problem(mismatch, 422, "idempotency_mismatch")
    with database.reading() as connection:
        rows = connection.execute(ledger.select().order_by(ledger.c.id)).all()
    assert [(row.route, row.status, row.error_code) for row in rows] == [
        ("POST /api/v1/faces", 200, None),
        ("POST /api/v1/faces", 200, None),
        ("POST /api/v1/faces", 422, "idempotency_mismatch"),
    ]


def test_a_repeated_request_counts_for_the_rate():
    with running(rate_per_address="2/minute") as client:
        given = {"files": files(image=PHOTO), "headers": {"Idempotency-Key": "k"}}
        assert [client.post("/api/v1/faces", **given).status_code for _ in range(3)] == [200, 200, 429]


def test_an_answer_about_faces_is_kept_no_longer_than_they_are():
    with running(face_seconds=1000) as client:
        shelf = client.app.state.facemix.stores.shelf.shelf
        client.post("/api/v1/faces", files=files(image=PHOTO), headers={"Idempotency-Key": "k"})
        (kept,) = [thing for thing in shelf._things.values() if thing.kind == KIND]
        assert kept.expires_at - kept.created_at == timedelta(seconds=1000)


def test_the_description_names_the_header_where_it_counts_and_nowhere_else():
    with running(wait=False) as client:
        paths = client.get("/openapi.json").json()["paths"]
    named = {
        f"{method} {path}"
        for path, methods in paths.items()
        for method, operation in methods.items()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "Idempotency-Key"
    }
    assert named == {f"post {path}" for path in idempotency.PATHS if path in paths}
    assert "post /api/v1/faces" in named
    conflict = paths["/api/v1/faces"]["post"]["responses"]["409"]["content"]["application/problem+json"]["examples"]
    assert {"idempotency_in_flight", "model_mismatch"} <= set(conflict)


# --- before replicas ---------------------------------------------------------------------------------------


class Replicas:
    """Answers in turn."""

    def __init__(self, *turns) -> None:
        self.turns, self.asked = list(turns), []

    async def __call__(self, scope, body):
        self.asked.append((scope, body))
        turn = self.turns.pop(0)
        if isinstance(turn, Exception):
            raise turn
        return turn


MADE = Answer(201, [(b"content-type", b"text/plain"), (b"x-facemix-replica", b"one")], b"made")


def test_the_front_keeps_the_answer_and_asks_no_replica_twice():
    replicas = Replicas(MADE)
    settings, shelf = Settings(), MemoryShelf(2**20)
    with anyio.from_thread.start_blocking_portal() as portal:
        for _ in range(2):  # fronts with one shelf
            client = AppClient(create_front(settings, replicas, stores=Stores(settings, shelf)), portal)
            answer = client.post("/api/v1/recipes", content=b"{}", headers={"Idempotency-Key": "k"})
            assert (answer.status_code, answer.text) == (201, "made")
        assert replayed(answer)
        assert answer.headers["x-facemix-replica"] == "one"
    ((scope, body),) = replicas.asked
    assert body == b"{}"
    # A replica that looked at it, too, would find the key taken.
    assert b"idempotency-key" not in dict(scope["headers"])


def test_a_lost_replica_is_replaced_under_the_same_key():
    replicas = Replicas(ReplicaLost("gone"), MADE)
    with anyio.from_thread.start_blocking_portal() as portal:
        client = AppClient(create_front(Settings(), replicas), portal)
        answers = [client.post("/api/v1/faces", content=b"x", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [(answer.status_code, replayed(answer)) for answer in answers] == [(201, False), (201, True)]
    assert len(replicas.asked) == 2
