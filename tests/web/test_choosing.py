import pytest
from starlette.requests import Request

from facemix.errors import RequestInvalid
from facemix.web.choosing import choice_of, shared_out


def asked(query=b"", headers=(), key=None, client=("10.1.2.3", 5)):
    scope = {"type": "http", "query_string": query, "headers": list(headers), "client": client, "state": {}}
    if key is not None:
        scope["state"]["api_key"] = key
    return choice_of(Request(scope))


def test_who_names_none_is_known_by_key_or_network():
    assert asked().name is None
    assert asked().client == asked().client != asked(client=("10.1.2.4", 5)).client
    assert asked(key="shop").client == asked(key="shop", client=("10.9.9.9", 1)).client != asked().client
    # Nobody gets into the place of a key by an address that looks like its name.
    assert asked(key="10.1.2.3").client != asked().client
    whole = ("2001:db8:1:2:aaaa::1", 1), ("2001:db8:1:2:bbbb::2", 1)
    assert asked(client=whole[0]).client == asked(client=whole[1]).client


def test_the_same_name_in_both_places_is_one():
    assert asked(b"model=old&model=old", [(b"x-facemix-use-model", b"old")]).name == "old"
    with pytest.raises(RequestInvalid):
        asked(b"model=old&model=new")


def share_of(count, *candidates):
    return [shared_out(f"client {number}", [(key, share, key) for key, share in candidates]) for number in range(count)]


def test_nobody_and_everybody():
    assert set(share_of(50)) == {None}
    assert set(share_of(50, ("a", 0.0))) == {None}
    assert set(share_of(50, ("a", 1.0))) == {"a"}
    assert set(share_of(50, ("a", 1.0), ("b", 0.0))) == {"a"}
    assert set(share_of(200, ("a", 0.5), ("b", 0.5))) == {"a", "b"}


def test_shares_are_of_all_clients():
    found = share_of(4000, ("a", 0.2), ("b", 0.5))
    assert abs(found.count("a") / 4000 - 0.2) < 0.03
    assert abs(found.count("b") / 4000 - 0.5) < 0.03


def test_more_of_a_share_takes_nobody_away_who_had_it():
    before, after = share_of(1000, ("a", 0.1)), share_of(1000, ("a", 0.3))
    assert all(now == "a" for then, now in zip(before, after, strict=True) if then == "a")
    assert after.count("a") > before.count("a")


def test_it_is_not_always_the_same_clients_who_meet_what_is_new():
    one, other = share_of(1000, ("a", 0.5)), share_of(1000, ("b", 0.5))
    both = sum(first is not None and second is not None for first, second in zip(one, other, strict=True))
    assert 150 < both < 350
