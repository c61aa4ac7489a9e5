"""Animations through the interface."""

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from anyio import to_thread
from fake_mixer import FakeMixer, fake_directions
from PIL import Image, ImageSequence
from web_client import CAT, PHOTO, files, opened, problem, running

from facemix.settings import MEBIBYTE
from facemix.web.jobs import Result

TWO = [{"sample": 3}, {"sample": 7}]


def start(client, parents=TWO, **body):
    answer = client.post("/api/v1/animations", json={"parents": parents, "seconds": 0.5, "fps": 10, **body})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["job"]["url"]
    return answer.json()


def ended(client, job):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = client.get(f"/api/v1/jobs/{job['id']}").json()
        if answer["state"] not in ("queued", "running"):
            return answer
        time.sleep(0.02)
    raise AssertionError(answer)


def result(client, job):
    return client.get(f"/api/v1/jobs/{job['id']}/result")


def shown(content):
    with Image.open(BytesIO(content)) as film:
        return [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(film)]


def mixed(client, weights):
    parents = [{**parent, "weight": weight} for parent, weight in zip(TWO, weights, strict=True)]
    answer = client.post("/api/v1/mix", json={"parents": parents}, headers={"Accept": "image/png"})
    return opened(answer.content).astype(int)


@pytest.mark.parametrize("media_type", ["image/gif", "image/webp", "video/mp4"])
def test_an_animation_is_made_and_given_out(client, media_type):
    made = start(client, media_type=media_type, size=128)
    job = ended(client, made["job"])
    assert (job["state"], job["done"], job["total"], job["problem"]) == ("done", 5, 5, None)
    answer = result(client, job)
    assert answer.headers["content-type"] == media_type
    assert len(answer.content) == job["bytes"]
    assert job["filename"] in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"
    assert [recipe["parents"][0]["weight"] for recipe in made["recipes"]] == [1, 0]


def test_its_frames_go_from_the_first_stop_to_the_last(client):
    job = ended(client, start(client, media_type="image/webp", size=128, easing="linear")["job"])
    frames = shown(result(client, job).content)
    first, last = (np.kron(mixed(client, weights), np.ones((4, 4, 1))) for weights in ((1, 0), (0, 1)))
    away = [np.abs(frame - first).mean() - np.abs(frame - last).mean() for frame in frames]
    assert away == sorted(away)
    assert away[0] < 0 < away[-1]


def test_stops_may_move_attributes():
    with running(lambda: FakeMixer(attributes=fake_directions())) as client:
        stops = [{"weights": [1, 0]}, {"weights": [1, 0], "attributes": {"age": 2}}]
        made = start(client, stops=stops, attributes={"smile": 1}, media_type="image/webp")
        assert [recipe["attributes"] for recipe in made["recipes"]] == [{"smile": 1}, {"age": 2}]
        assert ended(client, made["job"])["state"] == "done"
        refused = client.post(
            "/api/v1/animations", json={"parents": TWO, "stops": [stops[0], {**stops[1], "attributes": {"looks": 1}}]}
        )
        assert (refused.status_code, refused.json()["code"]) == (422, "recipe_invalid")


def test_a_cancelled_animation_is_gone(client):
    job = start(client, seconds=20, fps=25, size=512)["job"]
    assert client.request("DELETE", f"/api/v1/jobs/{job['id']}").status_code == 204
    for path in (f"/api/v1/jobs/{job['id']}", f"/api/v1/jobs/{job['id']}/result"):
        assert client.get(path).json()["code"] == "job_gone"
    assert client.app.state.facemix.jobs.inside == 0


def test_a_result_is_asked_for_too_early(client):
    job = start(client, seconds=20, fps=25, size=512)["job"]
    early = result(client, job)
    assert (early.status_code, early.json()["code"]) == (409, "job_unfinished")
    client.request("DELETE", f"/api/v1/jobs/{job['id']}")


def test_an_uploaded_face_may_be_forgotten_once_the_job_has_begun(client):
    identity = client.post("/api/v1/faces", files=files(image=PHOTO)).json()["faces"][0]["id"]
    job = start(client, [{"face_id": identity}, {"sample": 2}])["job"]
    client.request("DELETE", f"/api/v1/faces/{identity}")
    assert ended(client, job)["state"] == "done"


def test_what_can_be_refused_is_refused_at_once(client):
    def refusal(**body):
        answer = client.post("/api/v1/animations", json={"parents": TWO, **body})
        assert answer.status_code == 422, answer.text
        return answer.json()["where"]

    assert refusal(seconds=60, fps=60) == "seconds"
    assert refusal(stops=[{"weights": [1]}, {"weights": [0, 1]}]) == "stops.0.weights"
    assert refusal(stops=[{"weights": [1, 0]}, {"weights": [0, 0]}]) == "stops.1.weights"
    assert refusal(stops=[{"weights": [1, 0]}]) == "stops"
    assert refusal(parents=[{"sample": 1}]) == "stops"
    assert refusal(media_type="video/mp4", size=129) == "size"
    assert refusal(media_type="image/gif", fps=55) == "fps"
    assert refusal(media_type="image/gif", size=1024, seconds=30, fps=20) == "size"
    assert refusal(seconds="3") == "seconds"
    assert refusal(easing="bounce") == "easing"
    assert refusal(size=127) == "size"
    assert refusal(size=1025) == "size"
    assert refusal(parents=[{"sample": 1}, {"image": base64.b64encode(CAT).decode()}]) == "parents.1"


def test_too_many_jobs_are_refused_and_told_when_to_come_again():
    with running(max_jobs=0) as client:
        job = start(client, seconds=20, fps=25, size=512)["job"]
        answer = client.post("/api/v1/animations", json={"parents": TWO})
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert int(answer.headers["retry-after"]) > 0
        client.request("DELETE", f"/api/v1/jobs/{job['id']}")
        start(client)


def test_jobs_without_a_key_are_not_listed(client):
    assert client.get("/api/v1/jobs").status_code == 401


def test_a_job_goes_on_with_its_model_when_another_takes_its_place():
    with running() as client:
        job = start(client, seconds=10, fps=20, size=256, media_type="image/webp")["job"]
        client.portal.call(client.app.state.facemix.load)
        assert ended(client, job)["state"] == "done"


def test_a_job_of_a_model_that_has_gone_fails_and_draws_no_other_face():
    models = iter("ab")
    gate = threading.Event()

    def newer():
        mixer = FakeMixer()
        mixer.model = mixer.model.model_copy(update={"weights": next(models) * 64})
        return mixer

    async def held(progress):
        await to_thread.run_sync(gate.wait)
        return Result(b"", "image/gif", "x.gif")

    with running(newer) as client:
        state = client.app.state.facemix

        async def occupy():
            await state.jobs.submit("animation", 1, held, owner=None)

        client.portal.call(occupy)
        made = start(client, size=128)
        client.portal.call(state.load)
        gate.set()
        job = ended(client, made["job"])
        assert (job["state"], job["problem"]["code"]) == ("failed", "model_mismatch")
        assert result(client, job).status_code == 409


def test_words_that_say_nothing_are_told():
    with running(lambda: FakeMixer(attributes=fake_directions())) as client:
        (note,) = start(client, prompt="older, frobnicate")["notes"]
        mixed = client.post("/api/v1/mix", json={"parents": TWO, "prompt": "older, frobnicate"}).json()
        assert note in mixed["notes"]
        assert "frobnicate" in note["message"]
        assert start(client, prompt="older")["notes"] == []


def test_a_gif_that_would_fill_the_shelf_is_refused_at_once():
    with running(keep_bytes=MEBIBYTE) as client:
        body = {"parents": TWO, "size": 512, "fps": 8, "seconds": 1}
        problem(client.post("/api/v1/animations", json=body), 422, "request_invalid", "size")
        assert ended(client, start(client, size=128, fps=8, seconds=1)["job"])["state"] == "done"
        assert ended(client, start(client, **{**body, "media_type": "image/webp"})["job"])["state"] == "done"


def test_a_job_is_gone_when_it_says():
    with running(job_seconds=0.3) as client:
        job = start(client, size=128)["job"]
        limit = time.monotonic() + 60
        while (answer := client.get(f"/api/v1/jobs/{job['id']}")).status_code == 200:
            assert time.monotonic() < limit
            time.sleep(0.02)
        assert answer.json()["code"] == "job_gone"


def test_many_that_delete_a_job_leave_its_slot_free(client):
    for _ in range(5):
        path = f"/api/v1/jobs/{start(client, seconds=20, fps=25, size=512)['job']['id']}"
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(client.request, ["DELETE"] * 6, [path] * 6))
        assert {answer.status_code for answer in answers} <= {204, 404}
        assert client.app.state.facemix.jobs.inside == 0
