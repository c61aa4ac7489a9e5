"""What pages say to whoever waits, reviews, reports, verifies or looks at the bill."""

import re
from types import SimpleNamespace

import pytest
from console_client import console
from reviewing import HTML, now, reviewing, words
from verifying import verifying
from web_client import OTHER, PHOTO, files, running

from facemix.safety import terms
from facemix.storage.ledger import Ledger, LedgerRow
from facemix.web.pages import as_moment

FORM = {**HTML, "Origin": "http://facemix.test"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with reviewing(tmp_path_factory.mktemp("data")) as made:
        yield made


@pytest.fixture(scope="module")
def ann(site):
    return site.person("ann", "reviewer")


def held(site, token):
    return words(site.client.get(f"/held/{token}", headers=HTML))


# --- waiting -----------------------------------------------------------------------------------------------


def test_while_it_waits_nothing_is_said_twice(site):
    _, token = site.held()
    said = held(site, token)
    assert "A person looks at it first" in said
    assert "Somebody will look at it." not in said


def test_an_appeal_says_that_the_picture_is_gone_until_it_is_granted(site):
    review, token = site.held()
    site.queue.reject(review.id, 1, actor="ann", reason="likeness")
    site.queue.appeal(token, "It is me.")
    for _ in range(2):
        said = held(site, token)
        assert "You have asked for a second look. The picture is deleted; if you were right" in said
        assert "Your face is drawn" not in said
        assert "Until" in said
        if site.queue.get(review.id).state == "appealed":
            site.queue.escalate(review.id, 3, actor="bob", reason="unsure")
    site.queue.approve(review.id, 4, actor="bob", reason="agreed", senior=True)
    assert "make the same mix again" in held(site, token)
    assert "has been fetched" not in held(site, token)


def test_what_is_released_says_until_when(site):
    review, token = site.held()
    done = site.queue.approve(review.id, 1, actor="ann", reason="fine")
    said = held(site, token)
    assert "It is released" in said
    assert as_moment(done.expires_at) in said


# --- reviewing ---------------------------------------------------------------------------------------------


def test_a_reviewer_reads_whom_the_guard_found(site, ann, monkeypatch):
    person = SimpleNamespace(id="A" * 15 + "-", label="the <mayor>")
    monkeypatch.setattr(site.governed, "gallery", SimpleNamespace(list=lambda: [person]))
    detail = f"at a distance of 0.405 from protected person {person.id}"
    review, token = site.queue.hold("r", "guard", detail)
    shown = ann.get(f"/console/review/{review.id}").text
    below = f"{site.governed.settings.guard_distance:g}"
    assert f"Nearest: the &lt;mayor&gt;; distance 0.405, held below {below}" in shown
    assert "mayor" not in held(site, token)
    monkeypatch.setattr(site.governed, "gallery", SimpleNamespace(list=list))
    assert detail in ann.get(f"/console/review/{review.id}").text


def test_the_forms_of_a_report_have_titles_of_their_own(site, ann):
    review, _ = site.queue.hold("r", "report", "It looks like me.", released=True)
    shown = ann.get(f"/console/review/{review.id}")
    assert re.findall(r"<summary>(.*?)</summary>", shown.text)[:2] == ["Leave it up", "Take it down"]
    assert 'value="no_match"' not in shown.text
    assert "It was reported," in words(shown)
    assert 'value="no_match"' in ann.get(f"/console/review/{site.held()[0].id}").text


def test_nobody_is_offered_an_appeal_against_themselves_unless_nobody_else_is_there(tmp_path):
    with reviewing(tmp_path) as site:
        cara = site.person("cara", "reviewer")
        review, token = site.held()
        cara.post(f"/console/review/{review.id}/reject", version=1, reason="likeness")
        site.queue.appeal(token, "It is me.")
        path = f"/console/review/{review.id}"
        assert f"{path}/approve" in cara.get(path).text
        dan = site.person("dan", "reviewer")
        shown = cara.get(path).text
        assert f"{path}/approve" not in shown
        assert f"{path}/reject" not in shown
        assert "somebody else decides" in shown
        assert f"{path}/approve" in dan.get(path).text


def test_a_reviewer_begins_at_the_queue_and_finds_the_account(site, ann):
    answer = ann.get("/console")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/review")
    assert '<a href="/console/account">ann</a>' in ann.get("/console/review").text
    assert site.person("otto", "operator").get("/console").status_code == 200
    assert site.person("mia", "member").get("/console").status_code == 403


# --- reporting ---------------------------------------------------------------------------------------------


def test_a_malformed_recipe_gives_way_to_the_address(site):
    for answer in (
        site.client.get("/report?recipe=%3Cb%3E", headers=HTML),
        site.client.post("/report", headers=FORM, data={"recipe": "<b>", "reason": "me"}),
    ):
        assert answer.status_code == 422
        assert "That is not the address of a saved face." in words(answer)
        assert 'name="page"' in answer.text
        assert 'name="recipe"' not in answer.text
    assert 'name="recipe"' in site.client.get(f"/report?recipe={'A' * 16}", headers=HTML).text


def test_reporting_is_found_from_every_page_where_there_is_a_queue(site, client):
    assert 'href="/report"' in site.client.get("/models", headers=HTML).text
    assert 'href="/report">take down</a>' in site.client.get("/terms", headers=HTML).text
    assert 'href="/report"' not in client.get("/terms", headers=HTML).text


# --- consent without scripts -------------------------------------------------------------------------------


def test_the_form_wants_consent_for_photos_and_for_nothing_else():
    samples = {"sample_a": (None, "1"), "sample_b": (None, "2")}
    with running(consent="ask") as client:
        assert "required" not in re.search(r'<input[^>]*name="consent"[^>]*>', client.get("/").text)[0]
        mixed = client.post("/", files=samples, headers=HTML)
        assert mixed.status_code == 200
        assert "choose the photos again" not in mixed.text
        photo = {**files(face_a=PHOTO), "sample_b": (None, "2")}
        for stated in ({}, {"consent": "2020-01-1"}):
            refused = client.post("/", files=photo, data=stated, headers=HTML)
            assert refused.status_code == 422
            assert "tick its box" in refused.text
            assert "selected>sample 3" in refused.text
        taken = client.post("/", files=photo, data={"consent": terms.VERSION}, headers=HTML)
        assert taken.status_code == 200
        assert "choose the photos again" in taken.text
        assert client.post("/api/v1/mix", files=files(face_a=PHOTO, face_b=OTHER)).status_code == 200
    with running(consent="off") as client:
        assert client.post("/", files=photo, headers=HTML).status_code == 200


# --- verifying ---------------------------------------------------------------------------------------------


def test_verifying_speaks_of_days_and_of_the_kinds_that_it_takes(tmp_path):
    with verifying(tmp_path) as (client, result):
        assert "This server made it on 21 November 2026." in words(client.post("/verify", files={"file": result}))
        refused = client.post("/verify", files={"file": b"%PDF-1.7 and more"}, headers=HTML)
        assert refused.status_code == 415
        assert "Choose a picture (JPEG, PNG, WebP) or a film (GIF, MP4), as you received it." in words(refused)


# --- the bill ----------------------------------------------------------------------------------------------


def test_no_price_is_explained_where_it_stands(tmp_path):
    with console(tmp_path, people={"anna": "operator"}) as browser:
        browser.sign_in()
        assert "No price” stands" not in browser.get("/console/spend").text
        row = LedgerRow(request_id="r", route="POST /api/v1/mix", status=200, at=now())
        Ledger(browser.client.governed.database).append_many([row])
        assert "No price” stands" in browser.get("/console/spend").text
