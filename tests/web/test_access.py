import json
import logging

import pytest
from console_client import ORIGIN, Browser, console
from web_client import OTHER, PHOTO, files, problem

from facemix.errors import ConfigError
from facemix.governance.keys import AuditedKeys
from facemix.governance.operators import Operators
from facemix.safety import terms
from facemix.settings import Settings
from facemix.web.access import behind_ray, check_access, closed, is_loopback

MIX = "/api/v1/mix"
PEOPLE = {"anna": "operator", "mika": "member"}
BOTH = {"face_a": PHOTO, "face_b": OTHER}


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.0.2.1", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
    ],
)
def test_what_only_this_machine_reaches(host, here):
    assert is_loopback(host) is here
    assert closed(Settings(host=host)) is not here
    assert closed(Settings(host=host, access="keys"))
    assert not closed(Settings(host=host, access="open"))


def test_where_ray_listens_is_not_loopback():
    assert closed(behind_ray(Settings()))
    assert not closed(behind_ray(Settings(access="open")))


# --- before a server listens -------------------------------------------------------------------------------


@pytest.mark.parametrize("access", ["auto", "keys"])
def test_a_server_that_others_reach_does_not_start_without_a_key_or_a_password(database, access):
    settings = Settings(host="0.0.0.0", access=access)
    with pytest.raises(ConfigError) as refused:
        check_access(settings, database)
    for command in ("`facemix keys add NAME`", "`facemix operators add NAME --role operator`"):
        assert command in refused.value.hint
    keys, people = AuditedKeys(database, "test"), Operators(database)
    keys.add("a")
    check_access(settings, database)
    keys.end("a")
    with pytest.raises(ConfigError):
        check_access(settings, database)
    people.create("anna", "some words in a row", "member", actor="test")
    check_access(settings, database)
    people.disable("anna", actor="test")
    with pytest.raises(ConfigError):
        check_access(settings, database)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"host": "0.0.0.0", "access": "open"}, "whoever reaches 0.0.0.0 may mix"),
        ({"host": "127.0.0.1"}, ""),
        ({"host": "127.0.0.1", "public_url": "https://faces.example"}, "the proxy before 127.0.0.1"),
        ({"host": "127.0.0.1", "access": "keys"}, "nobody can mix yet"),
    ],
)
def test_what_else_an_operator_should_know_is_logged(database, caplog, settings, said):
    with caplog.at_level(logging.WARNING, "facemix.web"):
        check_access(Settings(**settings), database)
    assert (said in caplog.text) if said else (caplog.text == "")


def test_the_command_refuses_to_serve(tmp_path, monkeypatch):
    from facemix.web import run

    def listened(*_):
        raise AssertionError("it listens")

    monkeypatch.setattr(run, "listen", listened)
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0 can be reached"):
        run.serve_here(Settings(host="0.0.0.0", data_dir=tmp_path))


# --- while it serves ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shut(tmp_path_factory):
    """Served to those with a key or a sign-in, with the secret of a key."""
    with console(tmp_path_factory.mktemp("shut"), people=PEOPLE, host="0.0.0.0") as browser:
        secret = AuditedKeys(browser.client.governed.database, "test").add("a")
        yield browser.client, {"Authorization": f"Bearer {secret}"}


def test_work_needs_a_key(shut):
    client, key = shut
    for method, path in (
        ("POST", MIX),
        ("POST", "/api/v1/faces"),
        ("GET", "/api/v1/samples/1"),
        ("GET", "/api/v1/jobs"),
    ):
        answer = client.request(method, path, content=b"not read")
        problem(answer, 401, "key_required")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert client.post(MIX, files=files(**BOTH), headers=key).status_code == 200
    assert client.get("/api/v1/samples/1", headers=key).status_code == 200
    problem(client.post(MIX, files=files(**BOTH), headers={"Authorization": "Bearer fmx_x"}), 401, "key_unknown")


def test_pages_stay_readable(shut):
    client, _ = shut
    for path in ("/", "/about", "/docs", "/models", "/gallery", "/static/facemix.css", "/healthz", "/readyz"):
        assert client.get(path).status_code == 200
    for path in ("/r/AAAAAAAAAAAAAAAA", "/api/v1/recipes/AAAAAAAAAAAAAAAA/picture"):
        problem(client.get(path), 503, "storage_unavailable")  # this one keeps no recipes
    problem(client.get("/api/v1/recipes/AAAAAAAAAAAAAAAA"), 401, "key_required")


def test_the_form_shows_the_way_to_sign_in(shut):
    client, _ = shut
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert 'href="/console/sign-in?next=/"' in page
    answer = client.post(
        "/", files=files(**BOTH), data={"consent": terms.VERSION}, headers={"Accept": "text/html", "Origin": ORIGIN}
    )
    assert answer.status_code == 401
    assert 'href="/console/sign-in?next=/"' in answer.text


def test_whoever_is_signed_in_may_mix(shut):
    browser = Browser(shut[0])
    browser.sign_in("mika")
    assert "/console/sign-in" not in browser.get("/").text
    headers = {"Accept": "*/*", "Origin": ORIGIN}
    assert browser.request("POST", MIX, headers=headers, files=files(**BOTH)).status_code == 200
    form = {"files": files(**BOTH), "data": {"consent": terms.VERSION}}
    assert browser.request("POST", "/", headers={"Origin": ORIGIN}, **form).status_code == 200
    assert browser.get("/api/v1/samples/1").status_code == 200
    browser.client.governed.operators.disable("mika", actor="test")
    assert browser.get("/api/v1/samples/1").status_code == 401
    browser.client.governed.operators.enable("mika", actor="test")


@pytest.mark.parametrize(
    ("method", "headers", "let_in"),
    [
        ("POST", {"Origin": ORIGIN}, True),
        ("POST", {"Sec-Fetch-Site": "same-origin"}, True),
        ("POST", {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}, True),
        ("POST", {"Origin": "https://facemix.test"}, True),
        ("POST", {}, False),
        ("POST", {"Origin": "http://evil.example"}, False),
        ("POST", {"Origin": "null"}, False),
        ("POST", {"Origin": "http://facemix.test.evil.example"}, False),
        ("POST", {"Origin": "http://facemix.test:81"}, False),
        ("POST", {"Origin": "http://["}, False),
        ("POST", {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"}, False),
        ("POST", {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}, False),
        ("POST", {"Sec-Fetch-Site": "none"}, False),
        ("GET", {}, True),
        ("GET", {"Sec-Fetch-Site": "none"}, True),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, False),
        ("GET", {"Origin": "http://evil.example"}, False),
    ],
)
def test_a_cookie_counts_only_for_pages_of_this_server(shut, method, headers, let_in):
    browser = Browser(shut[0])
    browser.sign_in("mika")
    path, options = (MIX, {"files": files(**BOTH)}) if method == "POST" else ("/api/v1/samples/1", {})
    answer = browser.request(method, path, headers={"Accept": "*/*", **headers}, **options)
    assert (answer.status_code == 200) is let_in
    if not let_in:
        problem(answer, 401, "key_required")


def test_the_public_address_is_this_server_too(tmp_path):
    with console(tmp_path, people=PEOPLE, access="keys", public_url="https://faces.example/mix") as browser:
        browser.sign_in("mika")
        headers = {"Origin": "https://faces.example"}
        form = {"files": files(**BOTH), "data": {"consent": terms.VERSION}}
        assert browser.request("POST", "/", headers=headers, **form).status_code == 200


def test_where_access_is_open_nobody_is_asked(tmp_path):
    with console(tmp_path, people=PEOPLE) as browser:
        assert browser.client.post(MIX, files=files(**BOTH)).status_code == 200
        assert "/console/sign-in" not in browser.get("/").text


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Served to everybody, with the secret of a key."""
    with console(tmp_path_factory.mktemp("wide"), people=PEOPLE, public_url="https://faces.example") as browser:
        yield browser.client, AuditedKeys(browser.client.governed.database, "test").add("a")


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ({}, True),
        ({"Origin": ORIGIN}, True),
        ({"Origin": "https://faces.example"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://facemix.test:81"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
    ],
)
def test_no_page_of_another_site_starts_work_where_access_is_open(wide, headers, let_in):
    client, secret = wide
    for path in ("/", MIX):
        answer = client.post(path, files=files(**BOTH), data={"consent": terms.VERSION}, headers=headers)
        assert answer.status_code == (200 if let_in else 403), path
    if not let_in:
        problem(answer, 403, "site_foreign")
    key = {"Authorization": f"Bearer {secret}"}
    assert client.post(MIX, files=files(**BOTH), headers={**headers, **key}).status_code == 200
    assert client.get("/", headers=headers).status_code == 200
    assert client.request("DELETE", "/api/v1/faces/x", headers=headers).status_code == (404 if let_in else 403)


def test_a_cookie_of_a_proxy_is_no_key(wide):
    headers = {"Sec-Fetch-Site": "cross-site", "Authorization": "Basic YTpi"}
    problem(wide[0].post(MIX, files=files(**BOTH), headers=headers), 403, "site_foreign")


def test_forms_of_pages_without_a_referrer_are_this_servers(wide, shut):
    for client in (wide[0], shut[0]):
        answers = [
            client.post("/report", headers={"Origin": one}).status_code for one in ("null", "http://evil.example")
        ]
        assert answers[0] != 403
        assert answers[1] == 403


def test_who_is_signed_in_stands_in_no_row_of_the_ledger(shut):
    browser = Browser(shut[0])
    browser.sign_in("mika")
    browser.request("POST", MIX, headers={"Origin": ORIGIN}, files=files(**BOTH))
    assert "mika" not in json.dumps([str(row) for row in _ledger(browser.client)])


def _ledger(client):
    from facemix.storage.tables import ledger

    with client.governed.database.reading() as connection:
        return connection.execute(ledger.select()).all()
