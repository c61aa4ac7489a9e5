import asyncio

import pytest
from cryptography.exceptions import InvalidTag

from facemix.web.sealed_answers import Seal, packed, send_again

SECRET, BODY = b"s" * 32, b"b" * 32
START = {
    "type": "http.response.start",
    "status": 201,
    "headers": [
        (b"Content-Type", b"text/plain"),
        (b"location", b"/r/\xfc"),
        (b"x-facemix-model", b"m"),
        (b"x-request-id", b"the first one's"),
        (b"set-cookie", b"a=b"),
        (b"content-length", b"9"),
    ],
}


def test_only_the_same_secret_body_and_salt_open_it():
    data = b"token " * 1000
    seal = Seal(SECRET, BODY)
    closed = seal.close(data)
    assert b"token" not in closed
    assert Seal(SECRET, BODY, seal.salt).open(closed) == data
    for other in (Seal(SECRET, BODY), Seal(b"S" * 32, BODY, seal.salt), Seal(SECRET, b"B" * 32, seal.salt)):
        with pytest.raises(InvalidTag):
            other.open(closed)
        assert other.proof() != seal.proof()
    assert Seal(SECRET, BODY, seal.salt).proof() == seal.proof()


def test_two_answers_are_never_sealed_alike():
    seals = [Seal(SECRET, BODY) for _ in range(100)]
    assert len({seal.close(bytes(32)) for seal in seals}) == 100


def test_nothing_can_be_sealed():
    seal = Seal(SECRET, BODY)
    assert seal.open(seal.close(b"")) == b""


@pytest.mark.parametrize("content", [b"", b"\n\n{}\n", bytes(range(256))])
def test_an_answer_comes_back_with_the_headers_that_belong_to_it(content):
    sent, scope = [], {"state": {}}

    async def send(message):
        sent.append(message)

    asyncio.run(send_again(packed({"state": {"refusal": "busy"}}, START, content), scope, send))
    start, body = sent
    assert (start["status"], body["body"]) == (201, content)
    assert sorted(start["headers"]) == sorted(
        [
            (b"Content-Type", b"text/plain"),
            (b"location", b"/r/\xfc"),
            (b"x-facemix-model", b"m"),
            (b"content-length", str(len(content)).encode()),
            (b"idempotent-replay", b"true"),
        ]
    )
    assert scope["state"]["refusal"] == "busy"
