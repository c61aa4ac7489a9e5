import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from observed import ask, small_app
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from facemix.web.routes import OTHER, known_method, loggable_path, route_template

SECRETS = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)


class Spy:
    def __init__(self, app):
        self.app, self.seen = app, []

    async def __call__(self, scope, receive, send):
        try:
            await self.app(scope, receive, send)
        finally:
            if scope["type"] == "http":
                self.seen.append((known_method(scope), route_template(scope), loggable_path(scope)))


@pytest.mark.parametrize(
    ("method", "address", "expected"),
    [
        ("GET", "/plain", ("GET", "/plain", "/plain")),
        ("GET", "/plain?secret=1", ("GET", "/plain", "/plain")),
        ("GET", "/things/4f3a", ("GET", "/things/{name}", "/things/{name}")),
        ("GET", "/files/observed.py", ("GET", "/files", "/files/observed.py")),
        ("GET", "/files/none", ("GET", "/files", "/files/none")),
        ("GET", "/nowhere", ("GET", OTHER, "/nowhere")),
        ("GET", "/x%0Ay%E2%80%A8", ("GET", OTHER, r"/x\ny\u2028")),
        ("DELETE", "/plain", ("DELETE", "/plain", "/plain")),
        ("BREW", "/plain", (OTHER, "/plain", "/plain")),
        ("GET", "/r/kV0tW3qfX8mZ1aBc", ("GET", OTHER, "/r/*")),
        ("POST", "/r/kV0tW3qfX8mZ1aBc/delete?token=1", ("POST", OTHER, "/r/*/delete")),
        ("GET", "/faces/api/v1/recipes/kV0t%0A/picture", ("GET", OTHER, "/faces/api/v1/recipes/*/picture")),
        ("DELETE", "/api/v1/faces/Jx0mVQd5S1uN8s7f", ("DELETE", OTHER, "/api/v1/faces/*")),
        ("GET", "/openapi.json", ("GET", "/openapi.json", "/openapi.json")),
    ],
)
def test_names_of_requests(method, address, expected):
    spy = Spy(small_app())
    ask(spy, (method, address))
    assert spy.seen == [expected]


def test_an_application_that_is_mounted_at_the_root_has_no_names():
    for outer in (Starlette, FastAPI):
        app = outer()
        app.mount("", _anything)
        spy = Spy(app)
        ask(spy, ("GET", "/a"), ("GET", "/b"))
        assert {template for _, template, _ in spy.seen} == {OTHER}


async def _anything(scope, receive, send):
    await PlainTextResponse("anything")(scope, receive, send)


@given(SECRETS)
def test_a_path_is_one_bounded_line_of_ascii(path):
    shown = loggable_path({"path": path})
    assert len(shown) <= 200
    assert shown.isascii()
    assert shown.isprintable()
