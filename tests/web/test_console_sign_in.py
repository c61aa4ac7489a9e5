import re

import pytest
from console_client import ORIGIN, PASSWORD, Browser, console, hidden

from facemix.web.origins import SESSION_COOKIE

PEOPLE = {"anna": "operator", "rita": "reviewer", "mika": "member"}


@pytest.fixture(scope="module")
def running_console(tmp_path_factory):
    with console(tmp_path_factory.mktemp("console"), people=PEOPLE) as browser:
        yield browser.client


@pytest.fixture
def governed(running_console):
    from facemix.web.throttle import SignInThrottle

    running_console.governed.throttle = SignInThrottle()
    return running_console.governed


@pytest.fixture
def browser(running_console, governed):
    return Browser(running_console)


def test_whoever_is_not_signed_in_is_sent_to_sign_in_and_comes_back(browser):
    sent = browser.get("/console/audit?before=7")
    assert (sent.status_code, sent.headers["location"]) == (303, "/console/sign-in?next=/console/audit%3Fbefore%3D7")
    answer = browser.sign_in(following="/console/audit%3Fbefore%3D7")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/audit?before=7")
    assert browser.get("/console/audit?before=7").status_code == 200
    program = browser.client.get("/console", headers={"Accept": "application/json"})
    assert (program.status_code, program.json()["code"]) == (401, "sign_in_required")


@pytest.mark.parametrize(
    "following",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nb", "x" * 999],
)
def test_nobody_is_led_to_another_site(browser, following):
    page = browser.get("/console/sign-in", params={"next": following}).text
    assert hidden(page, "next") == "/console"
    fields = {"form": hidden(page, "form"), "next": following, "name": "anna", "password": PASSWORD}
    assert browser.post("/console/sign-in", fields).headers["location"] == "/console"


@pytest.mark.parametrize(("name", "home"), [("anna", "/console"), ("rita", "/console/review"), ("mika", "/")])
def test_each_role_comes_to_what_it_may_open(browser, name, home):
    assert browser.sign_in(name).headers["location"] == home
    assert browser.get("/console/sign-in").headers["location"] == home


def test_the_cookie_is_out_of_reach(browser):
    browser.sign_in()
    said = browser.set_cookies[SESSION_COOKIE]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(said.split("; "))
    assert "Secure" not in said  # http://facemix.test
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", browser.cookies[SESSION_COOKIE])


def test_the_cookie_is_secure_where_the_browser_speaks_https(tmp_path):
    with console(tmp_path, people=PEOPLE, public_url="https://faces.example") as browser:
        browser.sign_in()
        assert "Secure" in browser.set_cookies[SESSION_COOKIE].split("; ")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("anna", "another word in a row"),
        ("nobody", PASSWORD),
        ("", ""),
        ("\0", "\0\0"),
        ("anna", "x" * 2000),
        ("ü", "üü"),
    ],
)
def test_what_was_wrong_is_not_told(browser, name, password):
    answer = browser.sign_in(name, password)
    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.text
    assert SESSION_COOKIE not in browser.cookies
    assert not password or password not in answer.text
    assert browser.sign_in().status_code == 303


def test_after_five_failures_a_name_waits_whether_anybody_has_it(browser):
    for name in ("rita", "whoever"):
        browser.client.governed.throttle.__init__()
        codes = [browser.sign_in(name, "wrong words in a row").status_code for _ in range(6)]
        assert codes == [401] * 5 + [429]
        again = browser.sign_in(name, PASSWORD)
        assert again.status_code == 429
        assert 0 < int(again.headers["retry-after"]) <= 900
        assert "15 minutes" in again.text


def test_success_is_no_failure(browser):
    for _ in range(7):
        assert browser.sign_in().status_code == 303
        browser.cookies.clear()


def test_a_form_of_another_site_signs_nobody_in(browser):
    page = browser.get("/console/sign-in").text
    fields = {"form": hidden(page, "form"), "next": "", "name": "anna", "password": PASSWORD}
    for origin in ("http://evil.example", "null", None):
        answer = browser.post("/console/sign-in", fields, origin=origin)
        assert (answer.status_code, SESSION_COOKIE in browser.cookies) == (403, False)
    stranger = Browser(browser.client)  # which has not the cookie's half
    assert stranger.post("/console/sign-in", fields).status_code == 403
    other = browser.post("/console/sign-in", fields | {"form": "x" * 43})
    assert other.status_code == 403
    assert 'value="anna"' in other.text
    assert browser.post("/console/sign-in", fields | {"form": hidden(other.text, "form")}).status_code == 303


def test_sign_outs_end_the_session_itself(browser, governed):
    browser.sign_in()
    token = browser.cookies[SESSION_COOKIE]
    assert browser.post("/console/sign-out", {"csrf": "x"}).status_code == 403
    assert governed.sessions.find(token) is not None
    answer = browser.send("/console", "/console/sign-out")
    assert answer.headers["location"] == "/console/sign-in"
    assert SESSION_COOKIE not in browser.cookies
    assert governed.sessions.find(token) is None


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 5000, '"', "a b"])
def test_a_made_up_cookie_is_nobody(browser, token):
    browser.cookies[SESSION_COOKIE] = token
    assert browser.get("/console").headers["location"].startswith("/console/sign-in")


def test_sign_ins_and_failures_are_in_the_audit_log_without_addresses(browser, governed):
    before = len(governed.audit.list(1000))
    browser.sign_in("rita", "wrong words in a row")
    browser.sign_in("my own password by mistake", "")
    browser.sign_in("rita")
    rows = governed.audit.list(1000)[: -before or None]
    assert [(row.actor, row.action, row.subject) for row in reversed(rows)] == [
        ("facemix", "sign_in.failed", "rita"),
        ("facemix", "sign_in.failed", None),
        ("rita", "sign_in", "rita"),
    ]
    assert all("127.0.0.1" not in str(row) for row in rows)


def test_ones_own_password(tmp_path):
    with console(tmp_path, people=PEOPLE) as browser:
        browser.sign_in("mika")
        first = browser.cookies[SESSION_COOKIE]
        elsewhere = Browser(browser.client)
        elsewhere.sign_in("mika")
        page = "/console/account"
        assert browser.send(page, password="wrong", new="other words in a row").status_code == 401
        assert browser.send(page, password=PASSWORD, new="short").status_code == 422
        assert browser.send(page, password=PASSWORD, new="other words in a row").status_code == 303
        assert browser.cookies[SESSION_COOKIE] != first
        assert browser.get(page).status_code == 200
        assert elsewhere.get(page).status_code == 303
        assert Browser(browser.client).sign_in("mika").status_code == 401
        assert Browser(browser.client).sign_in("mika", "other words in a row").status_code == 303


def test_with_nobody_the_page_tells_the_command(tmp_path):
    with console(tmp_path) as browser:
        assert browser.get("/console").headers["location"] == "/console/sign-in"
        assert "facemix operators add NAME --role operator" in browser.get("/console/sign-in").text


def test_without_a_database_there_is_no_console(client):
    assert client.get("/console").status_code == 404
    assert client.post("/console/sign-in", data={"name": "anna"}, headers={"Origin": ORIGIN}).status_code == 404
