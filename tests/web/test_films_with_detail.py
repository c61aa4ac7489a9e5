"""Films of photographs with their detail: a job holds the photographs' cuts until its frames are drawn."""

import base64
import hashlib
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from anyio import to_thread
from files import png
from looking import here
from portraits import head, other
from tiny import tiny_checkpoint
from web_client import OTHER, PHOTO, files, problem, running

from facemix.errors import PhotographMissing
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.mixing.path import Stop
from facemix.mixing.recipe import Edits, LatentParent, PhotoParent
from facemix.serving.blocking import BlockingMixer
from facemix.serving.engine import Engine
from facemix.serving.held_cuts import HeldCuts
from facemix.serving.mixer import Mixer
from facemix.serving.types import PhotoInput, SampleInput
from facemix.web.animations import at_the_size_of, film_through, specs_of
from facemix.web.jobs import Result

PARENTS = [PhotoInput(png(head()), "a"), PhotoInput(png(other()), "b"), SampleInput(4, "c")]
STOPS = [Stop((1.0, 0.0, 0.0), {}), Stop((0.0, 1.0, 0.0), {}), Stop((0.0, 0.0, 1.0), {})]
WANTED = SimpleNamespace(count=5, easing="linear", loop="once", fps=10.0, media_type="image/webp", size=128)


@pytest.fixture(scope="module")
def mixer(tmp_path_factory):
    engine = Engine(tiny_checkpoint(tmp_path_factory.mktemp("films")), device="cpu")
    made = BlockingMixer(Mixer(engine, here(FaceFinder(CenterFace(threads=1))), cache_bytes=64 << 20, cache_seconds=60))
    yield made
    made.close()


def film(mixer, edits, held=None):
    edits = at_the_size_of(WANTED.size, edits)
    stops = mixer.frames(PARENTS, specs_of(STOPS, edits))
    made = film_through(WANTED, STOPS, edits, stops, held)
    if held is not None:
        mixer.hold_cuts(held, PARENTS, stops.parents, made.specs)
    return made, stops


def test_its_frames_have_the_detail_of_the_stops(mixer):
    made, stops = film(mixer, Edits(detail=1.0))
    drawn = mixer.frames(made.parents, made.specs)
    assert drawn.frames.shape == (5, *stops.frames.shape[1:])
    np.testing.assert_array_equal(drawn.frames[::2], stops.frames)
    for one, stop in zip(drawn.recipes[::2], stops.recipes, strict=True):
        assert one.parents[:2] == stop.parents[:2]
    assert drawn.cost.frames_encoded == 0


def test_of_a_photograph_it_knows_the_name(mixer):
    made, _ = film(mixer, Edits(detail=1.0))
    assert [type(one.parent) for one in made.parents] == [PhotoParent, PhotoParent, type(None)]
    plain, stops = film(mixer, Edits())
    assert [one.parent for one in plain.parents] == [None] * 3  # without detail not even that
    drawn = mixer.frames(plain.parents, plain.specs)
    assert {type(parent) for parent in drawn.recipes[0].parents} == {LatentParent}
    np.testing.assert_array_equal(drawn.frames[::2], stops.frames)


@pytest.mark.parametrize("nothing", [{"cache_bytes": 0}, {"cache_seconds": 0}])
def test_one_that_nothing_is_kept_for_is_refused_at_once(nothing):
    photo, sample = {"image": base64.b64encode(PHOTO).decode()}, {"sample": 4}
    body = {"seconds": 0.2, "fps": 10, "size": 128, "media_type": "image/webp"}
    with running(**nothing) as client:
        asked = client.post("/api/v1/animations", json={**body, "parents": [photo, sample], "detail": 1})
        told = problem(asked, 422, "request_invalid", "detail")
        assert "FACEMIX_CACHE_BYTES" in told["hint"]
        for members in ({"parents": [photo, sample]}, {"parents": [sample, {"sample": 5}], "detail": 1}):
            assert client.post("/api/v1/animations", json={**body, **members}).status_code == 202


def test_what_no_job_holds_may_be_gone_when_its_turn_comes(mixer):
    made, _ = film(mixer, Edits(detail=1.0))
    mixer.mixer.detailing.clear()
    with pytest.raises(PhotographMissing):
        mixer.frames(made.parents, made.specs)


def test_what_a_job_holds_is_there_whatever_the_cache_forgets(mixer):
    held = HeldCuts()
    made, stops = film(mixer, Edits(detail=1.0), held)
    assert held.bytes > 0
    mixer.mixer.detailing.clear()
    drawn = mixer.frames(made.parents, made.specs)
    np.testing.assert_array_equal(drawn.frames[::2], stops.frames)


def test_it_is_cut_again_for_a_job_if_the_cache_has_forgotten_it_by_then(mixer):
    edits = at_the_size_of(WANTED.size, Edits(detail=1.0))
    stops, held = mixer.frames(PARENTS, specs_of(STOPS, edits)), HeldCuts()
    mixer.mixer.detailing.clear()
    mixer.hold_cuts(held, PARENTS, stops.parents, specs_of(STOPS, edits))
    mixer.mixer.detailing.clear()
    made = film_through(WANTED, STOPS, edits, stops, held)
    np.testing.assert_array_equal(mixer.frames(made.parents, made.specs).frames[::2], stops.frames)


def test_without_detail_nothing_is_held(mixer):
    held = HeldCuts()
    film(mixer, Edits(), held)
    assert held.bytes == 0


def test_a_photograph_that_is_deleted_meanwhile_ends_it_and_leaves_nothing(mixer):
    mixer.mixer.detailing.clear()
    held = HeldCuts()
    made, _ = film(mixer, Edits(detail=1.0), held)
    before = held.bytes
    mixer.frames(made.parents, made.specs)
    for photo in PARENTS[:2]:
        sha256 = hashlib.sha256(photo.data).hexdigest()
        mixer.mixer.forget(sha256)
        held.forget(sha256)
        assert held.bytes < before
        with pytest.raises(PhotographMissing):
            mixer.frames(made.parents, made.specs)
    assert held.bytes == 0
    assert set(mixer.mixer.detailing.bytes.values()) == {0}


# --- through the interface ---------------------------------------------------------------------------------


class Waiting:
    """A server on which nothing is worked on until it is let go; what is asked for meanwhile waits."""

    def __init__(self, client):
        self.client, self.go = client, threading.Event()
        self.state, self.mixer = client.app.state.facemix, client.app.state.facemix.loaded

        async def hold(progress):
            await to_thread.run_sync(self.go.wait)
            return Result(b"", "image/gif", "x.gif")

        async def occupy():
            await self.state.jobs.submit("animation", 1, hold, owner=None)

        client.portal.call(occupy)

    def upload(self, data):
        (face,) = self.client.post("/api/v1/faces", files=files(image=data)).json()["faces"]
        return face["id"]

    def film(self, *parents, **members):
        body = {"seconds": 0.2, "fps": 10, "size": 128, "media_type": "image/webp", "detail": 1, **members}
        return self.client.post("/api/v1/animations", json={**body, "parents": list(parents)})

    def evict(self):
        """What a cache without room does."""
        self.mixer.cuts.clear()

    def ended(self, answer):
        """The job, once it has ended, and whether it has let go of everything."""
        assert answer.status_code == 202, answer.text
        self.go.set()
        url = answer.json()["job"]["url"].removeprefix("http://facemix.test")
        limit = time.monotonic() + 60
        while (job := self.client.get(url).json())["state"] in ("queued", "running") or self.state.jobs.inside:
            assert time.monotonic() < limit, job
            time.sleep(0.01)
        assert self.state.holds.bytes == 0
        return job


@pytest.fixture
def waiting():
    with running() as client:
        made = Waiting(client)
        yield made
        made.go.set()


def test_a_film_that_was_accepted_is_made_whatever_is_evicted(waiting):
    answer = waiting.film({"face_id": waiting.upload(PHOTO)}, {"image": base64.b64encode(OTHER).decode()})
    assert waiting.state.holds.bytes > 0
    waiting.evict()
    assert waiting.ended(answer)["state"] == "done"


def test_it_is_made_by_the_same_model_loaded_anew(waiting):
    answer = waiting.film({"face_id": waiting.upload(PHOTO)}, {"sample": 4})
    waiting.client.portal.call(waiting.state.load)
    assert waiting.state.loaded is not waiting.mixer
    assert waiting.ended(answer)["state"] == "done"


def test_one_whose_face_is_deleted_fails_and_nothing_of_it_is_left(waiting):
    identity = waiting.upload(PHOTO)
    answer = waiting.film({"face_id": identity}, {"sample": 4})
    assert waiting.client.request("DELETE", f"/api/v1/faces/{identity}").status_code == 204
    assert (waiting.mixer.cuts, waiting.state.holds.bytes) == ({}, 0)
    job = waiting.ended(answer)
    assert (job["state"], job["problem"]["code"]) == ("failed", "photograph_missing")


def test_one_that_is_given_up_lets_go(waiting):
    answer = waiting.film({"face_id": waiting.upload(PHOTO)}, {"sample": 4})
    url = answer.json()["job"]["url"].removeprefix("http://facemix.test")
    assert waiting.state.holds.bytes > 0
    assert waiting.client.request("DELETE", url).status_code == 204
    assert waiting.state.holds.bytes == 0


def test_what_is_missing_by_then_is_refused_at_once(waiting):
    identity = waiting.upload(PHOTO)
    waiting.evict()
    problem(waiting.film({"face_id": identity}, {"sample": 4}), 409, "photograph_missing", "parents.0")
    assert waiting.state.holds.bytes == 0


def test_jobs_that_would_hold_too_much_are_refused_at_once():
    with running(max_buffered_bytes=24 * 1024, max_body_bytes=24 * 1024) as client:
        waiting = Waiting(client)
        try:
            faces = [{"face_id": waiting.upload(data)} for data in (PHOTO, OTHER)]
            first = waiting.film(*faces)
            assert 12 * 1024 < waiting.state.holds.bytes <= 36 * 1024
            problem(waiting.film(*faces), 503, "busy")
            assert waiting.film(*faces, detail=0).status_code == 202
            assert waiting.ended(first)["state"] == "done"
            assert waiting.film(*faces).status_code == 202
        finally:
            waiting.go.set()


def test_a_batch_holds_the_faces_that_it_names(waiting):
    first, second = waiting.upload(PHOTO), waiting.upload(OTHER)
    items = [
        {"parents": [{"face_id": one}, {"sample": 4}], "detail": detail}
        for one, detail in ((first, 1), (second, 1), ("gone", 1), (second, 0))
    ]
    answer = waiting.client.post("/api/v1/batches", json={"items": items})
    waiting.evict()
    assert waiting.client.request("DELETE", f"/api/v1/faces/{second}").status_code == 204
    job = waiting.ended(answer)
    assert (job["state"], job["notes"]) == ("done", ["3 of 4 failed; manifest.json says why."])
