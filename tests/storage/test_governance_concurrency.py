"""The audit log and the queue of reviews under several writers at once, on both databases."""

import threading
from datetime import timedelta

import pytest

from facemix.errors import RecordMissing, VersionConflict
from facemix.governance.audit import AuditLog
from facemix.governance.controls import Controls
from facemix.governance.review import Reviews
from facemix.governance.secrets import Secrets
from facemix.storage.database import Database

PICTURE = b"a held picture"


@pytest.fixture
def queue(fresh):
    return Reviews(fresh, Secrets(b"a secret of an installation, long"), 72, 24)


def at_once(*calls):
    """What each has returned or raised."""
    start, outcomes = threading.Barrier(len(calls)), [None] * len(calls)

    def run(index):
        start.wait()
        try:
            outcomes[index] = calls[index]()
        except Exception as error:
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not [thread for thread in threads if thread.is_alive()], "they wait for each other"
    return outcomes


def test_several_processes_add_to_one_chain(fresh):
    def add(name):
        with Database.open(fresh.engine.url) as mine:
            log = AuditLog(mine)
            for number in range(8):
                log.append(name, "review.look", str(number))

    assert at_once(*(lambda name=name: add(name) for name in "abcd")) == [None] * 4
    check = AuditLog(fresh).verify()
    assert (check.rows, check.broken) == (32, None)


def test_of_many_reviewers_one_decides_and_the_chain_holds(queue, fresh, noon):
    review, _ = queue.hold("r", "guard", "", picture=PICTURE, media_type="image/png", now=noon)

    def decide(name):
        return queue.reject(review.id, 1, actor=name, reason="likeness", now=noon).decided_by

    outcomes = at_once(*(lambda name=name: decide(name) for name in "abcd"))
    (winner,) = [one for one in outcomes if isinstance(one, str)]
    assert all(isinstance(one, VersionConflict) for one in outcomes if one != winner)
    assert queue.get(review.id, now=noon).decided_by == winner
    check = AuditLog(fresh).verify()
    assert (check.rows, check.broken) == (2, None)


def test_sweeps_decisions_and_switches_do_not_lock_each_other_out(queue, fresh, noon):
    """Rows of the queue and the log's lock are taken in one order by everybody."""
    held = [queue.hold("r", "guard", "", picture=PICTURE, media_type="image/png", now=noon)[0] for _ in range(12)]
    late, controls = noon + timedelta(hours=73), Controls(fresh)

    def decide(name):
        for review in held:
            with pytest.raises((VersionConflict, RecordMissing)):
                queue.approve(review.id, review.version, actor=name, reason="fine", now=late)

    def switch():
        for _ in range(12):
            controls.touch("models", actor="facemix", action="models.change")

    def sweep():
        return queue.sweep(now=late)

    outcomes = at_once(sweep, sweep, lambda: decide("a"), lambda: decide("b"), switch)
    assert sum(one for one in outcomes[:2]) == 12
    assert outcomes[2:] == [None] * 3
    check = AuditLog(fresh).verify()
    assert (check.rows, check.broken) == (12 + 12 + 12, None)
    assert queue.tally(now=late).counts["expired"] == 12


def test_a_picture_is_fetched_by_several_at_once(queue, fresh, noon):
    review, token = queue.hold("r", "guard", "", picture=PICTURE, media_type="image/png", now=noon)
    queue.approve(review.id, 1, actor="ann", reason="fine", now=noon)
    outcomes = at_once(*(lambda: queue.collect(token, now=noon).content for _ in range(4)))
    assert outcomes == [PICTURE] * 4
    assert queue.get(review.id, now=noon + timedelta(minutes=10)).has_picture is False


def test_texts_that_a_database_may_not_like_are_kept_or_cleaned(queue, noon):
    review, token = queue.hold("r", "guard", "dépasse \U0001f600", owner="key", now=noon)
    queue.reject(review.id, 1, actor="ann", reason="other", text="nul\x00 é \ud800 \U0001f600", now=noon)
    found = queue.appeal(token, "\x00please\x1b", now=noon)
    assert (found.text, found.appeal, found.detail) == ("nul é  \U0001f600", "please", "dépasse \U0001f600")
