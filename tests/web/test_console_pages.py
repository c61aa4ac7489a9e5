import re
import time

import pytest
from console_client import PASSWORD, Browser, console, hidden

from facemix.governance.keys import AuditedKeys
from facemix.storage.governance_tables import audit
from facemix.web import console_keys
from facemix.web.middleware import CONTENT_SECURITY_POLICY

PEOPLE = {"anna": "operator", "olga": "operator", "rita": "reviewer", "mika": "member"}
OWN_PAGES = ("/console", "/console/keys", "/console/people", "/console/audit", "/console/stop")


@pytest.fixture(scope="module")
def running_console(tmp_path_factory):
    with console(tmp_path_factory.mktemp("console"), people=PEOPLE) as browser:
        yield browser.client


@pytest.fixture
def signed(running_console):
    """signed(name) is a browser in which that person is signed in."""

    def made(name: str = "anna") -> Browser:
        browser = Browser(running_console)
        assert browser.sign_in(name).status_code == 303
        return browser

    return made


@pytest.fixture
def browser(signed):
    return signed()


@pytest.fixture
def governed(running_console):
    return running_console.governed


def newest(governed):
    row = governed.audit.list(1)[0]
    return row.actor, row.action, row.subject


def posts(app) -> list[str]:
    """Every address of the console that takes a form, and one of each kind where it is a pattern."""
    filled = {"{change}": "disable"}
    found = []
    for route in _routes(app):
        if route.path.startswith("/console") and "POST" in (route.methods or ()):
            found.append(re.sub(r"\{\w+\}", lambda match: filled.get(match[0], "x"), route.path))
    return found


def _routes(app):
    """All routes, those of included routers too."""
    waiting = list(app.routes)
    while waiting:
        one = waiting.pop()
        waiting += getattr(one, "routes", None) or getattr(getattr(one, "original_router", None), "routes", None) or []
        if hasattr(one, "path") and hasattr(one, "methods"):
            yield one


# --- who may open what -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OWN_PAGES)
def test_a_page_is_for_operators(signed, path):
    assert signed().get(path).status_code == 200
    for name in ("mika",) if path == "/console" else ("rita", "mika"):  # which leads a reviewer on to the queue
        refused = signed(name).get(path)
        assert refused.status_code == 403
        assert f"This is for {'reviewers' if path == '/console' else 'operators'}" in refused.text


def test_no_form_is_taken_from_whoever_may_not(signed, running_console, governed):
    addresses = [path for path in posts(running_console.app) if path not in ("/console/sign-in",)]
    assert len(addresses) >= 7
    before = governed.audit.list(1)[0].number
    stranger, rita = Browser(running_console), signed("rita")
    after_sign_in = governed.audit.list(1)[0].number
    csrf = hidden(rita.get("/console/account").text, "csrf")
    for path in addresses:
        assert stranger.post(path, {"csrf": csrf}).status_code == 303, path  # to sign in
        if path not in ("/console/sign-out", "/console/account") and "/review" not in path:
            assert rita.post(path, {"csrf": csrf, "name": "mika"}).status_code == 403, path
    assert governed.audit.list(1)[0].number == after_sign_in == before + 1


def test_no_form_is_taken_that_another_page_has_made_up(signed, running_console, governed):
    browser, other = signed(), signed("olga")
    csrf, foreign = (hidden(one.get("/console").text, "csrf") for one in (browser, other))
    before = governed.audit.list(1)[0].number
    for path in posts(running_console.app):
        if path == "/console/sign-in":
            continue
        for fields, origin in (
            ({}, "http://facemix.test"),
            ({"csrf": ""}, "http://facemix.test"),
            ({"csrf": foreign}, "http://facemix.test"),
            ({"csrf": "ü"}, "http://facemix.test"),
            ({"csrf": csrf}, "http://evil.example"),
            ({"csrf": csrf}, "null"),
            ({"csrf": csrf}, None),
        ):
            answer = browser.post(path, {"name": "mika", **fields}, origin=origin)
            assert answer.status_code == 403, (path, fields, origin)
    assert governed.audit.list(1)[0].number == before


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/json", 415),
        (b"", "", 415),
        (b"csrf=\xff", "application/x-www-form-urlencoded", 422),
        (b"csrf=%ff", "application/x-www-form-urlencoded", 422),
        (b"csrf=a&csrf=b", "application/x-www-form-urlencoded", 422),
        (b"&".join(b"a%d=" % number for number in range(500)), "application/x-www-form-urlencoded", 422),
        (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 422),
    ],
)
def test_what_is_no_form_is_refused(browser, content, kind, status):
    headers = {"Origin": "http://facemix.test", "Content-Type": kind}
    assert browser.request("POST", "/console/stop", headers=headers, content=content).status_code == status


def test_every_page_of_the_navigation_is_marked(browser):
    for path in OWN_PAGES:
        page = browser.get(path).text
        assert re.findall(r'href="(/console[^"]*)" aria-current="page"', page) == [path]


def test_a_role_sees_only_what_it_may_open(signed):
    page = signed("rita").get("/console/account").text
    assert re.findall(r'<a href="(/console[^"]*)"', page) == ["/console/account", "/console/review"]


# --- headers -----------------------------------------------------------------------------------------------


def test_every_page_has_the_security_headers(browser, running_console):
    paths = {route.path for route in _routes(running_console.app) if "GET" in (route.methods or ())}
    paths = {re.sub(r"\{\w+\}", "x", path) for path in paths}
    assert len(paths) > 25
    for path in sorted(paths | {"/nothing", "/console/nothing", "/static/facemix.css"}):
        answer = browser.get(path)
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        of_people = path == "/" or path.startswith("/console")
        assert answer.headers["referrer-policy"] == ("same-origin" if of_people else "no-referrer"), path
        if path.startswith("/console"):
            assert answer.headers["cache-control"] == "no-store", path
        assert answer.status_code < 500 or path in ("/r/x", "/r/x/delete", "/r/x/preview.png") or "recipes" in path


def test_no_page_has_a_script_or_a_style_of_its_own(browser):
    for path in (*OWN_PAGES, "/console/account", "/console/sign-in"):
        page = (Browser(browser.client) if path.endswith("sign-in") else browser).get(path).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page), path
        assert not re.search(r"<script(?![^>]*src=)", page), path


# --- health ------------------------------------------------------------------------------------------------


def test_health_tells_how_it_is(browser, governed):
    page = browser.get("/console").text
    for said in ("fake-32@", "SQLite", "frames let in", "memory: samples", "valid keys", "everybody who reaches it"):
        assert said in page
    assert "ledger" in page
    assert "Nobody may review" not in page
    for name in ("anna", "olga", "rita"):
        if name != "anna":
            governed.operators.disable(name, actor="test")
    governed.operators.set_role("rita", "member", actor="test")
    assert "Nobody may review" not in browser.get("/console").text  # anna may
    for name in ("olga", "rita"):
        governed.operators.enable(name, actor="test")
    governed.operators.set_role("rita", "reviewer", actor="test")


def test_health_tells_when_the_guard_has_no_embedder(browser, monkeypatch):
    for there, said in ((True, "embedder installed"), (False, "embedder not installed")):
        monkeypatch.setattr("facemix.web.console_safety.has_embedder", lambda there=there: there)
        page = browser.get("/console").text
        assert said in page
        assert ("not compared with protected people" in page) is not there


# --- keys --------------------------------------------------------------------------------------------------


def secret_of(page: str) -> str | None:
    found = re.search(r"fmx_[A-Za-z0-9_-]{43}", page)
    return found and found[0]


def test_a_secret_is_shown_once(browser, signed, governed):
    fields = {"scope_mix": "1", "scope_jobs": "1", "per_minute": "60", "days": "30", "budget_day": "1.5"}
    answer = browser.send("/console/keys", "/console/keys/add", name="studio", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/keys")
    assert secret_of(answer.text + str(answer.headers)) is None
    copied = dict(browser.cookies)
    page = browser.get("/console/keys").text
    key = governed.keys.find(secret_of(page))
    assert (key.name, key.scopes, key.requests_per_minute, key.budget_day) == ("studio", {"mix", "jobs"}, 60, 1.5)
    assert secret_of(browser.get("/console/keys").text) is None
    assert newest(governed) == ("anna", "key.add", "studio")
    other = signed("olga")  # nor in another session
    other.cookies[console_keys.COOKIE] = copied[console_keys.COOKIE]
    assert secret_of(other.get("/console/keys").text) is None


def test_a_secret_on_its_way_is_soon_worth_nothing(browser, monkeypatch):
    browser.send("/console/keys", "/console/keys/add", name="late")
    later = time.time() + 61
    monkeypatch.setattr(console_keys.time, "time", lambda: later)
    assert secret_of(browser.get("/console/keys").text) is None
    for cookie in ("", "zz", "00", "é", "0" * 200):
        browser.cookies[console_keys.COOKIE] = cookie.encode("ascii", "ignore").decode()
        assert browser.get("/console/keys").status_code == 200


def test_a_key_gets_a_new_secret_and_is_revoked(browser, governed):
    old = AuditedKeys(governed.database, "test").add("turning")
    browser.send("/console/keys", "/console/keys/rotate", name="turning")
    new = secret_of(browser.get("/console/keys").text)
    assert governed.keys.find(old) is None
    assert governed.keys.find(new).name == "turning"
    assert newest(governed) == ("anna", "key.rotate", "turning")
    assert browser.send("/console/keys", "/console/keys/revoke", name="turning").status_code == 303
    assert governed.keys.find(new) is None
    assert newest(governed) == ("anna", "key.revoke", "turning")
    assert browser.send("/console/keys", "/console/keys/rotate", name="turning").status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "a b"}, "cannot name a key"),
        ({"name": ""}, "cannot name a key"),
        ({"name": "ok", "per_minute": "x"}, "no whole number"),
        ({"name": "ok", "days": "0"}, "0 days"),
        ({"name": "ok", "days": "99999999999999999999"}, "no whole number"),
        ({"name": "ok", "budget_day": "-1"}, "budget of -1"),
        ({"name": "ok", "budget_month": "nan"}, "budget of nan"),
        ({"name": "ok", "budget_month": "money"}, "no amount"),
        ({"name": "<b>x</b>"}, "cannot name a key"),
    ],
)
def test_what_was_typed_is_kept_when_it_is_refused(browser, governed, fields, said):
    before = governed.keys.list()
    answer = browser.send("/console/keys", "/console/keys/add", scope_faces="1", **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'name="scope_faces" value="1" checked' in answer.text
    for value in fields.values():
        assert not value or value.replace("<", "&lt;").replace(">", "&gt;") in answer.text
    assert "<b>" not in answer.text
    assert governed.keys.list() == before


# --- people ------------------------------------------------------------------------------------------------


def test_people_are_added_and_changed(browser, running_console, governed):
    def send(what, **fields):
        return browser.send("/console/people", f"/console/people/{what}", name="nina", **fields).status_code

    assert send("add", role="reviewer", password=PASSWORD) == 303
    nina = Browser(running_console)
    assert nina.sign_in("nina").status_code == 303
    assert "signed in in 1 browser" in browser.get("/console/people").text
    assert send("role", role="operator") == 303
    assert nina.get("/console").status_code == 200
    assert send("password", password="quite another one") == 303
    assert nina.get("/console").status_code == 303
    assert nina.sign_in("nina", "quite another one").status_code == 303
    assert send("disable") == 303
    assert nina.get("/console").status_code == 303
    assert nina.sign_in("nina", "quite another one").status_code == 401
    assert send("enable") == 303
    assert nina.sign_in("nina", "quite another one").status_code == 303
    assert ("anna", "operator.add", "nina") in {(r.actor, r.action, r.subject) for r in governed.audit.list()}


@pytest.mark.parametrize(
    ("what", "fields", "status"),
    [
        ("add", {"name": "anna", "role": "member", "password": PASSWORD}, 422),
        ("add", {"name": "new one", "role": "member", "password": PASSWORD}, 422),
        ("add", {"name": "new", "role": "boss", "password": PASSWORD}, 422),
        ("add", {"name": "new", "role": "member", "password": "short"}, 422),
        ("add", {}, 422),
        ("role", {"name": "rita", "role": "boss"}, 422),
        ("password", {"name": "rita", "password": "x"}, 422),
        ("disable", {"name": "whoever"}, 404),
        ("disable", {"name": "anna"}, 422),
        ("role", {"name": "anna", "role": "member"}, 422),
        ("delete", {"name": "rita"}, 404),
    ],
)
def test_what_cannot_be_done_to_people(browser, governed, what, fields, status):
    before = governed.operators.list()
    answer = browser.send("/console/people", f"/console/people/{what}", **fields)
    assert answer.status_code == status
    assert "short" not in answer.text
    assert governed.operators.list() == before
    assert browser.get("/console").status_code == 200


# --- audit -------------------------------------------------------------------------------------------------


def test_the_audit_log_in_pages(browser, governed):
    for number in range(60):
        governed.audit.append("test", "test.row", f"subject {number}", {"note": "<b>" + "x" * 300})
    first = browser.get("/console/audit").text
    assert "subject 59" in first
    assert "<b>" not in first
    (earlier,) = re.findall(r'href="/console/audit\?before=(\d+)"', first)
    second = browser.get(f"/console/audit?before={earlier}").text
    assert "subject 9<" in second
    assert "subject 59" not in second
    rows = [re.findall(r'<th scope="row">(\d+)</th>', page) for page in (first, second)]
    assert len(rows[0]) == 50
    assert int(rows[0][-1]) == int(rows[1][0]) + 1 == int(earlier)
    assert "There is no row before that." in browser.get("/console/audit?before=1").text
    for wrong in ("x", "-1", "9" * 30, "1e3"):
        assert browser.get("/console/audit", params={"before": wrong}).status_code == 422


def test_the_chain_is_verified_by_a_button(tmp_path):
    with console(tmp_path, people={"anna": "operator"}) as browser:
        browser.sign_in()
        assert "The chain holds" in browser.send("/console/audit").text
        with browser.client.governed.database.writing() as connection:
            connection.execute(audit.update().where(audit.c.number == 1).values(subject="another"))
        page = browser.send("/console/audit").text
        assert "The chain is broken." in page
        assert "Row 1 was changed." in page


# --- errors ------------------------------------------------------------------------------------------------


def links(page: str) -> list[str]:
    """Where the text of a page leads, its head and foot left out."""
    return re.findall(r'href="([^"]*)"', page.partition("<main")[2].partition("</main>")[0])


@pytest.mark.parametrize(
    ("name", "path", "status", "back"),
    [
        ("anna", "/console/review/none", 404, ["/console/review", "/console"]),
        ("anna", "/console/audit?before=x", 422, ["/console/audit", "/console"]),
        ("anna", "/console/none", 404, ["/console"]),
        ("anna", "/elsewhere", 404, []),
        ("rita", "/console/people", 403, ["/console/review"]),
        ("mika", "/console/people", 403, ["/console/account"]),
        ("mika", "/console", 403, ["/console/account"]),
    ],
)
def test_an_error_of_the_console_leads_back_to_what_may_be_opened(signed, name, path, status, back):
    browser = signed(name)
    answer = browser.get(path)
    assert (answer.status_code, links(answer.text)) == (status, [*back, "/"])
    for one in back:
        assert browser.get(one).status_code == (303 if (name, one) == ("rita", "/console") else 200)


def test_names_stay_as_they_are_written(signed):
    refused = signed("mika").get("/console/people").text
    assert "This is for operators, and mika is a member." in refused
    assert "Mika" not in refused


# --- stop --------------------------------------------------------------------------------------------------


def test_the_kill_switch(browser, governed):
    assert browser.send("/console/stop", action="stop", reason="  a fault  in the model ", sure="1").status_code == 303
    kill = governed.controls.kill_switch()
    assert (kill.on, kill.reason, kill.by) == (True, "a fault in the model", "anna")
    for path in ("/console", "/console/stop"):
        assert "“a fault in the model”" in browser.get(path).text
    assert browser.send("/console/stop", action="resume", sure="1").status_code == 303
    assert not governed.controls.kill_switch().on
    assert newest(governed)[:2] == ("anna", "kill.off")


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "stop", "reason": "because"},
        {"action": "stop", "reason": " ", "sure": "1"},
        {"action": "stop", "reason": "x" * 301, "sure": "1"},
        {"action": "resume"},
        {"action": "explode", "sure": "1", "reason": "because"},
        {},
    ],
)
def test_it_is_switched_only_on_purpose(browser, governed, fields):
    answer = browser.send("/console/stop", **fields)
    assert answer.status_code == 422
    assert fields.get("reason", "").strip() in answer.text
    assert not governed.controls.kill_switch().on
