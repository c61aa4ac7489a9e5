"""What whoever waits is told, and gets; reports."""

import time
from datetime import timedelta

import pytest
from reviewing import now, reviewing
from starlette.requests import Request
from web_client import problem

from facemix.errors import Held
from facemix.governance.reasons import reasons_for
from facemix.web.app import respond
from facemix.web.held import held_response
from facemix.web.judging import held
from facemix.web.routes import loggable_path
from facemix.web.schemas_reviews import ReportBody

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with reviewing(tmp_path_factory.mktemp("data")) as made:
        yield made


def status(site, token):
    answer = site.client.get(f"/api/v1/reviews/{token}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def request_for(site, path, accept="application/json"):
    headers = [(b"host", b"facemix.test"), (b"accept", accept.encode())]
    scope = site.client.scope("POST", path, {}) | {"headers": headers, "app": site.client.app}
    return Request({**scope, "state": {"request_id": "r-1"}})


# --- instead of a result -----------------------------------------------------------------------------------


def test_a_program_is_told_where_to_ask(site):
    review, token = site.held()
    answer = held_response(request_for(site, "/api/v1/mix", "image/png"), held(review, token))
    assert answer.status_code == 202
    body = answer.body.decode()
    assert f'"status_url":"http://facemix.test/api/v1/reviews/{token}"' in body
    assert '"request_id":"r-1"' in body
    assert "guard" not in body
    assert "near to somebody" not in body
    assert answer.headers["location"] == f"http://facemix.test/api/v1/reviews/{token}"
    assert answer.headers["cache-control"] == "no-store"


def test_a_person_is_led_to_a_page(site):
    review, token = site.held()
    answer = held_response(request_for(site, "/", "text/html"), held(review, token))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/held/{token}")


def test_being_held_is_no_refusal(site):
    review, token = site.held()
    request = request_for(site, "/api/v1/mix")
    assert respond(request, held(review, token)).status_code == 202
    assert not hasattr(request.state, "refusal")
    assert isinstance(held(review, token), Held)


# --- waiting -----------------------------------------------------------------------------------------------


def test_the_status_follows_the_review_and_never_says_why_it_is_held(site):
    review, token = site.held()
    before = status(site, token)
    assert (before["state"], before["kind"], before["request_id"]) == ("pending", "result", "request-1")
    assert (before["picture_url"], before["reason"], before["may_appeal"]) == (None, None, False)
    assert before["page_url"] == f"http://facemix.test/held/{token}"
    claimed = site.queue.claim(review.id, 1, actor="ann")
    site.queue.reject(review.id, claimed.version, actor="ann", reason="likeness", text="the mayor")
    after = status(site, token)
    assert (after["state"], after["may_appeal"]) == ("rejected", True)
    assert after["reason"] == "It looks like somebody who has not agreed to that."
    for said in (before, after):
        assert not {"near to somebody", "guard", "ann", "mayor"} & set(str(said).split("'"))
        assert "near" not in str(said)
        assert "mayor" not in str(said)


def test_an_approved_result_is_fetched(site):
    review, token = site.held()
    path = f"/api/v1/reviews/{token}/picture"
    problem(site.client.get(path), 404, "record_missing")
    site.queue.approve(review.id, 1, actor="ann", reason="fine")
    assert status(site, token)["picture_url"] == f"http://facemix.test{path}"
    for _ in range(2):  # a download may break off
        answer = site.client.get(path)
        assert (answer.status_code, answer.content) == (200, b"PICTURE" * 30)
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-disposition"] == 'attachment; filename="facemix.png"'
    site.queue.sweep(now=now() + timedelta(minutes=11))
    problem(site.client.get(path), 404, "record_missing")
    after = status(site, token)
    assert (after["state"], after["picture_url"]) == ("approved", None)


def test_asking_for_the_headers_alone_is_no_fetching(site):
    review, token = site.held()
    site.queue.approve(review.id, 1, actor="ann", reason="fine")
    path = f"/api/v1/reviews/{token}/picture"
    head = site.client.request("HEAD", path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "210")
    assert site.queue.get(review.id).expires_at == review.expires_at
    site.client.get(path)
    assert site.queue.get(review.id).expires_at < review.expires_at


def test_a_rejection_is_appealed_once(site):
    review, token = site.held()
    path = f"/api/v1/reviews/{token}/appeal"
    early = problem(site.client.post(path, json={"text": "early"}), 409, "nothing_to_appeal")
    assert (early["title"], early["detail"]) == ("It cannot be appealed", "it was not rejected")
    site.queue.reject(review.id, 1, actor="ann", reason="likeness")
    problem(site.client.post(path, json={"text": " "}), 422, "request_invalid", "text")
    problem(site.client.post(path, json={"text": "x" * 1001}), 422, "request_invalid", "text")
    problem(site.client.post(path, json={"text": "x", "y": 1}), 422, "request_invalid", "y")
    answer = site.client.post(path, json={"text": "It is me."})
    assert (answer.status_code, answer.json()["state"]) == (200, "appealed")
    assert site.queue.get(review.id).appeal == "It is me."
    again = problem(site.client.post(path, json={"text": "again"}), 409, "nothing_to_appeal")
    assert again["detail"] == "it was appealed before"
    assert site.client.get(again["type"]).status_code == 200


@pytest.mark.parametrize("token", ["x", "A" * 43, "%2e%2e", "%00", "%F0%9F", "' or 1=1 --", "x" * 5000])
def test_nobody_finds_anything_by_trying(site, token):
    problem(site.client.get(f"/api/v1/reviews/{token}"), 404, "record_missing")
    problem(site.client.get(f"/api/v1/reviews/{token}/picture"), 404, "record_missing")
    problem(site.client.post(f"/api/v1/reviews/{token}/appeal", json={"text": "x"}), 404, "record_missing")


def test_the_id_of_a_review_opens_nothing(site):
    review, _ = site.held()
    problem(site.client.get(f"/api/v1/reviews/{review.id}"), 404, "record_missing")
    problem(site.client.get(f"/api/v1/reviews/{review.request_id}"), 404, "record_missing")


def test_where_nothing_is_reviewed_there_is_nothing(client):
    for path in ("/api/v1/reviews/x", "/api/v1/reviews/x/picture"):
        problem(client.get(path), 404, "not_found")
    problem(client.post("/api/v1/reports", json={"recipe": "a" * 16, "reason": "me"}), 404, "not_found")


# --- reports -----------------------------------------------------------------------------------------------


def saved(site):
    return site.client.post("/api/v1/recipes", json={"parents": [{"sample": 1}, {"sample": 2}]}).json()


@pytest.mark.parametrize("how", ["recipe", "page", "request_id"])
def test_a_report_becomes_a_review(site, how):
    recipe = saved(site)
    given = {"recipe": recipe["id"], "page": recipe["url"], "request_id": "some-request"}[how]
    answer = site.client.post("/api/v1/reports", json={how: given, "reason": "me", "text": "my own face"})
    assert answer.status_code == 202, answer.text
    token = answer.json()["status_url"].rpartition("/")[2]
    review = site.queue.status(token)
    assert (review.trigger, review.released, review.has_picture) == ("report", True, False)
    assert review.subject == (None if how == "request_id" else recipe["id"])
    assert (review.recipe_hash is None) == (how == "request_id")
    assert review.detail == "It looks like me, and I have not agreed to that.\nmy own face"
    assert status(site, token)["kind"] == "report"


def test_a_report_that_is_right_deletes_the_recipe_and_tells_so(site):
    recipe = saved(site)
    answer = site.client.post("/api/v1/reports", json={"recipe": recipe["id"], "reason": "child"})
    token = answer.json()["status_url"].rpartition("/")[2]
    review = site.queue.status(token)
    site.queue.reject(review.id, 1, actor="ann", reason="child")
    assert site.client.get(f"/api/v1/recipes/{recipe['id']}").status_code == 404
    assert site.client.get(f"/api/v1/recipes/{recipe['id']}/picture").status_code == 404
    said = status(site, token)
    assert (said["state"], said["may_appeal"]) == ("rejected", False)
    assert "took it down" in said["next"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"reason": "me"}, None),
        ({"recipe": "a" * 16, "request_id": "x", "reason": "me"}, None),
        ({"recipe": "a" * 15, "reason": "me"}, "recipe"),
        ({"recipe": "a" * 16}, "reason"),
        ({"recipe": "a" * 16, "reason": "fine"}, "reason"),
        ({"request_id": "x", "reason": "other"}, "text"),
        ({"request_id": "a b", "reason": "me"}, "request_id"),
        ({"request_id": "x", "reason": "me", "text": "x" * 1001}, "text"),
        ({"page": "https://elsewhere.example/", "reason": "me"}, "page"),
        ({"page": "http://facemix.test/r/short", "reason": "me"}, "page"),
        ({"request_id": "x", "reason": "me", "name": "y"}, "name"),
    ],
)
def test_a_report_that_says_too_little_is_refused(site, body, where):
    problem(site.client.post("/api/v1/reports", json=body), 422, "request_invalid", where)


def test_what_is_not_there_cannot_be_reported(site):
    problem(site.client.post("/api/v1/reports", json={"recipe": "A" * 16, "reason": "me"}), 404, "record_missing")


def test_reports_are_counted_like_what_is_saved(tmp_path):
    with reviewing(tmp_path, rate_saves="2/hour") as site:
        body = {"request_id": "x", "reason": "me"}
        answers = [site.client.post("/api/v1/reports", json=body).status_code for _ in range(3)]
        assert answers == [202, 202, 429]


def test_the_reasons_of_the_interface_are_those_of_the_list():
    (kinds,) = [one for name, one in ReportBody.model_fields.items() if name == "reason"]
    assert set(kinds.annotation.__args__) == {reason.key for reason in reasons_for("report")}


# --- around it ---------------------------------------------------------------------------------------------


def test_a_running_server_closes_what_is_late(tmp_path):
    with reviewing(tmp_path) as site:
        review, _ = site.held(now=now() - 80 * HOUR)
    with reviewing(tmp_path) as site:
        limit = time.monotonic() + 60
        while ("facemix", "review.expire") not in site.actions():
            assert time.monotonic() < limit
            time.sleep(0.02)
        assert site.queue.get(review.id).state == "expired"


def test_whoever_has_the_link_needs_no_key(tmp_path):
    with reviewing(tmp_path, access="keys") as site:
        _, token = site.held()
        assert site.client.get(f"/api/v1/reviews/{token}").status_code == 200
        assert site.client.get(f"/held/{token}").status_code == 200
        assert site.client.post("/api/v1/reports", json={"request_id": "x", "reason": "me"}).status_code == 202
        assert site.client.post("/api/v1/mix", json={"parents": [{"sample": 1}]}).status_code == 401


def test_no_token_is_logged_where_no_route_hides_it():
    for path in ("/held/secret", "/held/secret/appeal", "/api/v1/reviews/secret", "/api/v1/reviews/secret/picture"):
        assert "secret" not in loggable_path({"path": path})
