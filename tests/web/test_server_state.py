import threading

import pytest
from anyio import create_task_group, fail_after, sleep, to_thread
from fake_mixer import FakeMixer
from web_client import OTHER, PHOTO, files, running

from facemix.errors import CheckpointCorrupt
from facemix.mixing.recipe import ModelIdentity
from facemix.serving.types import Cost, SampleResult

MIX = "/api/v1/mix"


def named(name, **changes):
    mixer = FakeMixer(**changes)
    mixer.model = ModelIdentity(name=name, weights=name[0] * 64)
    return mixer


def model_of(response):
    assert response.status_code == 200
    return response.headers["x-facemix-model"]


def test_a_new_model_takes_over_without_dropping_a_request():
    entered, release = threading.Event(), threading.Event()

    def hold():
        entered.set()
        release.wait(60)

    made = [named("a-old", hook=hold), named("b-new")]
    factory = iter(made)
    with running(lambda: next(factory)) as client:
        answers = []
        begun = threading.Thread(
            target=lambda: answers.append(client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER)))
        )
        begun.start()
        try:
            assert entered.wait(60)
            client.portal.call(client.app.state.facemix.load)
            # The new one answers at once; the old one stays open for what it has begun.
            assert model_of(client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER))).startswith("b-new")
            assert not made[0].closed
        finally:
            release.set()
            begun.join()
        assert model_of(answers[0]).startswith("a-old")

        async def closed():
            with fail_after(60):
                while not made[0].closed:
                    await sleep(0.005)

        client.portal.call(closed)
        assert not made[1].closed
        assert model_of(client.get("/api/v1/samples/3")).startswith("b-new")


def test_a_model_that_cannot_be_loaded_leaves_the_live_one():
    calls = []

    def factory():
        calls.append(1)
        if len(calls) > 1:
            raise CheckpointCorrupt("the weights do not match the card", hint="fetch them again")
        return named("a-old")

    with running(factory) as client:
        client.portal.call(client.app.state.facemix.load)
        assert len(calls) == 2
        assert client.get("/readyz").status_code == 200
        assert model_of(client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER))).startswith("a-old")
        page = client.get("/", headers={"Accept": "text/html"})
        assert "do not match" not in page.text


def test_samples_of_one_model_are_not_shown_for_another():
    factory = iter([named("a-old"), named("b-new")])
    with running(lambda: next(factory)) as client:
        first = client.get("/api/v1/samples/3")
        client.portal.call(client.app.state.facemix.load)
        second = client.get("/api/v1/samples/3")
        assert first.headers["etag"] != second.headers["etag"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_dead_inference_thread_turns_the_health_red(path):
    mixer = FakeMixer()
    with running(lambda: mixer) as client:
        assert client.get(path).status_code == 200
        mixer.illness = "the inference thread is dead"
        response = client.get(path)
        assert (response.status_code, response.json()["code"]) == (503, "engine_failed")
        assert response.json()["detail"] == mixer.illness
        assert int(response.headers["retry-after"]) > 0
        mixer.illness = None
        assert client.get(path).status_code == 200


def test_at_the_end_the_mixer_is_closed():
    mixer = FakeMixer()
    with running(lambda: mixer):
        assert not mixer.closed
    assert mixer.closed


def test_when_stopping_new_work_is_refused_and_readiness_withdrawn():
    with running() as client:
        state = client.app.state.facemix
        state.admission.stopping = True
        response = client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER))
        assert (response.status_code, response.json()["code"]) == (503, "stopping")
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


def test_a_sample_asked_for_by_many_at_once_is_drawn_once():
    gate = threading.Event()
    mixer = FakeMixer(hook=lambda: gate.wait(60))
    with running(lambda: mixer) as client:

        async def many():
            answers = []

            async def one():
                answers.append(await client.app.state.facemix.sample_file(5, 0, "image/png"))

            async with create_task_group() as group:
                for _ in range(8):
                    group.start_soon(one)
                await sleep(0.01)
                await to_thread.run_sync(gate.set)
            return answers

        answers = client.portal.call(many)
        assert len(answers) == 8
        assert len(set(answers)) == 1
        assert mixer.samples_drawn == [(5, 0)]


def test_a_sample_is_charged_to_who_had_it_drawn():
    mixer = FakeMixer()

    async def sample(number, *, seed=0, deadline=None):
        return SampleResult(mixer.draw(number, seed), {}, Cost(frames_decoded=1, device_seconds=0.5))

    mixer.sample = sample
    with running(lambda: mixer) as client:
        for _ in range(3):
            assert client.get("/api/v1/samples/3").status_code == 200
        text = client.get("/metrics").text
    route = "/api/v1/samples/{number}"
    assert f'facemix_request_device_seconds_total{{route="{route}"}} 0.5' in text
    assert f'facemix_request_frames_total{{kind="decode",route="{route}"}} 1.0' in text


def test_a_stop_does_not_wait_for_a_model_that_is_being_loaded():
    gate, entered = threading.Event(), threading.Event()
    mixer = FakeMixer()

    def factory():
        entered.set()
        gate.wait(60)
        return mixer

    with running(factory, wait=False):
        assert entered.wait(60)
    assert not mixer.closed
    gate.set()
    for _ in range(1000):
        if mixer.closed:
            break
        threading.Event().wait(0.01)
    assert mixer.closed


def test_a_mixer_that_cannot_be_closed_costs_nobody_an_answer(caplog):
    made = [named("a-old"), named("b-new")]

    def broken():
        raise OSError("the device is gone")

    made[0].close = broken
    factory = iter(made)
    with running(lambda: next(factory)) as client:
        client.portal.call(client.app.state.facemix.load)
        assert client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER)).status_code == 200
    assert any("could not be closed" in message for message in caplog.messages)
    assert made[1].closed


def test_a_request_that_hangs_is_given_up_after_its_patience(monkeypatch):
    monkeypatch.setattr("facemix.web.work.GRACE_SECONDS", 0.05)
    gate = threading.Event()
    with running(lambda: FakeMixer(hook=lambda: gate.wait(60))) as client:
        response = client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER), headers={"X-Facemix-Deadline": "0.05"})
        assert (response.status_code, response.json()["code"]) == (503, "deadline_exceeded")
        assert int(response.headers["retry-after"]) > 0
        assert client.app.state.facemix.admission.inside == 0
        gate.set()
