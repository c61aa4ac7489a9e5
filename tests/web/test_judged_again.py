"""What was decided once, met again: an approval is about one person, a rejection about the result."""

import asyncio
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from fake_mixer import FakeMixer
from releasing import releasing

from facemix.errors import Halted, Held, ResultWithheld, StorageUnavailable
from facemix.governance.controls import KillSwitch
from facemix.governance.review import Reviews
from facemix.governance.secrets import Secrets
from facemix.mixing.recipe import Edits, ModelIdentity
from facemix.safety.guard import Match
from facemix.serving.types import FrameSpec, LatentInput
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.web import animations, rejections
from facemix.web.job_work import Progress
from facemix.web.judging import About, Reviewed, hash_of
from facemix.web.release import Release, sample_recipe
from facemix.web.state import ServerState
from facemix.web.work import patiently

MODEL = ModelIdentity(name="m", weights="ab" * 32)
RECIPE, OTHER = (sample_recipe(MODEL, number, 0) for number in (1, 2))
FRAMES = np.stack([np.full((8, 8, 3), 40 * number, np.uint8) for number in range(1, 4)])
ANA, BEN = Match("ana", 0.3, 2), Match("ben", 0.4, 0)


class Desk:
    """A judge; `found` is whom its guard finds, `now` its clock."""

    def __init__(self, database):
        self.queue, self.found, self.now = Reviews(database, Secrets(b"s" * 32), 72, 24), (), 1000.0
        self.judge = Reviewed(Settings(), self.queue, self, self, clock=lambda: self.now)

    def matches(self, frames, *, path=False):
        return self.found

    def count(self, role):
        return 1

    def judged(self, recipe=RECIPE, **options):
        whose = About("r", "key", MODEL)
        asyncio.run(Release(self.judge).judged(whose, FRAMES, recipe, margins=[1.0] * 3, **options))

    def held(self, **options):
        with pytest.raises(Held) as refusal:
            self.judged(**options)
        return self.queue.get(refusal.value.details["review_id"])

    def put(self, trigger, **given):
        return self.queue.hold("r", trigger, "", recipe_hash=RECIPE.hash, released=True, **given)[0]

    def reject(self, review, **options):
        return self.queue.reject(review.id, review.version, actor="ann", reason="child", **options)

    def approve(self, review, **options):
        return self.queue.approve(review.id, review.version, actor="bob", reason="fine", **options)

    def later(self, seconds=rejections.LATELY_SECONDS):
        self.now += seconds


@pytest.fixture
def desk(tmp_path):
    with Database.open(f"sqlite:///{tmp_path}/facemix.sqlite3") as database:
        database.upgrade()
        yield Desk(database)


def broken(*_, **__):
    raise StorageUnavailable("the database does not answer", hint="look at it")


# --- several protected people --------------------------------------------------------------------------------


def test_whoever_approves_one_likeness_has_not_approved_another(desk):
    desk.found = (ANA, BEN)
    first = desk.held()
    assert ("person ana" in first.detail, first.recipe_hash) == (True, RECIPE.hash)
    desk.approve(first)
    second = desk.held()
    assert second.id != first.id
    assert "person ben" in second.detail
    desk.approve(second)
    desk.judged()
    desk.found = (BEN,)
    desk.judged()
    desk.found = (Match("cleo", 0.45, 1), BEN)
    assert "person cleo" in desk.held().detail


def test_two_likenesses_of_one_result_wait_apart(desk):
    desk.found = (ANA,)
    first = desk.held()
    desk.found = (BEN,)
    assert desk.held().id != first.id


def test_a_result_that_was_rejected_for_one_likeness_is_not_approved_by_another(desk):
    desk.found = (ANA,)
    first = desk.held()
    desk.found = (BEN,)
    second = desk.held()
    desk.reject(first)
    desk.approve(second)
    desk.later()
    with pytest.raises(ResultWithheld):
        desk.judged()


# --- a rejection ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["guard", "margin", "sample", "report"])
def test_what_was_rejected_for_whatever_reason_is_not_given_out_again(desk, trigger):
    desk.judged()
    desk.reject(desk.put(trigger, subject="s" if trigger == "guard" else None))
    desk.later()
    with pytest.raises(ResultWithheld, match="decided"):
        desk.judged()
    with pytest.raises(ResultWithheld):
        asyncio.run(desk.judge.check_rejected([RECIPE.hash]))
    desk.judged(OTHER)


def test_nor_is_it_as_one_frame_of_several(desk):
    desk.reject(desk.put("sample"))
    hashes = [OTHER.hash, RECIPE.hash]
    with pytest.raises(ResultWithheld):
        desk.judged(OTHER, whole=hash_of(hashes), hashes=hashes)


def test_an_appeal_changes_nothing_until_it_is_granted(desk):
    review, token = desk.queue.hold("r", "margin", "", recipe_hash=RECIPE.hash)
    desk.reject(review)
    appealed = desk.queue.appeal(token, "It is nobody.")
    with pytest.raises(ResultWithheld):
        desk.judged()
    desk.approve(appealed)
    desk.judged()  # at once: whoever has won does not wait


def test_of_one_kind_the_last_decision_counts(desk):
    first, second = desk.put("sample"), desk.put("sample")
    desk.reject(first)
    desk.approve(second)
    desk.judged()
    desk.reject(desk.put("sample"))
    desk.later()
    with pytest.raises(ResultWithheld):
        desk.judged()


def test_the_database_is_asked_once_in_a_while(desk, monkeypatch):
    asked, real = [], desk.queue.rejected
    monkeypatch.setattr(desk.queue, "rejected", lambda *given: asked.append(given) or real(*given))
    for _ in range(5):
        desk.judged()
    assert len(asked) == 1
    desk.later()
    desk.judged()
    assert len(asked) == 2


def test_while_the_database_is_away_what_is_known_serves_for_a_while(desk, monkeypatch):
    desk.reject(desk.put("sample"))
    desk.judged(OTHER)
    monkeypatch.setattr(desk.queue, "rejected", broken)
    desk.later()
    desk.judged(OTHER)
    with pytest.raises(ResultWithheld):
        desk.judged()
    desk.later(rejections.STALE_SECONDS)
    with pytest.raises(StorageUnavailable):
        desk.judged(OTHER)


def test_a_database_that_hangs_holds_nobody_up_while_what_is_known_serves(desk, monkeypatch):
    answered = threading.Event()
    desk.judged(OTHER)
    monkeypatch.setattr(rejections, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(desk.queue, "rejected", lambda *_: answered.wait(60) and frozenset())
    desk.later()

    async def judged():
        await desk.judge.check_rejected([OTHER.hash])
        assert not answered.is_set()
        answered.set()

    asyncio.run(judged())


def test_neither_a_sample_nor_a_saved_face_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(rejections, "LATELY_SECONDS", 0)
    body = {"parents": [{"sample": 1}, {"sample": 2}]}
    with releasing(tmp_path) as here:
        queue = here.governed.reviews
        assert here.client.get("/api/v1/samples/5").status_code == 200
        recipe = sample_recipe(here.client.app.state.facemix.loaded.model, 5, 0)
        review, _ = queue.hold("r", "sample", "", recipe_hash=recipe.hash, released=True)
        queue.reject(review.id, 1, actor="ann", reason="child")
        answer = here.client.get("/api/v1/samples/5")
        assert (answer.status_code, answer.json()["code"]) == (422, "result_withheld"), "it was in memory"
        assert here.client.get("/api/v1/samples/6").status_code == 200

        saved = here.post("/api/v1/recipes", body).json()
        reported = {"recipe": saved["id"], "reason": "me", "text": "It looks like me."}
        assert here.client.post("/api/v1/reports", json=reported).status_code < 300
        (review,) = queue.list(trigger="report")
        queue.reject(review.id, 1, actor="ann", reason="likeness")
        assert here.client.get(f"/api/v1/recipes/{saved['id']}").status_code == 404
        assert here.client.post("/api/v1/recipes", json=body).json()["code"] == "result_withheld"
        assert here.client.post("/api/v1/mix", json=body).json()["code"] == "result_withheld"


# --- a film that is given up -----------------------------------------------------------------------------------


class Slow(FakeMixer):
    """Draws the first chunk when `go` is set; `asked` counts chunks, `cancelled` those whose asker left."""

    def __init__(self):
        super().__init__()
        self.begun, self.asked, self.cancelled = asyncio.Event(), 0, 0

    async def frames(self, parents, specs, *, deadline=None):
        self.asked += 1
        self.begun.set()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def test_of_a_film_that_is_given_up_no_further_chunk_is_drawn():
    async def go():
        mixer = Slow()
        state = ServerState(Settings(), lambda: mixer)
        parents = tuple(LatentInput(np.zeros(mixer.latent_size, np.float32), f"parents.{i}") for i in range(2))
        specs = tuple(FrameSpec((0.5, 0.5), Edits()) for _ in range(3 * animations.CHUNK))
        film = animations.Film(
            mixer.model, sample_recipe(mixer.model, 1, 0), "w", parents, specs, 10, False, "image/gif", 128
        )
        making = asyncio.ensure_future(
            animations.make_film(state, mixer, film, Progress(lambda done: None), About("r", None, mixer.model))
        )
        await asyncio.wait_for(mixer.begun.wait(), 60)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert (mixer.asked, mixer.cancelled) == (1, 1)

    asyncio.run(go())


def test_whoever_waits_patiently_hears_that_generation_is_off():
    async def go():
        mixer = Slow()
        state = ServerState(Settings(), lambda: mixer)
        state.halt.turn(KillSwitch(True, "why", "somebody", datetime.now(UTC)))
        with pytest.raises(Halted):
            await patiently(state, mixer, [], [FrameSpec((1.0,))])
        assert mixer.asked == 0

    asyncio.run(asyncio.wait_for(go(), 60))
