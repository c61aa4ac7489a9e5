import asyncio
import json

import pytest
from starlette.responses import Response

from facemix.errors import ConfigError
from facemix.web.problems import problem_response
from facemix.web.rates import BoundedStorage, RateLimitMiddleware, RateLimits, Rates, Sender, network


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", "unknown"),
        ("nonsense" * 1000, "unknown"),
        ("192.0.2.7, 10.0.0.1", "unknown"),
    ],
)
def test_what_stands_for_a_client(address, client):
    assert network(address) == client


# --- counting ----------------------------------------------------------------------------------------------


def outcomes(limits, *clients, group="work", keyed=False):
    """0 for every request that passes, else the seconds to wait."""
    refusals = [limits.hit(group, client, keyed=keyed) for client in clients]
    return [0 if refusal is None else refusal.details["retry_after"] for refusal in refusals]


def test_a_window_frees_when_it_says_so(clock):
    limits = RateLimits(Rates(address="2/minute"), clock=clock)
    assert outcomes(limits, "a", "a") == [0, 0]
    clock.now += 20.5
    assert outcomes(limits, "a", "b") == [40, 0]
    clock.now += 39
    assert outcomes(limits, "a") == [1]
    clock.now += 1
    assert outcomes(limits, "a") == [0]


def test_requests_that_were_refused_do_not_make_it_longer(clock):
    limits = RateLimits(Rates(address="1/minute"), clock=clock)
    assert outcomes(limits, *"aaaa") == [0, 60, 60, 60]
    clock.now += 60
    assert outcomes(limits, "a") == [0]


def test_of_several_rates_the_longest_wait_is_told(clock):
    limits = RateLimits(Rates(address="1/second;3/minute"), clock=clock)
    assert outcomes(limits, "a", "a") == [0, 1]
    clock.now += 1
    assert outcomes(limits, "a", "a") == [0, 59]


def test_keys_addresses_and_samples_are_counted_apart(clock):
    limits = RateLimits(Rates(address="1/minute", key="2/minute", samples="3/minute"), clock=clock)
    assert outcomes(limits, "a", "a") == [0, 60]
    assert outcomes(limits, "a", "a", "a", keyed=True) == [0, 0, 60]
    assert outcomes(limits, "a", "a", "a", "a", group="samples") == [0, 0, 0, 60]
    assert outcomes(limits, "a", "a", "a", "a", group="samples", keyed=True) == [0, 0, 0, 60]


def test_to_look_is_not_to_count(clock):
    limits = RateLimits(Rates(address="1/minute"), clock=clock)
    looks = [limits.hit("work", "a", keyed=False, count=False) for _ in range(3)]
    assert looks == [None] * 3
    assert limits.storage.counters == {}
    assert outcomes(limits, "a") == [0]
    assert limits.hit("work", "a", keyed=False, count=False).details["retry_after"] == 60
    assert limits.storage.get(next(iter(limits.storage.counters))) == 1


def test_an_empty_rate_is_no_limit(clock):
    limits = RateLimits(Rates(address="", key=" ", samples=""), clock=clock)
    assert outcomes(limits, *"a" * 10_000) == [0] * 10_000
    assert outcomes(limits, *"a" * 10, keyed=True) == [0] * 10
    assert limits.storage.counters == {}


@pytest.mark.parametrize("rate", ["10", "ten/minute", "10/fortnight", "minute", "-1/minute"])
def test_a_rate_that_cannot_be_read_is_named(rate):
    with pytest.raises(ConfigError) as caught:
        RateLimits(Rates(key=rate))
    assert repr(rate) in caught.value.message
    assert "key" in caught.value.message


def test_the_default_rate_is_generous_to_a_page(clock):
    limits = RateLimits(Rates(), clock=clock)
    for _ in range(100):  # loads of the page within a minute
        assert outcomes(limits, *"a" * 12, group="samples") == [0] * 12


# --- memory ------------------------------------------------------------------------------------------------


def test_so_many_addresses_are_tracked_and_no_more(clock):
    limits = RateLimits(Rates(address="2/minute"), most=100, clock=clock)
    assert outcomes(limits, *map(str, range(99))) == [0] * 99
    assert outcomes(limits, *map(str, range(1000, 1003))) == [0, 0, 0]  # the first is tracked, the others are one
    assert outcomes(limits, "2000", "2001") == [60, 60]
    assert outcomes(limits, "0", "0") == [0, 60]  # who is tracked already keeps a counter
    assert outcomes(limits, "key", keyed=True) == [0]
    assert len(limits.storage.counters) <= 102
    clock.now += 60
    assert outcomes(limits, "3000", "3000", "3000") == [0, 0, 60]
    assert len(limits.storage.counters) == 1


def test_a_full_storage_looks_for_room_once_a_second(clock):
    storage = BoundedStorage(1, clock)
    storage.incr("a", 0.5)
    assert not storage.has_room_for("b")
    clock.now += 0.6
    assert not storage.has_room_for("b")
    clock.now += 0.4
    assert storage.has_room_for("b")


def test_the_storage_does_what_the_library_asks_of_one(clock):
    storage = BoundedStorage(10, clock)
    assert storage.check()
    assert (storage.incr("a", 60), storage.incr("a", 60, 2), storage.get("a"), storage.get("b")) == (1, 3, 3, 0)
    assert (storage.get_expiry("a"), storage.get_expiry("b")) == (1060.0, 1000.0)
    storage.clear("a")
    assert storage.get("a") == 0
    storage.incr("a", 60)
    assert (storage.reset(), storage.get("a")) == (1, 0)


# --- the middleware ----------------------------------------------------------------------------------------


async def resolve(secret):
    return {"s3cret": Sender("studio"), "0wn": Sender("modest", per_minute=1)}.get(secret)


class Asked:
    """The middleware around an application that counts; `rates` as in `Rates`."""

    def __init__(self, clock, resolve=None, **rates) -> None:
        self.reached, self.states, self.read, self.counted = 0, [], 0, []

        async def app(scope, receive, send):
            self.reached += 1
            self.states.append(scope.get("state", {}))
            await Response("fine")(scope, receive, send)

        limits = RateLimits(Rates(**rates), clock=clock)
        self.app = RateLimitMiddleware(
            app, limits, lambda request, error: problem_response(error, request), resolve, self.counted.append
        )

    def __call__(self, method="POST", path="/api/v1/mix", client="192.0.2.1", root_path="", **headers):
        """(status, header, problem document)."""
        sent = []

        async def receive():
            self.read += 1

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": root_path + path,
            "root_path": root_path,
            "query_string": b"",
            "client": (client, 1) if client else None,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        asyncio.run(self.app(scope, receive, send))
        fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        body = sent[1]["body"]
        return sent[0]["status"], fields, json.loads(body) if sent[0]["status"] != 200 else None


def test_too_many_requests_are_refused_before_a_byte_is_read(clock):
    ask = Asked(clock, address="1/minute")
    assert ask()[0] == 200
    clock.now += 12
    status, fields, document = ask()
    assert (status, fields["retry-after"], document["code"]) == (429, "48", "rate_limited")
    assert document["details"] == {"retry_after": 48}
    assert "192.0.2.1" not in json.dumps(document)
    assert (ask.reached, ask.read, ask.counted) == (1, 0, ["rate_limited"])
    assert ask(client="192.0.2.2")[0] == 200


def test_one_ipv6_network_is_one_client(clock):
    ask = Asked(clock, address="1/minute")
    assert [ask(client=f"2001:db8::{last}")[0] for last in (1, 2)] == [200, 429]
    assert ask(client="2001:db8:0:1::1")[0] == 200


@pytest.mark.parametrize("client", [None, "", "testclient"])
def test_clients_without_an_address_are_one(clock, client):
    ask = Asked(clock, address="1/minute")
    assert [ask(client=client)[0] for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("method", "path", "limited"),
    [
        ("POST", "/", True),
        ("POST", "/api/v1/mix", True),
        ("POST", "/api/v1/strip", True),
        ("POST", "/api/v1/faces", True),
        ("POST", "/api/v1/recipes", True),
        ("GET", "/api/v1/samples/3", True),
        ("HEAD", "/api/v1/samples/3", True),
        ("GET", "/", False),
        ("GET", "/api/v1/model", True),
        ("GET", "/api/v1/faces/x", True),
        ("DELETE", "/api/v1/faces/x", True),
        ("GET", "/r/x/preview.png", True),
        ("POST", "/r/x/delete", True),
        ("GET", "/gallery", False),
        ("GET", "/healthz", False),
        ("POST", "/healthz", False),
        ("GET", "/readyz", False),
        ("GET", "/metrics", False),
        ("GET", "/static/app.js", False),
        ("GET", "/docs", False),
    ],
)
@pytest.mark.parametrize("root_path", ["", "/mixer"])
def test_which_requests_count(clock, method, path, limited, root_path):
    ask = Asked(clock, resolve, address="1/minute", samples="1/minute", saves="1/minute")
    ask(method, path, root_path=root_path)
    assert (ask(method, path, root_path=root_path)[0] == 429) is limited


def test_a_key_has_its_own_rate_wherever_it_is_used(clock):
    ask = Asked(clock, resolve, address="1/minute", key="3/minute")
    keyed = {"authorization": "Bearer s3cret"}
    assert [ask(**keyed, client=f"192.0.2.{n}")[0] for n in range(4)] == [200, 200, 200, 429]
    assert ask(client="192.0.2.0")[0] == 200
    assert [state.get("api_key") for state in ask.states] == ["studio"] * 3 + [None]


@pytest.mark.parametrize("given", ["Bearer wrong", "bearer wrong", "Bearer ", "Bearer", "Bearer " + "s3cret" * 1000])
def test_an_unknown_key_is_refused_and_counts_for_the_address(clock, given):
    ask = Asked(clock, resolve, address="2/minute")
    for _ in range(2):
        status, fields, document = ask(authorization=given)
        assert (status, document["code"]) == (401, "key_unknown")
        assert fields["www-authenticate"].startswith("Bearer")
        assert given.partition(" ")[2] in ("", " ") or given.partition(" ")[2] not in json.dumps(document)
    assert ask(authorization=given)[0] == 429
    assert (ask.reached, ask.read) == (0, 0)
    assert ask.counted == ["key_unknown", "key_unknown", "rate_limited"]


def test_an_address_that_guesses_keys_is_not_looked_up_for_ever(clock):
    looked = []

    async def noting(secret):
        looked.append(secret)
        return await resolve(secret)

    ask = Asked(clock, noting, address="2/minute", key="9/minute")
    assert ask(authorization="Bearer s3cret")[0] == 200
    clock.now += 30
    guesses = [ask(authorization=f"Bearer guess {number}") for number in range(50)]
    assert [status for status, _, _ in guesses] == [401, 401] + [429] * 48
    assert looked == ["s3cret", "guess 0", "guess 1"]
    assert guesses[-1][1]["retry-after"] == "60"
    assert "unknown keys" in guesses[-1][2]["detail"]
    assert ask(authorization="Bearer s3cret")[0] == 200  # that it is a key's was seen before
    assert ask(authorization="Bearer s3cret", client="192.0.2.9")[0] == 200
    assert ask(authorization="Bearer guess", client="192.0.2.9")[0] == 401
    clock.now += 60
    assert ask(authorization="Bearer 0wn")[0] == 200


def test_many_requests_without_a_key_do_not_shut_out_those_with_one(clock):
    ask = Asked(clock, resolve, address="1/minute", key="1/minute")
    assert [ask()[0] for _ in range(3)] == [200, 429, 429]
    assert ask(authorization="Bearer s3cret")[0] == 200


@pytest.mark.parametrize("given", ["Basic czNjcmV0", "s3cret", "Token s3cret"])
def test_other_schemes_are_not_looked_at(clock, given):
    ask = Asked(clock, resolve, address="1/minute")
    assert ask(authorization=given)[0] == 200
    assert ask.states == [{}]


def test_without_keys_the_header_is_not_looked_at(clock):
    ask = Asked(clock, address="1/minute")
    assert ask(authorization="Bearer wrong")[0] == 200


def test_other_kinds_of_scope_pass(clock):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))

    middleware = RateLimitMiddleware(app, RateLimits(Rates()), lambda request, error: None)
    asyncio.run(middleware({"type": "lifespan"}, 1, 2))
    assert seen == [({"type": "lifespan"}, 1, 2)]


def test_saving_is_work_too(clock):
    ask = Asked(clock, resolve, address="2/minute", saves="none")
    assert [ask("POST", "/api/v1/recipes")[0] for _ in range(3)] == [200, 200, 429]
    assert ask("POST", "/api/v1/mix")[0] == 429


def test_what_is_saved_has_a_rate_of_its_own_that_a_keys_own_rate_does_not_lift(clock):
    ask = Asked(clock, resolve, address="100/minute", key="100/minute", saves="2/hour")
    for headers in ({}, {"authorization": "Bearer s3cret"}):
        answers = [ask("POST", "/api/v1/recipes", **headers)[0] for _ in range(3)]
        assert answers == [200, 200, 429]
        assert ask("POST", "/api/v1/mix", **headers)[0] == 200
        assert ask("GET", "/api/v1/recipes/x", **headers)[0] == 200
