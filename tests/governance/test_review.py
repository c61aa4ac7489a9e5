"""The queue: every way that a review may go, who may take it, what stays of a picture, and what is written down."""

import itertools
import threading
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import insert, select

from facemix.errors import (
    Busy,
    RecordMissing,
    RequestInvalid,
    RoleMissing,
    SealBroken,
    StorageUnavailable,
    VersionConflict,
)
from facemix.governance.reasons import reasons_for
from facemix.governance.review import Reviews
from facemix.governance.review_states import OPEN, STATES, TRANSITIONS, TRIGGERS
from facemix.governance.review_waiting import UNSEEN
from facemix.governance.secrets import Secrets
from facemix.safety.gallery import Gallery
from facemix.storage.governance_tables import operators, reviews

PICTURE = b"\x89PNG marker of a picture that is held"
HASH = "ab" * 32
HOUR = timedelta(hours=1)


class Recipes:
    """Stands for the saved recipes."""

    def __init__(self, *there):
        self.there, self.refuses = set(there), False

    def take_down(self, identity):
        if self.refuses:
            raise StorageUnavailable("the blob store does not answer", hint="try again")
        found = identity in self.there
        self.there.discard(identity)
        return found


@pytest.fixture
def queue(database, secrets):
    return Reviews(database, secrets, 72, 24, recipes=Recipes("r" * 16))


def held(queue, now, **given):
    given = {"owner": "key", "model_id": "m@1", "picture": PICTURE, "media_type": "image/png", **given}
    return queue.hold("request-1", given.pop("trigger", "guard"), given.pop("detail", "near"), now=now, **given)


def reported(queue, now, subject="r" * 16):
    return queue.hold("request-2", "report", "It looks like me.", subject=subject, released=True, now=now)


def people(database, **roles):
    with database.writing() as connection:
        for name, role in roles.items():
            row = {"name": name, "password_hash": "x", "role": role, "created_at": "now"}
            connection.execute(insert(operators), {**row, "created_at": NOON, "disabled_at": None})


@pytest.fixture(autouse=True)
def _noon(noon):
    global NOON
    NOON = noon


def actions(audit):
    return [(row.actor, row.action) for row in reversed(audit.list())]


def stored(database, identity):
    with database.reading() as connection:
        return connection.execute(select(reviews).where(reviews.c.id == identity)).mappings().one()


def in_state(queue, state, now):
    """A review in that state, by the ways that lead there."""
    review, token = held(queue, now)
    if state == "claimed":
        review = queue.claim(review.id, 1, actor="ann", now=now)
    elif state in ("approved", "rejected", "appealed"):
        decide = queue.approve if state == "approved" else queue.reject
        review = decide(review.id, 1, actor="ann", reason="fine" if state == "approved" else "likeness", now=now)
        if state == "appealed":
            review = queue.appeal(token, "It is me.", now=now)
    elif state == "escalated":
        review = queue.escalate(review.id, 1, actor="ann", reason="unsure", now=now)
    elif state == "expired":
        queue.sweep(now=now + 73 * HOUR)
        review = queue.get(review.id, now=now + 73 * HOUR)
    assert review.state == state
    return review, token


# --- coming in ---------------------------------------------------------------------------------------------


def test_what_is_held_waits_sealed_with_a_clock(queue, database, audit, noon):
    review, token = held(queue, noon, recipe_hash=HASH)
    assert (review.state, review.version, review.open, review.released) == ("pending", 1, True, False)
    assert (review.due_at, review.expires_at) == (noon + 24 * HOUR, noon + 72 * HOUR)
    assert (review.request_id, review.trigger, review.owner, review.recipe_hash) == ("request-1", "guard", "key", HASH)
    row = stored(database, review.id)
    assert PICTURE not in row["picture"]
    assert b"marker" not in row["picture"]
    assert token not in str(dict(row))
    assert len(token) == 43
    assert queue.status(token, now=noon) == queue.get(review.id, now=noon) == review
    assert actions(audit) == [("facemix", "review.hold")]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_every_trigger_is_taken_and_no_other(queue, noon, trigger):
    given = {"picture": None, "media_type": None} if trigger == "report" else {}
    review, _ = held(queue, noon, trigger=trigger, **given)
    assert review.trigger == trigger
    with pytest.raises(ValueError, match="nothing to review"):
        held(queue, noon, trigger="mood")


def test_the_same_result_asked_for_again_waits_once(queue, noon):
    first, token = held(queue, noon, recipe_hash=HASH)
    again, same = held(queue, noon + HOUR, recipe_hash=HASH)
    assert (again.id, same) == (first.id, token)
    others = [
        held(queue, noon, recipe_hash=HASH, owner="another")[0].id,
        held(queue, noon, recipe_hash=HASH, owner=None)[0].id,
        held(queue, noon, recipe_hash=HASH, trigger="margin")[0].id,
        held(queue, noon, recipe_hash=HASH, media_type="image/webp")[0].id,
        held(queue, noon, recipe_hash="cd" * 32)[0].id,
        held(queue, noon)[0].id,
        held(queue, noon)[0].id,
        held(queue, noon + 73 * HOUR, recipe_hash=HASH)[0].id,
    ]
    assert len({first.id, *others}) == 9


def test_a_full_queue_refuses_and_leaves_reports_their_own_room(database, secrets, noon):
    small = Reviews(database, secrets, 72, 24, most=2)
    first, _ = held(small, noon)
    held(small, noon)
    with pytest.raises(Busy, match="2 wait"):
        held(small, noon)
    reported(small, noon)
    small.approve(first.id, 1, actor="ann", reason="fine", now=noon)
    held(small, noon)


def test_a_picture_of_another_review_or_installation_is_not_opened(queue, database, noon):
    first, _ = held(queue, noon)
    second, _ = held(queue, noon)
    other = Reviews(database, Secrets(b"another secret of an installation"), 72, 24)
    with pytest.raises(SealBroken):
        other.picture(first.id, actor="ann", now=noon)
    swapped = stored(database, first.id)["picture"]
    with database.writing() as connection:
        connection.execute(reviews.update().where(reviews.c.id == second.id).values(picture=swapped))
    with pytest.raises(SealBroken):
        queue.picture(second.id, actor="ann", now=noon)


# --- the ways it may go ------------------------------------------------------------------------------------

REASONS = {"approve": "fine", "reject": "likeness", "escalate": "unsure"}


def attempt(queue, action, review, token, now):
    if action in REASONS:
        senior = {} if action == "escalate" else {"senior": True}
        do = getattr(queue, action)
        return do(review.id, review.version, actor="bob", reason=REASONS[action], now=now, **senior)
    if action == "claim":
        return queue.claim(review.id, review.version, actor="bob", now=now)
    if action == "release":
        return queue.release_claim(review.id, review.version, actor="bob", senior=True, now=now)
    return queue.appeal(token, "please", now=now)


@pytest.mark.parametrize(
    ("state", "action"),
    [*itertools.product(STATES, ["claim", "release", "approve", "reject", "escalate", "appeal"])],
)
def test_the_table_is_the_whole_of_what_may_happen(queue, audit, noon, state, action):
    review, token = in_state(queue, state, noon)
    before = actions(audit)
    now = noon + 74 * HOUR if state == "expired" else noon
    if (state, action) == ("claimed", "escalate"):  # ann's own
        after = queue.escalate(review.id, review.version, actor="ann", reason="unsure", now=now)
    elif (state, action) in TRANSITIONS:
        after = attempt(queue, action, review, token, now)
    else:
        with pytest.raises(VersionConflict):
            attempt(queue, action, review, token, now)
        assert queue.get(review.id, now=now) == review
        assert actions(audit) == before
        return
    assert (after.state, after.version) == (TRANSITIONS[state, action], review.version + 1)
    assert [action for _, action in actions(audit)[len(before) :]] == [f"review.{action}"]


def test_every_open_state_expires_closed(queue, database, audit, noon):
    waiting = {state: in_state(queue, state, noon) for state in OPEN}
    late = noon + 73 * HOUR
    for review, token in waiting.values():
        assert queue.get(review.id, now=late).state == "expired", "before any sweep"
        with pytest.raises(VersionConflict):
            queue.approve(review.id, review.version, actor="ann", reason="fine", senior=True, now=late)
        with pytest.raises(RecordMissing):
            queue.collect(token, now=late)
    assert queue.sweep(now=late) == 4
    assert queue.sweep(now=late) == 0
    for review, token in waiting.values():
        row = stored(database, review.id)
        assert (row["state"], row["picture"]) == ("expired", None)
        with pytest.raises(RecordMissing):
            queue.collect(token, now=late)
    assert [action for _, action in actions(audit)].count("review.expire") == 4


def test_of_two_reviewers_one_is_told(queue, audit, noon):
    review, _ = held(queue, noon)
    queue.approve(review.id, 1, actor="ann", reason="fine", now=noon)
    with pytest.raises(VersionConflict, match="approved by ann"):
        queue.reject(review.id, 1, actor="bob", reason="likeness", now=noon)
    assert [row for row in actions(audit) if row[0] == "bob"] == []


def test_of_many_at_once_exactly_one_decides(queue, database, audit, noon):
    review, _ = held(queue, noon)
    start, outcomes = threading.Barrier(6), []

    def decide(name):
        start.wait()
        try:
            queue.approve(review.id, 1, actor=name, reason="fine", now=noon)
            outcomes.append(name)
        except VersionConflict:
            outcomes.append(None)

    threads = [threading.Thread(target=decide, args=(f"r{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [name for name in outcomes if name]
    assert len(outcomes) == 6
    assert queue.get(review.id, now=noon).decided_by == winner
    assert [row for row in actions(audit) if row[1] == "review.approve"] == [(winner, "review.approve")]
    assert audit.verify().broken is None


def test_a_change_whose_audit_row_fails_does_not_happen(queue, audit, monkeypatch, noon):
    review, _ = held(queue, noon)

    def refuse(*args, **options):
        raise StorageUnavailable("the log refuses", hint="try again")

    monkeypatch.setattr(queue._audit, "append_in", refuse)
    with pytest.raises(StorageUnavailable):
        queue.reject(review.id, 1, actor="ann", reason="likeness", now=noon)
    assert queue.get(review.id, now=noon) == review


@pytest.mark.parametrize("version", [0, 2, -1])
def test_a_version_that_nobody_saw_changes_nothing(queue, noon, version):
    review, _ = held(queue, noon)
    with pytest.raises(VersionConflict):
        queue.claim(review.id, version, actor="ann", now=noon)


@pytest.mark.parametrize("identity", ["", "x", "0" * 16, "a" * 5000, "' or 1=1 --", "\ud800"])
def test_an_unknown_review_is_missing(queue, noon, identity):
    for ask in (
        lambda: queue.get(identity),
        lambda: queue.claim(identity, 1, actor="ann"),
        lambda: queue.status(identity),
    ):
        with pytest.raises(RecordMissing):
            ask()


# --- claims, seniors, four eyes ----------------------------------------------------------------------------


def test_what_somebody_has_claimed_is_theirs(queue, noon):
    review, _ = in_state(queue, "claimed", noon)
    for attempt_of_bob in (
        lambda: queue.approve(review.id, 2, actor="bob", reason="fine", now=noon),
        lambda: queue.release_claim(review.id, 2, actor="bob", now=noon),
        lambda: queue.escalate(review.id, 2, actor="bob", reason="unsure", now=noon),
    ):
        with pytest.raises(VersionConflict, match="it is claimed by ann"):
            attempt_of_bob()
    given_back = queue.release_claim(review.id, 2, actor="ann", now=noon)
    assert (given_back.state, given_back.claimed_by) == ("pending", None)
    assert queue.approve(review.id, 3, actor="bob", reason="fine", now=noon).decided_by == "bob"


def test_a_senior_takes_over_a_claim(queue, noon):
    review, _ = in_state(queue, "claimed", noon)
    assert queue.release_claim(review.id, 2, actor="boss", senior=True, now=noon).state == "pending"


def test_what_was_escalated_takes_a_senior(queue, noon):
    review, _ = in_state(queue, "escalated", noon)
    with pytest.raises(RoleMissing):
        queue.approve(review.id, 2, actor="bob", reason="fine", now=noon)
    assert queue.approve(review.id, 2, actor="boss", reason="fine", senior=True, now=noon).state == "approved"


def test_nobody_decides_the_appeal_against_themselves(queue, database, audit, noon):
    people(database, ann="reviewer", bob="reviewer")
    review, _ = in_state(queue, "appealed", noon)
    with pytest.raises(RoleMissing, match="your own decision"):
        queue.approve(review.id, 3, actor="ann", reason="fine", now=noon)
    assert queue.get(review.id, now=noon) == review
    assert queue.approve(review.id, 3, actor="bob", reason="fine", now=noon).decided_by == "bob"
    assert "four_eyes" not in audit.list(1)[0].details


@pytest.mark.parametrize("others", [{}, {"mem": "member"}])
def test_the_only_reviewer_may_and_it_is_marked(queue, database, audit, noon, others):
    people(database, ann="operator", **others)
    review, _ = in_state(queue, "appealed", noon)
    assert queue.reject(review.id, 3, actor="ann", reason="likeness", now=noon).state == "rejected"
    assert audit.list(1)[0].details["four_eyes"] is False


# --- reasons and texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["", "likeness", "fine ", "no such"])
def test_a_reason_is_of_the_list(queue, noon, reason):
    review, _ = held(queue, noon)
    with pytest.raises(RequestInvalid) as refused:
        queue.approve(review.id, 1, actor="ann", reason=reason, now=noon)
    assert refused.value.where == "reason"
    assert queue.get(review.id, now=noon) == review


def test_a_text_is_kept_and_bounded(queue, audit, noon):
    review, _ = held(queue, noon)
    with pytest.raises(RequestInvalid, match="1001 characters"):
        queue.reject(review.id, 1, actor="ann", reason="likeness", text="x" * 1001, now=noon)
    with pytest.raises(RequestInvalid, match="empty"):
        queue.reject(review.id, 1, actor="ann", reason="other", text=" \n ", now=noon)
    done = queue.reject(review.id, 1, actor="ann", reason="other", text=" she\x00 wrote\r\nto us \ud800é", now=noon)
    assert done.text == "she wrote\nto us é"
    assert "wrote" not in str(audit.list()), "the log is for ever, and texts may be about people"


# --- the picture -------------------------------------------------------------------------------------------


def test_a_reviewer_sees_the_picture_and_that_is_noted_once(queue, audit, noon):
    review, _ = held(queue, noon)
    for _ in range(3):
        found = queue.picture(review.id, actor="ann", now=noon)
    queue.picture(review.id, actor="bob", now=noon)
    assert (found.content, found.media_type) == (PICTURE, "image/png")
    looks = [row for row in actions(audit) if row[1] == "review.look"]
    assert looks == [("ann", "review.look"), ("bob", "review.look")]


def test_a_rejection_deletes_the_picture_at_once(queue, database, noon):
    review, token = in_state(queue, "rejected", noon)
    assert stored(database, review.id)["picture"] is None
    with pytest.raises(RecordMissing):
        queue.collect(token, now=noon)
    with pytest.raises(RecordMissing):
        queue.picture(review.id, actor="ann", now=noon)


@pytest.mark.parametrize("state", sorted(set(STATES) - {"approved"}))
def test_nothing_but_an_approval_gives_it_out(queue, noon, state):
    _, token = in_state(queue, state, noon)
    with pytest.raises(RecordMissing):
        queue.collect(token, now=noon)


def test_an_approved_picture_goes_ten_minutes_after_it_was_fetched(queue, database, audit, noon):
    review, token = in_state(queue, "approved", noon)
    for minutes in (0, 5, 9):
        assert queue.collect(token, now=noon + timedelta(minutes=minutes)).content == PICTURE
    later = noon + timedelta(minutes=10)
    with pytest.raises(RecordMissing):
        queue.collect(token, now=later)
    assert not queue.status(token, now=later).has_picture
    assert queue.sweep(now=later) == 1
    assert stored(database, review.id)["picture"] is None
    assert queue.status(token, now=later).state == "approved"
    done = [action for _, action in actions(audit)]
    assert done == ["review.hold", "review.approve", "review.collect", "review.delete_picture"]


def test_an_approved_picture_that_nobody_fetches_goes_with_its_time(queue, database, noon):
    review, token = in_state(queue, "approved", noon)
    assert queue.collect(token, now=noon + 72 * HOUR - timedelta(seconds=1)).content == PICTURE
    with pytest.raises(RecordMissing):
        queue.collect(token, now=noon + 72 * HOUR)
    queue.sweep(now=noon + 72 * HOUR)
    assert stored(database, review.id)["picture"] is None


def test_a_picture_with_which_somebody_protected_since_was_not_compared_is_not_given_out(
    queue, database, secrets, noon
):
    review, token = in_state(queue, "approved", noon)
    gallery = Gallery(database, secrets)
    points = np.zeros((1, 4), np.float32)
    enrolled = gallery.enroll(
        points, "a", "asked by letter of 3 May, signed", actor="ann", embedder="e", now=noon + HOUR
    )
    assert not queue.status(token, now=noon + 2 * HOUR).has_picture
    with pytest.raises(RecordMissing, match="make the same mix again"):
        queue.collect(token, now=noon + 2 * HOUR)
    assert queue.verdict(review.recipe_hash, trigger=review.trigger) == "approved"
    gallery.remove(enrolled, "ann", now=noon + 2 * HOUR)
    assert queue.collect(token, now=noon + 2 * HOUR).content == PICTURE
    # What the guard had seen of the gallery may have been seconds old.
    _, later = in_state(queue, "approved", noon + 3 * HOUR)
    gallery.enroll(
        points, "b", "asked by letter of 3 May, signed", actor="ann", embedder="e", now=noon + 3 * HOUR - UNSEEN / 2
    )
    with pytest.raises(RecordMissing):
        queue.collect(later, now=noon + 3 * HOUR)
    _, later = in_state(queue, "approved", noon + 4 * HOUR)
    assert queue.collect(later, now=noon + 4 * HOUR).content == PICTURE


@pytest.mark.parametrize(("action", "reason"), [("approve", "fine"), ("reject", "likeness")])
def test_what_was_out_already_is_deleted_with_the_decision(queue, database, noon, action, reason):
    review, token = held(queue, noon, trigger="sample", released=True)
    getattr(queue, action)(review.id, 1, actor="ann", reason=reason, now=noon)
    assert stored(database, review.id)["picture"] is None
    with pytest.raises(VersionConflict):
        queue.appeal(token, "please", now=noon)


# --- appeals -----------------------------------------------------------------------------------------------


def test_an_appeal_is_heard_once_and_while_its_time_lasts(queue, noon):
    review, token = in_state(queue, "appealed", noon)
    assert (review.appeal, review.due_at) == ("It is me.", noon + 24 * HOUR)
    with pytest.raises(VersionConflict):
        queue.appeal(token, "again", now=noon)
    queue.reject(review.id, 3, actor="bob", reason="likeness", now=noon)
    with pytest.raises(VersionConflict):
        queue.appeal(token, "again", now=noon)
    _, late = in_state(queue, "rejected", noon)
    with pytest.raises(VersionConflict):
        queue.appeal(late, "late", now=noon + 72 * HOUR)
    with pytest.raises(RequestInvalid):
        queue.appeal(token, "  ", now=noon)


def test_an_appeal_that_is_granted_lets_the_recipe_be_made_again(queue, noon):
    review, token = held(queue, noon, recipe_hash=HASH)
    queue.reject(review.id, 1, actor="ann", reason="likeness", now=noon)
    assert queue.verdict(HASH, trigger="guard") == "rejected"
    queue.appeal(token, "It is me.", now=noon)
    assert queue.verdict(HASH, trigger="guard") is None
    queue.approve(review.id, 3, actor="bob", reason="agreed", now=noon + HOUR)
    assert queue.verdict(HASH, trigger="guard") == "approved"
    assert queue.verdict(HASH, trigger="margin") is None
    assert queue.verdict("cd" * 32, trigger="guard") is None


# --- reports -----------------------------------------------------------------------------------------------


def test_a_report_that_is_right_takes_the_recipe_down(queue, audit, noon):
    review, token = reported(queue, noon)
    done = queue.reject(review.id, 1, actor="ann", reason="likeness", now=noon)
    assert queue._recipes.there == set()
    assert (done.state, done.released, done.standing) == ("rejected", False, False)
    assert actions(audit)[1:] == [("ann", "review.reject"), ("ann", "recipe.take_down")]
    with pytest.raises(VersionConflict):
        queue.appeal(token, "please", now=noon)


def loose(queue, now, request="request-9", detail="It looks like me.\nIt does."):
    return queue.hold(request, "report", detail, released=True, now=now)


def test_a_report_of_the_same_recipe_joins_the_one_that_waits(queue, audit, noon):
    first, token = reported(queue, noon)
    again, same = queue.hold("r-8", "report", "It shows a child.\nLook!", subject="r" * 16, released=True, now=noon)
    assert (again.id, same, again.version) == (first.id, token, 1)  # so that a reviewer can decide all the same
    assert again.detail == "Reported 2 times.\nIt looks like me.\nIt shows a child.\nLook!"
    assert reported(queue, noon, "s" * 16)[0].id != first.id
    queue.approve(first.id, 1, actor="ann", reason="fine", now=noon)
    assert reported(queue, noon)[0].id != first.id
    assert [row.action for row in audit.list()].count("review.hold") == 3


def test_a_report_of_the_same_request_joins_where_the_reason_is_the_same(queue, noon):
    first, _ = loose(queue, noon)
    assert loose(queue, noon)[0].detail.startswith("Reported 2 times.\nIt looks like me.")
    assert loose(queue, noon, detail="It shows a child.")[0].id != first.id
    assert loose(queue, noon, request="request-10")[0].id != first.id
    assert loose(queue, noon)[0].detail.startswith("Reported 3 times.\nIt looks like me.")
    forged, _ = loose(queue, noon, "request-11", "It looks like me.\nReported 500 times.")
    assert not forged.detail.startswith("Reported")


def test_many_reports_of_one_thing_stay_bounded_and_leave_room_for_every_reason(queue, noon):
    for number in range(40):
        reported(queue, noon)
        queue.hold("r", "report", f"It looks like me.\n{number} {'x' * 900}", subject="r" * 16, released=True, now=noon)
    for reason in reasons_for("report"):
        last, _ = queue.hold(
            "r", "report", f"{reason.sentence}\n{'y' * 1000}", subject="r" * 16, released=True, now=noon
        )
    assert len(last.detail) <= 2000
    assert last.detail.startswith(f"Reported {80 + len(reasons_for('report'))} times.\n")
    for reason in reasons_for("report"):
        assert reason.sentence in last.detail.splitlines()


def test_made_up_requests_do_not_shut_out_reports_of_saved_faces(database, secrets, noon):
    small = Reviews(database, secrets, 72, 24, most=2)
    loose(small, noon, "made-up-1")
    loose(small, noon, "made-up-2")
    with pytest.raises(Busy):
        loose(small, noon, "made-up-3")
    loose(small, noon, "made-up-2")
    for name in "abc":
        assert reported(small, noon, name * 16)[0].open
    held(small, noon)
    loose(small, noon + 91 * 24 * HOUR, "made-up-3")


def test_a_look_without_fetching_starts_no_clock(queue, audit, noon):
    review, token = held(queue, noon)
    queue.approve(review.id, 1, actor="ann", reason="fine", now=noon)
    assert queue.collect(token, fetched=False, now=noon).content == PICTURE
    assert queue.get(review.id, now=noon).expires_at == review.expires_at
    assert ("facemix", "review.collect") not in actions(audit)


def test_a_report_that_is_wrong_leaves_it(queue, noon):
    review, _ = reported(queue, noon)
    queue.approve(review.id, 1, actor="ann", reason="fine", now=noon)
    with pytest.raises(VersionConflict):
        queue.take_down(review.id, actor="ann", now=noon)
    queue.sweep(now=noon + 400 * 24 * HOUR)
    assert queue._recipes.there == {"r" * 16}


def test_what_cannot_be_taken_down_now_is_taken_down_later(queue, audit, noon):
    review, _ = reported(queue, noon)
    queue._recipes.refuses = True
    assert queue.reject(review.id, 1, actor="ann", reason="likeness", now=noon).standing
    with pytest.raises(StorageUnavailable):
        queue.sweep(now=noon)
    queue._recipes.refuses = False
    assert queue.sweep(now=noon) == 1
    assert queue.sweep(now=noon) == 0
    assert queue._recipes.there == set()
    assert actions(audit)[-1] == ("facemix", "recipe.take_down")


def test_a_report_waits_until_somebody_decides(queue, noon):
    review, _ = reported(queue, noon)
    weeks = noon + 21 * 24 * HOUR
    queue.sweep(now=weeks)
    assert queue.get(review.id, now=weeks).overdue(weeks)


# --- the clock and the list --------------------------------------------------------------------------------


def test_the_tally_counts_by_state_and_age(queue, noon):
    assert queue.tally(now=noon).oldest_seconds(noon) == 0
    for state in STATES:
        if state != "expired":
            in_state(queue, state, noon)
    reported(queue, noon + HOUR)
    now = noon + 25 * HOUR
    tally = queue.tally(now=now)
    assert tally.counts == {state: {"pending": 2, "expired": 0}.get(state, 1) for state in STATES}
    assert (tally.waiting, tally.overdue, tally.oldest_seconds(now)) == (5, 5, 25 * 3600)
    late = noon + 73 * HOUR
    unswept = queue.tally(now=late)
    queue.sweep(now=late)
    assert unswept == queue.tally(now=late) == queue.latest
    assert (unswept.counts["expired"], unswept.counts["pending"], unswept.oldest) == (4, 1, noon + HOUR)


def test_the_list_begins_with_what_is_due_first(queue, noon):
    late, _ = held(queue, noon + HOUR)
    early, _ = held(queue, noon)
    done, _ = in_state(queue, "approved", noon)
    assert [review.id for review in queue.list(now=noon)] == [early.id, late.id]
    assert [review.id for review in queue.list(limit=1, offset=1, now=noon)] == [late.id]
    assert [review.id for review in queue.list(STATES, now=noon)] == [early.id, late.id, done.id]
    assert [review.id for review in queue.list(("approved",), now=noon)] == [done.id]
    assert queue.list(trigger="margin", now=noon) == []
    after = noon + 72 * HOUR
    assert [review.id for review in queue.list(now=after)] == [late.id]
    assert [review.id for review in queue.list(("expired",), now=after)] == [early.id]


def test_what_was_decided_long_ago_is_forgotten(queue, noon):
    _, token = in_state(queue, "rejected", noon)
    kept, _ = held(queue, noon + 300 * 24 * HOUR)
    queue.sweep(now=noon + 400 * 24 * HOUR)
    with pytest.raises(RecordMissing):
        queue.status(token)
    assert queue.get(kept.id).state == "expired"


def test_with_no_days_named_decisions_are_remembered_for_ever(database, secrets, noon):
    queue = Reviews(database, secrets, 72, 24, keep_days=0)
    review, _ = in_state(queue, "rejected", noon)
    queue.sweep(now=noon + 9999 * 24 * HOUR)
    assert queue.get(review.id).state == "rejected"
