"""Consent, stated once for a client and sent with all that it sends."""

import httpx
import pytest

from facemix.client import Client


@pytest.mark.parametrize(("consent", "sent"), [("2026-11-1", "2026-11-1"), (None, None)])
def test_the_version_goes_with_every_request(consent, sent):
    seen = []

    def answer(request):
        seen.append(request.headers.get("x-facemix-consent"))
        return httpx.Response(200, json={"faces": []}, content=None)

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        client = Client("http://server", consent=consent, http=http)
        client.faces(b"a photograph")
        client.sample(3)
    assert seen == [sent, sent]
