"""The console's queue: who may, what it shows, and every way to decide."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from reviewing import HTML, now, reviewing, words

from facemix.governance.review_states import STATES
from facemix.web.console_review import clock, span


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with reviewing(tmp_path_factory.mktemp("data")) as made:
        yield made


@pytest.fixture(scope="module")
def people(site):
    roles = {"ann": "reviewer", "bob": "reviewer", "boss": "operator", "mem": "member"}
    return {name: site.person(name, role) for name, role in roles.items()}


@pytest.fixture
def ann(people):
    return people["ann"]


def path_of(review):
    return f"/console/review/{review.id}"


def state(site, review):
    return site.queue.get(review.id).state


# --- who may -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", ["", "/{id}", "/{id}/picture"])
def test_only_reviewers_look(site, people, tail):
    review, _ = site.held()
    path = "/console/review" + tail.format(id=review.id)
    signed_out = site.client.get(path, headers=HTML)
    assert (signed_out.status_code, signed_out.headers["location"].partition("?")[0]) == (303, "/console/sign-in")
    assert site.client.get(path).status_code == 401
    assert people["mem"].get(path).status_code == 403
    assert people["ann"].get(path).status_code == people["boss"].get(path).status_code == 200
    assert people["ann"].get(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("action", ["claim", "release", "approve", "reject", "escalate", "takedown"])
def test_only_reviewers_act_and_only_by_their_own_forms(site, people, action):
    review, _ = site.held()
    fields = {"version": 1, "reason": {"approve": "fine", "escalate": "unsure"}.get(action, "likeness")}
    path = f"{path_of(review)}/{action}"
    assert site.client.post(path, data=fields, headers=HTML).status_code == 303
    assert people["mem"].post(path, **fields).status_code == 403
    assert people["ann"].post(path, **{**fields, "csrf": people["bob"].csrf}).status_code == 403
    assert people["ann"].post(path, **{**fields, "csrf": ""}).status_code == 403
    assert state(site, review) == "pending"


# --- the queue ---------------------------------------------------------------------------------------------


def test_the_queue_shows_what_is_due_first(tmp_path):
    with reviewing(tmp_path) as site:
        ann = site.person("ann", "reviewer")
        assert "Nothing waits for a decision" in words(ann.get("/console/review"))
        young, _ = site.held(now=now() - timedelta(hours=1))
        old, _ = site.held(now=now() - timedelta(hours=30), owner="partner")
        shown = ann.get("/console/review")
        assert re.findall(r"/console/review/([0-9a-f]{16})", shown.text) == [old.id, young.id]
        said = words(shown)
        assert "2 wait, the oldest for 30 h; 1 overdue" in said
        assert "overdue by 6 h" in said
        assert "due in 23 h" in said
        assert "key partner" in said
        site.queue.approve(old.id, 1, actor="bob", reason="fine")
        assert re.findall(r"/console/review/([0-9a-f]{16})", ann.get("/console/review?state=approved").text) == [old.id]
        shown = ann.get("/console/review?state=approved")
        assert "approved 1" in words(shown)
        assert "approved by bob" in words(shown)


def test_the_queue_goes_over_pages(tmp_path):
    with reviewing(tmp_path) as site:
        ann = site.person("ann", "reviewer")
        held = [site.held(now=now() - timedelta(minutes=number))[0].id for number in range(32)][::-1]
        first = ann.get("/console/review")
        assert re.findall(r"/console/review/([0-9a-f]{16})", first.text) == held[:30]
        assert "page=2" in first.text
        second = ann.get("/console/review?state=waiting&page=2")
        assert re.findall(r"/console/review/([0-9a-f]{16})", second.text) == held[30:]
        assert "page=3" not in second.text


@pytest.mark.parametrize("chosen", ["waiting", *STATES])
def test_every_list_can_be_opened(ann, chosen):
    assert ann.get(f"/console/review?state={chosen}").status_code == 200


@pytest.mark.parametrize(
    ("query", "status"), [("state=x", 404), ("page=0", 422), ("page=x", 422), ("page=-1", 422), ("page=999999", 422)]
)
def test_lists_that_there_are_not(ann, query, status):
    assert ann.get(f"/console/review?{query}").status_code == status


@pytest.mark.parametrize("identity", ["x", "0" * 16, "%00", "' or 1=1 --", "a" * 3000])
def test_reviews_that_there_are_not(ann, identity):
    for path in (f"/console/review/{identity}", f"/console/review/{identity}/picture"):
        assert ann.get(path).status_code == 404
    for action in ("claim", "approve", "takedown"):
        assert ann.post(f"/console/review/{identity}/{action}", version=1, reason="fine").status_code == 404


# --- one of them -------------------------------------------------------------------------------------------


def test_it_shows_what_is_known_in_plain_words(site, ann):
    review, _ = site.held(recipe_hash="ab" * 32, owner="partner")
    shown = ann.get(path_of(review))
    said = words(shown)
    for word in (
        "It resembles a protected person.",
        "near to somebody",
        "m@1",
        "ab" * 32,
        "request-1",
        "partner",
        "due in 24 h",
    ):
        assert word in said
    assert f'src="{path_of(review)}/picture"' in shown.text
    assert "style=" not in shown.text
    assert "It was held," in said


def test_a_protected_person_is_no_saved_face(site, ann):
    review, _ = site.held(subject="kV0tW3qfX8mZ1aBc")
    assert "/r/kV0tW3qfX8mZ1aBc" not in ann.get(path_of(review)).text


def test_the_picture_is_opened_for_a_reviewer_and_noted(site, ann):
    review, _ = site.held()
    for _ in range(2):
        answer = ann.get(f"{path_of(review)}/picture")
        assert (answer.content, answer.headers["content-type"]) == (b"PICTURE" * 30, "image/png")
        assert answer.headers["cache-control"] == "no-store"
    said = words(ann.get(path_of(review)))
    assert said.count("ann looked at the picture") == 1


def test_texts_of_strangers_are_only_text(site, ann):
    review, _ = site.queue.hold("r", "report", "<script>alert(1)</script>", released=True)
    shown = ann.get(path_of(review)).text
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert(1)" in shown


# --- deciding ----------------------------------------------------------------------------------------------


def test_claim_and_approve(site, ann, people):
    review, token = site.held()
    claimed = ann.post(f"{path_of(review)}/claim", version=1)
    assert (claimed.status_code, claimed.headers["location"]) == (303, path_of(review))
    assert site.queue.get(review.id).claimed_by == "ann"
    others = people["bob"].get(path_of(review))
    assert "ann has claimed it" in words(others)
    assert f"{path_of(review)}/approve" not in others.text
    done = ann.post(f"{path_of(review)}/approve", version=2, reason="no_match", text="looked twice")
    assert done.status_code == 303
    found = site.queue.get(review.id)
    assert (found.state, found.decided_by, found.reason, found.text) == ("approved", "ann", "no_match", "looked twice")
    assert site.client.get(f"/api/v1/reviews/{token}/picture").content == b"PICTURE" * 30
    said = words(ann.get(path_of(review)))
    assert "It does not look like the person it was compared with." in said
    assert "looked twice" in said


def test_give_back_and_reject(site, ann):
    review, _ = site.held()
    ann.post(f"{path_of(review)}/claim", version=1)
    ann.post(f"{path_of(review)}/release", version=2)
    assert state(site, review) == "pending"
    ann.post(f"{path_of(review)}/reject", version=3, reason="likeness")
    assert state(site, review) == "rejected"
    assert "There is no picture (any more)" in words(ann.get(path_of(review)))
    assert ann.get(f"{path_of(review)}/picture").status_code == 404


def test_what_a_reviewer_leaves_to_an_operator_only_an_operator_decides(site, ann, people):
    review, _ = site.held()
    ann.post(f"{path_of(review)}/escalate", version=1, reason="legal")
    assert "/approve" not in ann.get(path_of(review)).text
    refused = ann.post(f"{path_of(review)}/approve", version=2, reason="fine")
    assert refused.status_code == 403
    assert "decided by an operator" in words(refused)
    assert people["boss"].post(f"{path_of(review)}/approve", version=2, reason="fine").status_code == 303


def test_the_second_of_two_reviewers_is_told_and_keeps_what_was_typed(site, ann, people):
    review, _ = site.held()
    assert people["bob"].post(f"{path_of(review)}/escalate", version=1, reason="unsure").status_code == 303
    late = people["boss"].post(f"{path_of(review)}/reject", version=1, reason="likeness", text="the <mayor>")
    assert late.status_code == 409
    said = words(late)
    assert "Nothing was changed: It is escalated now." in said
    assert "the &lt;mayor&gt;</textarea>" in late.text
    assert 'name="version" value="2"' in late.text
    assert state(site, review) == "escalated"


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 1},
        {"version": 1, "reason": "nothing of the list"},
        {"version": 1, "reason": "other"},
        {"version": 1, "reason": "likeness", "text": "x" * 1001},
        {"version": "x", "reason": "likeness"},
        {"version": "", "reason": "likeness"},
        {"version": "9" * 30, "reason": "likeness"},
        {"reason": "likeness"},
    ],
)
def test_a_form_that_says_too_little_changes_nothing(site, ann, fields):
    review, _ = site.held()
    answer = ann.post(f"{path_of(review)}/reject", **fields)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert state(site, review) == "pending"


def test_there_are_no_other_actions(site, ann):
    review, _ = site.held()
    for action in ("expire", "appeal", "__init__", "sweep", "hold"):
        assert ann.post(f"{path_of(review)}/{action}", version=1, reason="fine").status_code == 404


def test_an_appeal_shows_what_was_written_and_takes_another_pair_of_eyes(site, ann, people):
    review, token = site.held()
    ann.post(f"{path_of(review)}/reject", version=1, reason="likeness")
    site.client.post(f"/api/v1/reviews/{token}/appeal", json={"text": "It is <me>."})
    shown = ann.get(path_of(review))
    assert "It is &lt;me&gt;." in shown.text
    refused = ann.post(f"{path_of(review)}/approve", version=3, reason="agreed")
    assert refused.status_code == 403
    assert "The appeal is against your own decision" in words(refused)
    assert people["bob"].post(f"{path_of(review)}/approve", version=3, reason="agreed").status_code == 303
    assert "Whoever waits appealed" in words(ann.get(path_of(review)))


# --- reports -----------------------------------------------------------------------------------------------


def reported(site):
    saved = site.client.post("/api/v1/recipes", json={"parents": [{"sample": 1}]}).json()
    answer = site.client.post("/api/v1/reports", json={"recipe": saved["id"], "reason": "me"}).json()
    return saved, site.queue.status(answer["status_url"].rpartition("/")[2])


def test_a_reported_face_is_looked_at_and_taken_down(site, ann):
    saved, review = reported(site)
    assert "Somebody has reported it." in words(ann.get(path_of(review)))
    picture = ann.get(f"{path_of(review)}/picture")
    assert picture.content == site.client.get(f"/api/v1/recipes/{saved['id']}/picture").content
    ann.get(f"{path_of(review)}/picture")
    looks = [
        row.actor
        for row in site.governed.audit.about(review.id, since=review.created_at)
        if row.action == "review.look"
    ]
    assert looks == ["ann"]
    assert ann.post(f"{path_of(review)}/reject", version=1, reason="likeness").status_code == 303
    assert site.client.get(f"/api/v1/recipes/{saved['id']}").status_code == 404
    shown = ann.get(path_of(review))
    assert "ann took the reported face down" in words(shown)
    assert saved["id"] not in shown.text
    assert ann.get(f"{path_of(review)}/picture").status_code == 404


def test_a_reported_face_that_its_owner_deleted_meanwhile_is_no_defect(site, ann):
    saved, review = reported(site)
    token = {"X-Facemix-Delete-Token": saved["delete_token"]}
    assert site.client.request("DELETE", f"/api/v1/recipes/{saved['id']}", headers=token).status_code == 204
    assert ann.get(path_of(review)).status_code == 200
    assert ann.post(f"{path_of(review)}/reject", version=1, reason="likeness").status_code == 303
    assert "It was gone already." in words(ann.get(path_of(review)))


def test_what_could_not_be_taken_down_can_be_tried_again(site, ann, monkeypatch):
    from facemix.errors import StorageUnavailable

    saved, review = reported(site)
    real = site.queue._recipes.take_down

    def refuse(identity):
        raise StorageUnavailable("the blob store does not answer", hint="try again")

    monkeypatch.setattr(site.queue._recipes, "take_down", refuse)
    assert ann.post(f"{path_of(review)}/reject", version=1, reason="likeness").status_code == 303
    assert "could not be deleted yet" in words(ann.get(path_of(review)))
    monkeypatch.setattr(site.queue._recipes, "take_down", real)
    assert ann.post(f"{path_of(review)}/takedown").status_code == 303
    assert site.client.get(f"/api/v1/recipes/{saved['id']}").status_code == 404


# --- the clock ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 min"), (59 * 60, "59 min"), (3600, "1 h"), (47 * 3600, "47 h"), (72 * 3600, "3 days"), (-1800, "30 min")],
)
def test_spans(seconds, text):
    assert span(seconds) == text


def test_the_clock_of_what_is_decided_says_by_whom(site):
    review, _ = site.held()
    done = site.queue.reject(review.id, 1, actor="ann", reason="likeness")
    assert clock(done, datetime.now(UTC)) == "rejected by ann"
