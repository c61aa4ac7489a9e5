"""Several models at once: which of them answers, and changing them under requests."""

import threading

import pytest
from anyio import fail_after, sleep, to_thread
from fleets import FakeFleet, fake, weights_of
from web_client import OTHER, PHOTO, files, problem, running

from facemix.errors import CheckpointMissing, StorageUnavailable
from facemix.web.jobs import Result

MIX = "/api/v1/mix"
BOTH = {"face_a": PHOTO, "face_b": OTHER}
A, B, C = "old@aaaaaaaaaaaa", "new@bbbbbbbbbbbb", "other@cccccccccccc"


def mixed(client, **options):
    response = client.post(MIX, files=files(**BOTH), **options)
    return response.headers["x-facemix-model"] if response.status_code == 200 else response


def change(client, fleet, *plan):
    fleet.set(*plan)
    client.portal.call(lambda: client.app.state.facemix.load(anew=False))


def until(client, met):
    async def wait():
        with fail_after(60):
            while not met():
                await sleep(0.005)

    client.portal.call(wait)


def all_loaded(client, fleet, count):
    until(client, lambda: len(client.app.state.facemix.models.held) == count)


# --- which one answers -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several():
    fleet = FakeFleet(("old", "a", "default"), ("other", "c", "live"), ("new", "b", "candidate", 0.5))
    with running(fleet=fleet) as client:
        all_loaded(client, fleet, 3)
        yield client


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("other", C),
        ("other@cccccccccccc", C),
        ("other@" + weights_of("c"), C),
        ("old", A),
        ("new", B),
        ("new@bbbb", B),
    ],
)
def test_a_model_is_asked_for_by_name(several, name, model):
    assert mixed(several, headers={"X-Facemix-Use-Model": name}) == model
    response = several.post(MIX, files=files(**BOTH), params={"model": name})
    assert response.headers["x-facemix-model"] == model
    assert several.get("/api/v1/model", params={"model": name}).headers["x-facemix-model"] == model
    sample = several.get("/api/v1/samples/1", headers={"X-Facemix-Use-Model": name})
    assert sample.headers["x-facemix-model"] == model
    assert "X-Facemix-Use-Model" in sample.headers["vary"]
    assert sample.headers["cache-control"].startswith("public" if model == A else "private")
    assert several.get("/api/v1/attributes", params={"model": name}).headers["x-facemix-model"] == model


@pytest.mark.parametrize("name", ["none", "other@bbbb", "old@cccc", "0"])
def test_a_model_that_is_not_live_is_refused_with_those_that_are(several, name):
    body = problem(several.post(MIX, files=files(**BOTH), params={"model": name}), 409, "model_not_live", "model")
    assert set(body["details"]["live"]) == {A, B, C}
    problem(several.get("/api/v1/model", params={"model": name}), 409, "model_not_live", "model")


@pytest.mark.parametrize("name", ["", "Old", "old@", "old@xyz", "a b", "../x", "é", "x" * 65, "old\n"])
def test_what_can_name_no_model_is_refused(several, name):
    problem(several.get("/api/v1/model", params={"model": name}), 422, "request_invalid", "model")


def test_two_names_at_once_are_refused(several):
    response = several.get("/api/v1/model", params={"model": "old"}, headers={"X-Facemix-Use-Model": "other"})
    problem(response, 422, "request_invalid", "x-facemix-use-model")


def from_address(client, number):
    async def ask():
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        scope = client.scope("GET", "/api/v1/model", {}) | {"client": (f"10.1.{number // 250}.{number % 250 + 1}", 1)}
        await client.app(scope, receive, send)
        return dict(sent[0]["headers"])[b"x-facemix-model"].decode()

    return client.portal.call(ask)


def test_a_candidate_has_its_share_of_the_clients_and_each_stays(several):
    first = [from_address(several, number) for number in range(200)]
    assert set(first) == {A, B}
    assert 60 < first.count(B) < 140
    assert [from_address(several, number) for number in range(200)] == first


def test_one_request_may_be_sent_again_only_to_the_same_model(several):
    def send(model):
        headers = {"Idempotency-Key": "for one model alone", "X-Facemix-Use-Model": model}
        return several.post("/api/v1/faces", headers=headers, files={"image": ("a.png", PHOTO, "image/png")})

    assert send("old").status_code == 200
    assert send("old").headers["idempotent-replay"] == "true"
    assert send("other").json()["code"] == "idempotency_mismatch"


# --- faces of a model that is not the default --------------------------------------------------------------


def uploaded(client, **options):
    response = client.post("/api/v1/faces", files={"image": ("a.png", PHOTO, "image/png")}, **options)
    assert response.status_code == 200
    return response.json()["faces"][0]["id"]


def with_faces(client, *faces, **options):
    parents = [{"face_id": one, "weight": 1} for one in faces] + [{"sample": 3, "weight": 1}]
    return client.post(MIX, json={"parents": parents}, **options)


def test_faces_that_were_uploaded_before_a_promotion_are_mixed_by_the_model_that_made_them():
    fleet = FakeFleet(("face", "a", "default"))
    with running(fleet=fleet) as client:
        before = uploaded(client)
        change(client, fleet, ("face", "b", "default"), ("face", "a", "standby"))
        after = uploaded(client)
        assert with_faces(client, before).headers["x-facemix-model"] == "face@aaaaaaaaaaaa"
        assert with_faces(client, after).headers["x-facemix-model"] == "face@bbbbbbbbbbbb"
        problem(with_faces(client, before, after), 409, "model_mismatch", "parents.1")
        named = with_faces(client, before, params={"model": "face"})
        problem(named, 409, "model_mismatch", "parents.0")
        standby = with_faces(client, before, params={"model": "face@aaaa"})
        problem(standby, 409, "model_not_live", "model")
        change(client, fleet, ("face", "b", "default"))
        problem(with_faces(client, before), 409, "model_mismatch", "parents.0")


def test_a_film_is_drawn_by_the_model_that_was_promised():
    fleet = FakeFleet(("face", "a", "default"))
    with running(fleet=fleet) as client:
        jobs = client.app.state.facemix.jobs
        gate = threading.Event()

        async def before(progress):
            await to_thread.run_sync(gate.wait, 60)
            return Result(b"", "image/gif", "x")

        client.portal.call(lambda: jobs.submit("before", 1, before, owner=None))
        parents = [{"sample": 1}, {"sample": 2}]
        body = {"parents": parents, "seconds": 0.5, "fps": 4, "media_type": "image/gif"}
        started = client.post("/api/v1/animations", json=body).json()["job"]
        change(client, fleet, ("face", "b", "default"), ("face", "a", "standby"))
        gate.set()

        async def ended():
            with fail_after(60):
                while not (job := await jobs.get(started["id"], owner=None)).ended:
                    await sleep(0.005)
            return job

        job = client.portal.call(ended)
        assert (job.state, job.problem) == ("done", None)


# --- changing ----------------------------------------------------------------------------------------------


def test_changing_to_and_fro_under_load_refuses_and_drops_nothing():
    fleet = FakeFleet(("face", "a", "default"))
    with running(fleet=fleet) as client:
        stop, answers, broken = threading.Event(), [], []

        def load():
            while not stop.is_set():
                try:
                    answers.append(mixed(client))
                except Exception as error:
                    broken.append(error)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        plans = [
            [("face", "b", "default"), ("face", "a", "standby")],
            [("face", "a", "default"), ("face", "b", "standby")],
            [("face", "a", "default")],
        ]
        for plan in plans * 3:
            seen = len(answers)
            change(client, fleet, *plan)
            until(client, lambda seen=seen: len(answers) > seen + 8 or broken)
        stop.set()
        for thread in threads:
            thread.join()
        assert broken == []
        assert set(answers) == {"face@aaaaaaaaaaaa", "face@bbbbbbbbbbbb"}
        until(client, lambda: all(one.closed for one in fleet.made["b"]))
        assert len(fleet.made["a"]) == 1
        assert not fleet.made["a"][0].closed


def test_the_default_answers_until_the_new_one_is_loaded():
    gate, entered = threading.Event(), threading.Event()

    def make(name, letter):
        if letter == "b":
            entered.set()
            gate.wait(60)
        return fake(name, letter)

    fleet = FakeFleet(("face", "a", "default"), make=make)
    with running(fleet=fleet) as client:
        fleet.set(("face", "b", "default"))
        changing = threading.Thread(target=lambda: client.portal.call(client.app.state.facemix.load))
        changing.start()
        try:
            assert entered.wait(60)
            assert mixed(client) == "face@aaaaaaaaaaaa"
            problem(client.get("/api/v1/model?model=face@bbbb"), 503, "not_ready")
        finally:
            gate.set()
            changing.join()
        assert mixed(client) == "face@bbbbbbbbbbbb"
        until(client, lambda: fleet.made["a"][0].closed)


def test_what_was_taken_back_while_it_was_loaded_never_answers():
    gate, entered = threading.Event(), threading.Event()

    def make(name, letter):
        if letter == "b":
            entered.set()
            gate.wait(60)
        return fake(name, letter)

    fleet = FakeFleet(("face", "a", "default"), make=make)
    with running(fleet=fleet) as client:
        fleet.set(("face", "b", "default"))
        changing = threading.Thread(target=lambda: client.portal.call(client.app.state.facemix.load))
        changing.start()
        try:
            assert entered.wait(60)
            fleet.set(("face", "a", "default"))
        finally:
            gate.set()
            changing.join()
        assert mixed(client) == "face@aaaaaaaaaaaa"
        until(client, lambda: fleet.made["b"][0].closed)
        assert not fleet.made["a"][0].closed


def broken_b(name, letter):
    if letter == "b":
        raise CheckpointMissing("the folder is gone", hint="put it back")
    return fake(name, letter)


def test_a_model_that_cannot_be_loaded_costs_the_others_nothing():
    fleet = FakeFleet(("old", "a", "default"), ("new", "b", "live"), ("other", "c", "live"), make=broken_b)
    with running(fleet=fleet) as client:
        all_loaded(client, fleet, 2)
        assert mixed(client) == A
        assert mixed(client, params={"model": "other"}) == C
        problem(mixed(client, params={"model": "new"}), 409, "model_not_live", "model")
        assert client.get("/readyz").status_code == 200


def test_a_default_that_cannot_be_loaded_leaves_the_one_that_is_there(caplog):
    fleet = FakeFleet(("old", "a", "default"), make=broken_b)
    with running(fleet=fleet) as client:
        change(client, fleet, ("new", "b", "default"), ("old", "a", "standby"))
        assert mixed(client) == A
        assert "the folder is gone" in caplog.text
        change(client, fleet, ("old", "a", "default"))
        assert mixed(client) == A
        assert len(fleet.made["a"]) == 1


def test_a_first_default_that_cannot_be_loaded_is_told():
    fleet = FakeFleet(("new", "b", "default"), make=broken_b)
    with running(fleet=fleet) as client:
        problem(mixed(client), 503, "checkpoint_missing")
        problem(client.get("/readyz"), 503, "checkpoint_missing")


def test_when_it_cannot_be_said_what_is_planned_everything_stays():
    fleet = FakeFleet(("old", "a", "default"), ("other", "c", "live"))
    with running(fleet=fleet) as client:
        all_loaded(client, fleet, 2)
        fleet.failing = StorageUnavailable("the database is away", hint="wait")
        change(client, fleet)
        models = client.app.state.facemix.models
        assert models.unplanned
        assert mixed(client) == A
        assert mixed(client, params={"model": "other"}) == C
        fleet.failing = None
        change(client, fleet, ("other", "c", "default"))
        assert not models.unplanned
        assert mixed(client) == C


def test_an_illness_of_any_live_model_turns_the_health_red():
    fleet = FakeFleet(("old", "a", "default"), ("other", "c", "live"))
    with running(fleet=fleet) as client:
        all_loaded(client, fleet, 2)
        fleet.made["c"][0].illness = "the inference thread is dead"
        problem(client.get("/healthz"), 503, "engine_failed")


def test_a_deleted_face_is_forgotten_by_every_model():
    fleet = FakeFleet(("old", "a", "default"), ("other", "c", "live"))
    with running(fleet=fleet) as client:
        all_loaded(client, fleet, 2)
        for name in ("old", "other"):
            answer = client.post("/api/v1/faces", files=files(image=PHOTO), headers={"X-Facemix-Use-Model": name})
        assert all(fleet.made[key][0].cuts for key in "ac")
        assert client.request("DELETE", f"/api/v1/faces/{answer.json()['faces'][0]['id']}").status_code == 204
        assert not any(fleet.made[key][0].cuts for key in "ac")


def test_at_the_end_every_model_is_closed():
    fleet = FakeFleet(("old", "a", "default"), ("other", "c", "live"), ("new", "b", "standby"))
    with running(fleet=fleet) as client:
        all_loaded(client, fleet, 3)
    assert all(mixer.closed for made in fleet.made.values() for mixer in made)


# --- what is told of them ----------------------------------------------------------------------------------


def test_live_models_are_listed_with_the_default_first(several):
    items = several.get("/api/v1/models").json()["items"]
    live = [(item["model"]["id"], item["default"]) for item in items if item["status"] == "live"]
    assert live[0] == (A, True)
    assert set(live[1:]) == {(B, False), (C, False)}
    page = several.get("/models").text
    assert all(one in page for one in (A, B, C))
    assert several.get(f"/models/{C}").status_code == 200
