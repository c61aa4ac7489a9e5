"""The pages of whoever waits or objects; without scripts."""

import re
from datetime import timedelta

import pytest
from reviewing import HTML, now, reviewing, words

FORM = {**HTML, "Origin": "http://facemix.test"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with reviewing(tmp_path_factory.mktemp("data")) as made:
        yield made


def page(site, path, status=200):
    answer = site.client.get(path, headers=HTML)
    assert answer.status_code == status, answer.text
    assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.headers["cache-control"] == "no-store"
    return answer


def test_who_waits_is_told_kindly_and_looks_again(site):
    review, token = site.held()
    shown = page(site, f"/held/{token}")
    assert shown.headers["refresh"] == "60"
    assert f'href="/held/{token}"' in shown.text
    said = words(shown)
    assert "A person looks at it first" in said
    assert "request-1" in said
    assert "near to somebody" not in shown.text
    assert review.id not in shown.text
    assert "guard" not in shown.text


@pytest.mark.parametrize(
    ("end", "heading"),
    [("approve", "It is released"), ("reject", "It is not given out"), ("expire", "Nobody decided in time")],
)
def test_every_end_has_its_words_and_no_refresh(site, end, heading):
    review, token = site.held()
    if end == "approve":
        site.queue.approve(review.id, 1, actor="ann", reason="fine")
    elif end == "reject":
        site.queue.reject(review.id, 1, actor="ann", reason="document", text="for us alone")
    else:
        site.queue._window = timedelta(seconds=-1)
        review, token = site.held()
        site.queue._window = timedelta(hours=72)
    shown = page(site, f"/held/{token}")
    assert heading in words(shown)
    assert "refresh" not in shown.headers
    assert "for us alone" not in shown.text
    assert (f"/api/v1/reviews/{token}/picture" in shown.text) == (end == "approve")
    assert ("identity document" in shown.text) == (end == "reject")


def test_looking_at_the_page_does_not_fetch_the_picture(site):
    review, token = site.held()
    site.queue.approve(review.id, 1, actor="ann", reason="fine")
    expires = site.queue.status(token).expires_at
    for _ in range(2):
        page(site, f"/held/{token}")
    assert site.queue.status(token).expires_at == expires
    site.client.get(f"/api/v1/reviews/{token}/picture")
    assert site.queue.status(token).expires_at < now() + timedelta(minutes=11)


def test_a_rejection_is_appealed_by_a_form(site):
    review, token = site.held()
    site.queue.reject(review.id, 1, actor="ann", reason="likeness")
    action = re.search(r'<form[^>]* action="(/held/[^"]+)"', page(site, f"/held/{token}").text)[1]
    empty = site.client.post(action, headers=FORM, data={"text": "  "})
    assert empty.status_code == 422
    assert "The text is empty." in words(empty)
    kept = site.client.post(action, headers=FORM, data={"text": "<b>" + "x" * 1000})
    assert kept.status_code == 422
    assert "&lt;b&gt;xxx" in kept.text
    done = site.client.post(action, headers=FORM, data={"text": "It is me."})
    assert (done.status_code, done.headers["location"]) == (303, f"/held/{token}")
    assert "You have asked for a second look" in words(page(site, f"/held/{token}"))
    again = site.client.post(action, headers=FORM, data={"text": "again"})
    assert again.status_code == 409


def test_an_address_that_nobody_was_given_leads_nowhere(site):
    said = words(page(site, f"/held/{'A' * 43}", 404))
    assert "Nothing waits here" in said
    assert site.client.get("/held/x").json()["code"] == "record_missing"
    assert site.client.post("/held/x/appeal", headers=FORM, data={"text": "x"}).status_code == 404


@pytest.mark.parametrize("body", [b"text=%ff", b"text=a&text=b", b"text=" + b"x" * 20_000])
def test_a_form_that_no_page_sends_is_refused(site, body):
    _, token = site.held()
    headers = {**FORM, "Content-Type": "application/x-www-form-urlencoded"}
    assert site.client.post(f"/held/{token}/appeal", headers=headers, content=body).status_code == 422
    assert site.client.post("/report", headers=headers, content=body).status_code == 422
    assert site.client.post("/report", headers=FORM, content=b"x").status_code == 415


# --- reporting ---------------------------------------------------------------------------------------------


def test_a_saved_face_can_be_reported_from_its_page(site):
    saved = site.client.post("/api/v1/recipes", json={"parents": [{"sample": 1}]}).json()
    link = re.search(r'href="(/report\?recipe=[^"]+)"', site.client.get(f"/r/{saved['id']}", headers=HTML).text)[1]
    form = page(site, link)
    assert f'name="recipe" value="{saved["id"]}"' in form.text
    sent = site.client.post("/report", headers=FORM, data={"recipe": saved["id"], "reason": "me", "text": ""})
    assert sent.status_code == 303
    assert "Thank you for the report" in words(page(site, sent.headers["location"]))
    review = site.queue.status(sent.headers["location"].rpartition("/")[2])
    assert (review.trigger, review.subject) == ("report", saved["id"])


@pytest.mark.parametrize(("decide", "said"), [("approve", "left it as it is"), ("reject", "took it down")])
def test_who_reported_learns_what_became_of_it(site, decide, said):
    saved = site.client.post("/api/v1/recipes", json={"parents": [{"sample": 1}]}).json()
    sent = site.client.post("/report", headers=FORM, data={"page": saved["url"], "reason": "me"})
    token = sent.headers["location"].rpartition("/")[2]
    review = site.queue.status(token)
    getattr(site.queue, decide)(review.id, 1, actor="ann", reason="fine" if decide == "approve" else "likeness")
    shown = page(site, f"/held/{token}")
    assert said in words(shown)
    assert "appeal" not in shown.text


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"recipe": "A" * 16}, 422, "No reason was chosen."),
        ({"reason": "me"}, 422, "Nothing says which face is meant."),
        ({"page": "http://elsewhere.example/x", "reason": "me"}, 422, "not that of a saved face"),
        ({"recipe": "A" * 16, "reason": "me"}, 404, "There is no recipe"),
        ({"recipe": '"><script>', "reason": "me"}, 422, "That is not the address of a saved face."),
        ({"request_id": "x", "reason": "other"}, 422, "The text is empty."),
        ({"request_id": "x", "reason": "nothing of the list"}, 422, "; it has to be "),
    ],
)
def test_what_is_missing_is_said_and_nothing_typed_is_lost(site, fields, status, said):
    answer = site.client.post(
        "/report", headers=FORM, data={**fields, "text": "" if "other" in fields.values() else "my <words>"}
    )
    assert answer.status_code == status
    assert said in words(answer)
    assert "<script>" not in answer.text
    if "other" not in fields.values():
        assert "my &lt;words&gt;</textarea>" in answer.text


def test_the_form_asks_for_an_address_where_none_is_known(site):
    assert 'name="page"' in page(site, "/report").text
    assert 'value="r-7"' in page(site, "/report?request_id=r-7").text


def test_without_a_database_there_is_no_such_page(client):
    for path in ("/report", "/held/x"):
        assert client.get(path, headers=HTML).status_code == 404
