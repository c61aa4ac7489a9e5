import asyncio

import pytest

from facemix.errors import BodyTimeout
from facemix.web.deadlines import BodyDeadlineMiddleware


class Clock:
    """An event loop's clock that only waiting moves."""

    def __init__(self, loop) -> None:
        self.now = 0.0
        loop.time = lambda: self.now
        select = loop._selector.select

        def skip(timeout=None):
            if timeout:
                self.now += timeout
            return select(0)

        loop._selector.select = skip


def run(chunks, *, headers=(("content-length", "1000"),), hang=True, after=0.0, **limits):
    """Sends `chunks`, pairs of seconds to wait and bytes. Returns (bytes received, error, messages sent)."""
    received, sent, errors = [], [], []

    async def app(scope, receive, send):
        try:
            while True:
                message = await receive()
                received.append(message.get("body", b""))
                if not message.get("more_body", False):
                    break
            await receive()  # the client's departure
        except BodyTimeout as error:
            errors.append(error)
            assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def go():
        Clock(asyncio.get_running_loop())
        rest = list(chunks)

        async def receive():
            if rest:
                wait, body = rest.pop(0)
                await asyncio.sleep(wait)
                return {"type": "http.request", "body": body, "more_body": bool(rest) or hang}
            await asyncio.sleep(1e6 if hang else after)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers]}
        await BodyDeadlineMiddleware(app, **limits)(scope, receive, send)

    asyncio.run(go())
    return b"".join(received), errors[0] if errors else None, sent


LIMITS = {"total": 120.0, "grace": 10.0, "least_rate": 100}


def test_a_quick_body_passes_and_leaves_the_answer_alone():
    body, error, sent = run([(1, b"a" * 500), (1, b"b")], hang=False, **LIMITS)
    assert (len(body), error) == (501, None)
    assert sent[0]["headers"] == []


def test_a_body_that_never_comes_is_given_up_after_the_grace():
    _, error, sent = run([], **LIMITS)
    assert error.status == 408
    assert "100 bytes per second" in error.message
    assert sent[0]["headers"] == [(b"connection", b"close")]


def test_a_body_below_the_least_rate_is_given_up():
    body, error, _ = run([(1, b"x" * 60)] * 100, **LIMITS)
    assert "100 bytes per second" in error.message
    assert len(body) == 60 * 23  # every second takes 0.4 of the ten; then less than one is left


def test_a_body_at_the_least_rate_has_the_whole_time():
    body, error, _ = run([(1, b"x" * 100)] * 1000, **{**LIMITS, "total": 120.5})
    assert "within 120.5 seconds" in error.message
    assert len(body) == 100 * 120


def test_haste_does_not_pay_for_a_later_stall():
    body, error, _ = run([(0, b"x" * 1_000_000), (11, b"x")], **LIMITS)
    assert len(body) == 1_000_000
    assert error is not None


def test_stalls_within_the_grace_are_forgiven():
    body, error, _ = run([(9, b"x" * 1000)] * 5, hang=False, **LIMITS)
    assert (len(body), error) == (5000, None)


def test_waiting_for_the_departure_takes_its_time():
    _, error, _ = run([(0, b"x")], hang=False, after=10_000, **LIMITS)
    assert error is None


@pytest.mark.parametrize("headers", [(), (("content-length", "0"),)])
def test_a_request_without_a_body_is_not_timed(headers):
    _, error, _ = run([(1000, b"")], headers=headers, hang=False, **LIMITS)
    assert error is None


@pytest.mark.parametrize("headers", [(("transfer-encoding", "chunked"),), (("content-length", "x"),)])
def test_any_announced_body_is_timed(headers):
    _, error, _ = run([], headers=headers, **LIMITS)
    assert error is not None


def test_time_in_which_the_application_does_not_read_does_not_count():
    taken = []

    async def slow_to_read(scope, receive, send):
        for _ in range(20):
            await asyncio.sleep(100)
            taken.append(await receive())

    async def go():
        Clock(asyncio.get_running_loop())

        async def receive():
            return {"type": "http.request", "body": b"x", "more_body": True}

        scope = {"type": "http", "headers": [(b"content-length", b"9")]}
        await BodyDeadlineMiddleware(slow_to_read, **LIMITS)(scope, receive, None)

    asyncio.run(go())
    assert len(taken) == 20


def test_other_kinds_of_scope_pass():
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))

    asyncio.run(BodyDeadlineMiddleware(app)({"type": "lifespan"}, 1, 2))
    assert seen == [({"type": "lifespan"}, 1, 2)]
