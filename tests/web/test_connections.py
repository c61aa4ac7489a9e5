import json

import pytest

from facemix.errors import ConfigError, HeaderTimeout
from facemix.web.connections import ConnectionLimits, Connections, raw_answer


def test_connections_of_one_address_are_counted_in_and_out():
    shared = Connections(ConnectionLimits(connections=0, per_address=2))
    for _ in range(2):
        assert not shared.full_for("10.0.0.1", 0)
        shared.enter("10.0.0.1")
    assert shared.full_for("10.0.0.1", 0)
    assert not shared.full_for("10.0.0.2", 0)
    shared.leave("10.0.0.1")
    assert not shared.full_for("10.0.0.1", 0)
    shared.leave("10.0.0.1")
    assert shared.of_address == {}


def test_one_ipv6_network_is_one_client():
    shared = Connections(ConnectionLimits(per_address=1))
    shared.enter("2001:db8::/64")
    assert shared.full_for("2001:db8::7:8", 0)
    assert not shared.full_for("2001:db8:0:1::7", 0)


@pytest.mark.parametrize(("cap", "open_now", "full"), [(2, 1, False), (2, 2, True), (0, 10_000, False)])
def test_connections_in_all(cap, open_now, full):
    assert Connections(ConnectionLimits(connections=cap)).full_for("10.0.0.1", open_now) is full


def test_addresses_of_proxies_are_shared_by_many():
    shared = Connections(ConnectionLimits(per_address=1), proxies=["10.0.0.1", "10.1.0.0/16"])
    for host in ("10.0.0.1", "10.1.2.3", "10.0.0.2"):
        shared.enter(host)
    assert [shared.full_for(host, 0) for host in ("10.0.0.1", "10.1.2.3", "10.0.0.2")] == [False, False, True]


def test_without_an_address_there_is_a_cap_too():
    shared = Connections(ConnectionLimits(per_address=1), proxies=["10.0.0.1"])
    shared.enter("unknown")
    assert shared.full_for("", 0)


def test_a_proxy_that_is_no_address_is_named():
    with pytest.raises(ConfigError, match=r"'proxy\.example'"):
        Connections(ConnectionLimits(), proxies=["proxy.example"])


def test_an_answer_on_the_wire():
    head, _, body = raw_answer(HeaderTimeout("too late", hint="be quick"), [(b"date", b"now")]).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 408 Request Timeout"
    assert {"date: now", f"content-length: {len(body)}", "connection: close"} < set(lines)
    document = json.loads(body)
    assert (document["code"], document["detail"], document["hint"]) == ("header_timeout", "too late", "be quick")
