"""What may leave, what waits for a person, and who is never kept waiting."""

import asyncio
import hashlib
import shutil
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from facemix.errors import Busy, Held, ResultWithheld, StorageUnavailable
from facemix.governance.operators import Operators
from facemix.governance.review import Reviews
from facemix.governance.secrets import Secrets
from facemix.mixing.recipe import ModelIdentity
from facemix.safety import results
from facemix.safety.gallery import Gallery
from facemix.safety.guard import Guard, Match
from facemix.safety.marking import Marker
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.storage.governance_tables import operators as people
from facemix.storage.governance_tables import reviews as queue_table
from facemix.web import judging
from facemix.web.judging import LATELY_SECONDS, LOW_MARGIN, About, LetAll, Reviewed, hash_of
from facemix.web.release import Release, sample_recipe

MODEL = ModelIdentity(name="m", weights="ab" * 32)
RECIPE = sample_recipe(MODEL, 1, 0)
OTHER = sample_recipe(MODEL, 2, 0)
WHOSE = About("request-1", "a key", MODEL)
SECRETS = Secrets(b"s" * 32)
FRAMES = np.stack([np.full((64, 64, 3), 40 * number, np.uint8) for number in range(1, 6)])


class FakeGuard:
    """Finds whom it is told to find, one or several; `seen` are the frames that it was shown, `wait` is waited for."""

    def __init__(self):
        self.found, self.seen, self.paths, self.wait = None, [], [], None

    def match(self, frames, *, path=False):
        self.seen.append(frames)
        self.paths.append(path)
        if self.wait is not None:
            self.wait.wait(60)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def matches(self, frames, *, path=False):
        found = self.match(frames, path=path)
        return found if isinstance(found, tuple) else () if found is None else (found,)


class MeanLevel:
    """A face is its mean level, from 0 to 1."""

    name = "level"

    def embed(self, crops):
        return (crops.reshape(len(crops), -1).mean(1, keepdims=True) / 255).astype(np.float32)


class Desk:
    """A judge with a queue; `draws` are the numbers of the lot, `now` is the clock."""

    def __init__(self, database, share=0.0, guard=None):
        self.database, self.guard = database, guard or FakeGuard()
        self.queue = Reviews(database, SECRETS, 72, 24)
        self.operators, self.gallery = Operators(database), Gallery(database, SECRETS)
        self.now, self.draws = 1000.0, []
        self.judge = Reviewed(
            Settings(review_share=share),
            self.queue,
            self.operators,
            self.guard,
            self.gallery,
            draw=lambda: self.draws.pop(0),
            clock=lambda: self.now,
        )
        self.release = Release(self.judge, Marker(label=False, mark=True, credentials=None, secrets=SECRETS))

    def judged(self, frames=FRAMES[:1], recipe=RECIPE, margins=None, *, about=WHOSE, **options):
        """Returns, or raises, what the judge does with a result."""
        asyncio.run(self.release.judged(about, frames, recipe, (), margins, **options))

    def held(self, *arguments, **options):
        with pytest.raises(Held) as refusal:
            self.judged(*arguments, **options)
        return self.queue.get(refusal.value.details["review_id"]), refusal.value

    def reviewer(self, name="ana", role="reviewer", **values):
        row = {"name": name, "role": role, "password_hash": "-", "created_at": datetime.now(UTC), **values}
        with self.database.writing() as connection:
            connection.execute(people.insert(), row)

    def enrol(self, now=None):
        return self.gallery.enroll(
            np.ones((1, 4), np.float32), "somebody", "asked by letter", "command line", embedder="e", now=now
        )

    def waiting(self):
        return self.queue.list()


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory):
    path = tmp_path_factory.mktemp("database") / "facemix.sqlite3"
    with Database.open(f"sqlite:///{path}") as opened:
        opened.upgrade()
    return path


@pytest.fixture
def database(upgraded, tmp_path):
    shutil.copy(upgraded, tmp_path / "facemix.sqlite3")
    with Database.open(f"sqlite:///{tmp_path}/facemix.sqlite3") as opened:
        yield opened


@pytest.fixture
def desk(database):
    return Desk(database)


def broken(*_, **__):
    raise StorageUnavailable("the database does not answer", hint="look at it")


# --- the guard ---------------------------------------------------------------------------------------------


def test_what_nobody_finds_anything_in_is_let_out(desk):
    desk.reviewer()
    desk.judged()
    assert desk.waiting() == []
    assert np.array_equal(desk.guard.seen[0], FRAMES[:1])


def test_a_match_is_held_with_a_sealed_picture_of_what_would_have_been_given_out(desk):
    desk.guard.found = Match("somebody", 0.4123, 0)
    review, _ = desk.held()
    assert (review.state, review.trigger, review.released) == ("pending", "guard", False)
    assert (review.request_id, review.owner, review.model_id) == ("request-1", "a key", str(MODEL))
    assert review.recipe_hash == RECIPE.hash
    assert "0.412" in review.detail
    assert "somebody" in review.detail
    picture = desk.queue.picture(review.id, actor="ana")
    assert picture.media_type == "image/png"
    assert picture.content == desk.release.picture(FRAMES[0], "image/png", RECIPE), "marked, as it would have left"
    with desk.database.reading() as connection:
        sealed = connection.execute(queue_table.select()).mappings().one()["picture"]
    assert picture.content[:8] not in sealed  # three letters of it would be there by chance, now and then
    assert picture.content[40:80] not in sealed


def test_whoever_waits_is_told_where_to_look_and_not_why(desk):
    desk.guard.found = Match("somebody", 0.4, 0)
    review, refusal = desk.held()
    token = refusal.details["status_path"].removeprefix("/held/")
    assert desk.queue.status(token).id == review.id
    assert f"/held/{token}" in refusal.hint, "jobs and manifests tell nothing else of it"
    said = f"{refusal.message} {refusal.hint}"
    assert "somebody" not in said
    assert "0.4" not in said.replace(token, "")


def test_the_guard_holds_even_where_nobody_could_review(desk):
    desk.guard.found = Match("somebody", 0.4, 0)
    review, _ = desk.held()
    assert desk.operators.count("reviewer") == 0
    assert review.open


def test_the_same_result_again_is_the_same_review_and_of_another_key_another(desk):
    desk.guard.found = Match("somebody", 0.4, 0)
    first, refusal = desk.held()
    again, same = desk.held(about=About("request-2", "a key", MODEL))
    assert (again.id, same.details) == (first.id, refusal.details)
    other, _ = desk.held(about=About("request-3", "another key", MODEL))
    assert other.id != first.id
    assert desk.held(recipe=OTHER)[0].id != first.id


def test_what_was_approved_is_let_out_from_then_on(desk):
    desk.guard.found = Match("somebody", 0.4, 0)
    review, _ = desk.held()
    desk.queue.approve(review.id, 1, actor="ana", reason="fine")
    desk.judged()
    desk.judged(about=About("request-9", None, MODEL))
    assert desk.waiting() == []
    assert desk.held(recipe=OTHER)


def test_what_was_rejected_is_withheld_without_a_further_review(desk):
    desk.guard.found = Match("somebody", 0.4, 0)
    review, _ = desk.held()
    desk.queue.reject(review.id, 1, actor="ana", reason="likeness")
    with pytest.raises(ResultWithheld, match="decided"):
        desk.judged()
    assert desk.waiting() == []


def test_an_approval_stays_when_somebody_else_is_enrolled_whom_the_guard_still_holds(desk):
    now = datetime.now(UTC)
    first = desk.enrol(now - timedelta(days=2))
    desk.guard.found = Match(first, 0.4, 0)
    review, _ = desk.held()
    desk.queue.approve(review.id, 1, actor="ana", reason="fine", now=now - timedelta(days=1))
    second = desk.enrol(now)
    desk.judged()
    assert desk.waiting() == [], "it resembles nobody whom the reviewer was not asked about"
    for both in ((first, second), (second, first)):
        desk.guard.found = tuple(Match(person, 0.3, 0) for person in both)
        again, _ = desk.held()
        assert (again.subject, again.id != review.id) == (second, True)
    desk.queue.approve(again.id, 1, actor="ana", reason="fine")
    desk.judged()
    desk.gallery.remove(second, "command line")
    desk.judged()


def test_who_is_enrolled_anew_is_asked_about_anew(database):
    now = [1000.0]
    gallery = Gallery(database, SECRETS)
    desk = Desk(database, guard=Guard(gallery, MeanLevel(), 0.1, clock=lambda: now[0]))

    def enrol(level):
        return gallery.enroll(np.full((1, 1), level, np.float32), "label", "asked by letter", "me", embedder="level")

    def held():
        now[0] += 5
        return desk.held()[0]

    level = FRAMES[0].mean() / 255
    ana = enrol(level + 0.05)
    first = held()
    assert first.subject == ana
    desk.queue.approve(first.id, 1, actor="ana", reason="fine")
    enrol(0.9)
    now[0] += 5
    desk.judged()
    gallery.remove(ana, "me")
    again = enrol(level + 0.04)  # the same person, by a better photograph
    assert held().subject == again


def test_a_reviewer_is_told_of_all_whom_a_result_resembles_and_nobody_approved(desk):
    desk.guard.found = (Match("one", 0.31, 0), Match("two", 0.42, 3), Match("three", 0.45, 1))
    review, _ = desk.held(FRAMES)
    assert review.subject == "one"
    assert all(said in review.detail for said in ("0.310 from protected person one", "0.420", "two", "0.450", "three"))
    assert desk.queue.picture(review.id, actor="ana").content == desk.release.picture(FRAMES[0], "image/png", RECIPE)
    desk.queue.approve(review.id, 1, actor="ana", reason="fine")
    second, _ = desk.held(FRAMES)
    assert second.subject == "two"
    assert "person one" not in second.detail
    assert "0.450 from three" in second.detail


def test_a_rejection_outlives_an_enrolment(desk):
    now = datetime.now(UTC)
    desk.guard.found = Match("somebody", 0.4, 0)
    review, _ = desk.held()
    desk.queue.reject(review.id, 1, actor="ana", reason="likeness", now=now - timedelta(days=1))
    desk.enrol(now)
    with pytest.raises(ResultWithheld):
        desk.judged()


def test_an_approval_of_one_kind_says_nothing_about_another(desk):
    desk.reviewer()
    review, _ = desk.held(margins=[0.01])
    desk.queue.approve(review.id, 1, actor="ana", reason="fine")
    desk.judged(margins=[0.01])
    desk.guard.found = Match("somebody", 0.4, 0)
    assert desk.held(margins=[0.01])[0].trigger == "guard"


def test_an_approved_match_of_low_margin_is_held_for_that(desk):
    desk.reviewer()
    desk.guard.found = Match("somebody", 0.4, 0)
    review, _ = desk.held(margins=[0.01])
    desk.queue.approve(review.id, 1, actor="ana", reason="fine")
    assert desk.held(margins=[0.01])[0].trigger == "margin"


@pytest.mark.parametrize("place", ["match", "verdict", "hold"])
def test_what_cannot_be_compared_looked_up_or_held_does_not_get_out(desk, monkeypatch, place):
    desk.guard.found = Match("somebody", 0.4, 0)
    target = desk.guard if place == "match" else desk.queue
    monkeypatch.setattr(target, place, broken)
    with pytest.raises(StorageUnavailable):
        desk.judged()


def test_a_full_queue_does_not_let_a_match_out(database):
    desk = Desk(database)
    desk.queue._most = 1
    desk.guard.found = Match("somebody", 0.4, 0)
    desk.held()
    with pytest.raises(Busy):
        desk.judged(recipe=OTHER)


# --- the margin --------------------------------------------------------------------------------------------


def test_the_limit_is_that_of_the_checks():
    assert results.LOW_MARGIN == LOW_MARGIN


def test_a_low_margin_is_held_where_somebody_may_decide(desk):
    desk.judged(margins=[0.01])
    desk.reviewer("bo", "member")
    desk.reviewer("cy", "operator", disabled_at=datetime.now(UTC))
    desk.now += LATELY_SECONDS
    desk.judged(margins=[0.01])
    assert desk.waiting() == []
    desk.reviewer("ana", "reviewer")
    desk.now += LATELY_SECONDS
    review, _ = desk.held(margins=[0.01])
    assert review.trigger == "margin"
    assert "0.010" in review.detail
    desk.judged(margins=[LOW_MARGIN])


def test_a_reviewer_who_comes_or_goes_is_noticed_within_seconds(desk):
    desk.reviewer()
    desk.held(margins=[0.01])
    desk.operators.disable("ana", actor="command line")
    desk.now += LATELY_SECONDS - 1
    assert desk.held(margins=[0.01], recipe=OTHER)
    desk.now += 1
    desk.judged(margins=[0.01])


def test_a_database_that_does_not_answer_lets_nothing_doubtful_out(desk, monkeypatch):
    monkeypatch.setattr(desk.operators, "count", broken)
    monkeypatch.setattr(desk.queue, "hold", broken)
    desk.judged(margins=[1.0])
    with pytest.raises(StorageUnavailable):
        desk.judged(margins=[0.01])


# --- the random share --------------------------------------------------------------------------------------


def test_of_the_random_share_a_copy_is_looked_at_afterwards(database):
    desk = Desk(database, share=0.25)
    desk.reviewer()
    desk.draws = [0.25, 0.249]
    desk.judged()
    assert desk.waiting() == []
    desk.judged()
    (review,) = desk.waiting()
    assert (review.trigger, review.released) == ("sample", True)
    picture = desk.queue.picture(review.id, actor="ana").content
    assert picture == desk.release.picture(FRAMES[0], "image/png", RECIPE)
    assert desk.queue.verdict(RECIPE.hash, trigger="guard") is None


def test_a_copy_by_lot_is_of_the_face_alone_and_what_is_held_is_all_that_would_leave(database):
    whole = np.full((48, 96, 3), 77, np.uint8)
    desk = Desk(database, share=1.0)
    desk.reviewer()
    desk.draws = [0.0]
    desk.judged(shown=whole)
    (copy,) = desk.waiting()
    assert (copy.trigger, copy.released) == ("sample", True)
    assert desk.queue.picture(copy.id, actor="ana").content == desk.release.picture(FRAMES[0], "image/png", RECIPE)
    with pytest.raises(Held):
        desk.judged(recipe=OTHER, margins=[0.1], shown=whole)
    (doubted,) = (one for one in desk.waiting() if one.trigger == "margin")
    expected = desk.release.picture(whole, "image/png", OTHER)
    assert desk.queue.picture(doubted.id, actor="ana").content == expected
    desk.guard.found = Match("somebody", 0.4, 0)
    with pytest.raises(Held):
        desk.judged(recipe=OTHER, shown=whole)
    (resembling,) = (one for one in desk.waiting() if one.trigger == "guard")
    assert desk.queue.picture(resembling.id, actor="ana").content == expected


def test_where_nobody_may_decide_nothing_is_drawn(database):
    desk = Desk(database, share=1.0)
    desk.draws = [0.5]
    desk.judged()
    assert desk.waiting() == []


def test_what_is_part_of_something_larger_is_not_drawn(database):
    desk = Desk(database, share=1.0)
    desk.reviewer()
    desk.judged(by_lot=False)  # `draws` is empty: asking it would fail
    assert desk.waiting() == []


def test_without_a_share_no_lot_is_drawn(desk):
    desk.judged()
    desk.judged(margins=[0.1])


@pytest.mark.parametrize(("name", "target"), [("count", "operators"), ("hold", "queue")])
def test_a_failure_of_the_share_costs_nobody_anything(database, monkeypatch, caplog, name, target):
    desk = Desk(database, share=1.0)
    desk.reviewer()
    desk.draws = [0.5]
    monkeypatch.setattr(getattr(desk, target), name, broken)
    desk.judged()
    assert "random share" in caplog.text


def test_a_full_queue_costs_the_share_nothing(database, caplog):
    desk = Desk(database, share=1.0)
    desk.reviewer()
    desk.queue._most = 1
    desk.draws = [0.5, 0.5]
    desk.judged()
    desk.judged(recipe=OTHER)
    assert len(desk.waiting()) == 1
    assert "random share" in caplog.text


def test_a_queue_that_hangs_keeps_nobody_waiting_for_the_share(database, monkeypatch, caplog):
    desk = Desk(database, share=1.0)
    desk.reviewer()
    desk.draws = [0.5]
    answered = threading.Event()
    monkeypatch.setattr(desk.queue, "hold", lambda *_, **__: answered.wait(60))
    monkeypatch.setattr(judging, "SHARE_SECONDS", 0.1)

    async def judged():
        await desk.release.judged(WHOSE, FRAMES[:1], RECIPE)
        assert not answered.is_set()
        answered.set()

    asyncio.run(judged())
    assert "too long" in caplog.text


# --- several frames ----------------------------------------------------------------------------------------


def test_of_several_frames_that_with_the_match_is_shown_and_all_are_decided_on(desk):
    whole = hash_of([sample_recipe(MODEL, number, 0).hash for number in range(5)])
    desk.guard.found = Match("somebody", 0.4, 3)
    review, _ = desk.held(FRAMES, whole=whole, path=True)
    assert desk.guard.paths == [True]
    assert review.recipe_hash == whole
    picture = desk.queue.picture(review.id, actor="ana").content
    assert picture == desk.release.picture(FRAMES[3], "image/png", RECIPE)
    desk.queue.approve(review.id, 1, actor="ana", reason="fine")
    desk.judged(FRAMES, whole=whole, path=True)
    desk.guard.found = Match("somebody", 0.4, 0)
    assert desk.held(FRAMES[3:4])[0].recipe_hash == RECIPE.hash, "the frame alone was not decided on"


def test_of_several_frames_the_lowest_margin_decides(desk):
    desk.reviewer()
    review, _ = desk.held(FRAMES, margins=[1, 0.15, 0.02, 0.5, 1])
    picture = desk.queue.picture(review.id, actor="ana").content
    assert picture == desk.release.picture(FRAMES[2], "image/png", RECIPE)


def test_of_several_frames_the_middle_one_is_drawn(database):
    desk = Desk(database, share=1.0)
    desk.reviewer()
    desk.draws = [0.0]
    desk.judged(FRAMES)
    (review,) = desk.waiting()
    picture = desk.queue.picture(review.id, actor="ana").content
    assert picture == desk.release.picture(FRAMES[2], "image/png", RECIPE)


def test_the_hash_of_one_is_its_own_and_that_of_several_is_of_their_order():
    one, two = "1" * 64, "2" * 64
    assert hash_of([one]) == one
    assert hash_of([one, two]) == hashlib.sha256((one + two).encode()).hexdigest()
    assert hash_of([one, two]) != hash_of([two, one])


# --- who leaves, and whom nothing keeps ---------------------------------------------------------------------


def test_whoever_leaves_while_it_is_compared_leaves_the_judge_usable(desk):
    desk.guard.wait = threading.Event()

    async def leave():
        tasks = [asyncio.ensure_future(desk.release.judged(WHOSE, FRAMES[:1], RECIPE)) for _ in range(12)]
        while not desk.guard.seen:
            await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended)
        assert len(desk.guard.seen) <= judging.CALLS_AT_ONCE, "those who waited for a turn take none"
        desk.guard.wait.set()
        await desk.release.judged(WHOSE, FRAMES[:1], RECIPE)

    asyncio.run(leave())


def test_whoever_leaves_while_it_is_held_finds_the_same_review_again(desk, monkeypatch):
    desk.guard.found = Match("somebody", 0.4, 0)
    entered, hold = threading.Event(), desk.queue.hold
    go_on, done = threading.Event(), threading.Event()

    def slow(*arguments, **options):
        entered.set()
        go_on.wait(60)
        try:
            return hold(*arguments, **options)
        finally:
            done.set()

    monkeypatch.setattr(desk.queue, "hold", slow)

    async def leave():
        task = asyncio.ensure_future(desk.release.judged(WHOSE, FRAMES[:1], RECIPE))
        while not entered.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        go_on.set()
        while not done.is_set():
            await asyncio.sleep(0.001)
        with pytest.raises(Held):
            await desk.release.judged(WHOSE, FRAMES[:1], RECIPE)

    asyncio.run(leave())
    assert len(desk.waiting()) == 1


def test_the_era_changes_when_somebody_is_enrolled(desk, monkeypatch):
    first = asyncio.run(desk.judge.era())
    desk.enrol()
    assert asyncio.run(desk.judge.era()) == first
    desk.now += LATELY_SECONDS
    second = asyncio.run(desk.judge.era())
    assert second != first
    desk.now += LATELY_SECONDS
    monkeypatch.setattr(desk.database, "reading", broken)
    assert asyncio.run(desk.judge.era()) == second


def test_without_a_gallery_and_without_a_database_all_is_let_out(database):
    desk = Desk(database)
    judge = Reviewed(Settings(), desk.queue, desk.operators, None)
    release = Release(judge)
    asyncio.run(release.judged(WHOSE, FRAMES, RECIPE))
    assert asyncio.run(judge.era()) is None
    asyncio.run(Release(LetAll()).judged(WHOSE, FRAMES, RECIPE, margins=[0.0] * 5))
