import asyncio
import threading

import pytest
from anyio import create_task_group, fail_after, sleep
from fake_mixer import FakeMixer
from web_client import OTHER, PHOTO, files, problem, running

from facemix.errors import Halted, RecipeInvalid
from facemix.governance.controls import KillSwitch
from facemix.safety import terms
from facemix.web.halting import Halt
from facemix.web.jobs import Result

MIX = "/api/v1/mix"
BOTH = {"face_a": PHOTO, "face_b": OTHER}
ON = KillSwitch(True, "the model shows what it must not", "somebody")
SAMPLES = {"parents": [{"sample": 1}, {"sample": 2}]}
FILM = SAMPLES | {"seconds": 0.5, "fps": 4, "media_type": "image/gif"}
FACE = {"image": ("a.png", PHOTO, "image/png")}


def turn(client, switch):
    async def now():
        client.app.state.facemix.halt.turn(switch)

    client.portal.call(now)


# --- one process's switch ----------------------------------------------------------------------------------


def run(work):
    return asyncio.run(asyncio.wait_for(work, 60))


def test_what_goes_on_is_left_alone():
    async def answer():
        return 7

    async def refuse():
        raise RecipeInvalid("no", hint="none")

    async def go():
        halt = Halt()
        halt.check()
        assert await halt.unless_halted(answer()) == 7
        with pytest.raises(RecipeInvalid):
            await halt.unless_halted(refuse())

    run(go())


def test_what_is_under_way_is_cancelled_and_told_why():
    async def go():
        heard, cancelled = [], []
        halt = Halt(heard.append)

        async def hang():
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                cancelled.append(1)
                raise

        tasks = [asyncio.ensure_future(halt.unless_halted(hang())) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        halt.turn(ON)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, Halted) and ON.reason in one.message for one in found)
        assert len(set(map(id, found))) == 3  # an exception that is raised again and again collects tracebacks
        assert len(cancelled) == 3
        assert [one.code for one in heard] == ["halted"]
        with pytest.raises(Halted):
            await halt.unless_halted(hang())
        halt.turn(KillSwitch())
        halt.check()
        assert halt.error is None

    run(go())


def test_whoever_leaves_is_not_told_that_it_was_halted():
    async def go():
        halt = Halt()
        task = asyncio.ensure_future(halt.unless_halted(asyncio.sleep(1000)))
        await asyncio.sleep(0)
        task.cancel()
        halt.turn(ON)
        with pytest.raises(asyncio.CancelledError):
            await task
        late = asyncio.ensure_future(Halt().unless_halted(asyncio.sleep(1000)))
        await asyncio.sleep(0)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late

    run(go())


# --- an application ----------------------------------------------------------------------------------------


def test_while_it_is_on_nothing_is_generated_and_all_else_goes_on():
    mixer = FakeMixer()
    with running(lambda: mixer) as client:
        face = client.post("/api/v1/faces", files=FACE).json()["faces"][0]["id"]
        drawn = client.get("/api/v1/samples/1")
        turn(client, ON)
        for response in (
            client.post(MIX, files=files(**BOTH)),
            client.post("/api/v1/strip", files=files(**BOTH)),
            client.post("/api/v1/faces", files=FACE),
            client.post("/api/v1/animations", json=FILM),
            client.post("/api/v1/grids", json=SAMPLES | {"kind": "pairs"}),
            client.post("/api/v1/batches", json={"items": [SAMPLES]}),
            client.get("/api/v1/samples/1"),
            client.get("/api/v1/samples/2"),
        ):
            body = problem(response, 503, "halted")
            assert ON.reason in body["detail"]
            assert int(response.headers["retry-after"]) > 0
        number = len(mixer.samples_drawn)
        for path in ("/healthz", "/", "/about", "/models", "/api/v1/model", "/api/v1/models", f"/api/v1/faces/{face}"):
            assert client.get(path).status_code == 200, path
        known = {"If-None-Match": drawn.headers["etag"]}
        assert client.get("/api/v1/samples/1", headers=known).status_code == 304
        assert client.get("/readyz").json()["generation"] == "halted"
        assert client.request("DELETE", f"/api/v1/faces/{face}").status_code == 204
        assert len(mixer.samples_drawn) == number
        turn(client, KillSwitch())
        assert client.post(MIX, files=files(**BOTH)).status_code == 200
        assert client.get("/readyz").json()["generation"] == "on"


def test_requests_under_way_are_answered_and_their_places_given_back():
    entered, release = threading.Barrier(3), threading.Event()

    def hold():
        entered.wait(60)
        release.wait(60)

    mixer = FakeMixer(hook=hold)
    with running(lambda: mixer) as client:
        answers = []
        calls = (
            lambda: client.post(MIX, files=files(face_a=PHOTO), data={"sample_b": "1"}),
            lambda: client.get("/api/v1/samples/5"),
        )
        threads = [threading.Thread(target=lambda call=call: answers.append(call())) for call in calls]
        for thread in threads:
            thread.start()
        try:
            entered.wait(60)
            turn(client, ON)
            for thread in threads:
                thread.join(60)
            assert [answer.json()["code"] for answer in answers] == ["halted", "halted"]
            assert client.app.state.facemix.admission.inside == 0
        finally:
            release.set()


def test_jobs_that_wait_or_work_fail_with_the_reason():
    with running() as client:
        jobs = client.app.state.facemix.jobs
        ended = []

        async def go():
            begun = asyncio.Event()

            async def work(progress):
                begun.set()
                try:
                    await sleep(1000)
                finally:
                    ended.append(progress.stop())
                return Result(b"", "image/gif", "x")

            working = await jobs.submit("film", 1, work, owner=None)
            waiting = await jobs.submit("film", 1, work, owner=None)
            await begun.wait()
            client.app.state.facemix.halt.turn(ON)
            found = []
            with fail_after(60):
                for job in (working, waiting):
                    while not (now := await jobs.get(job.id, owner=None)).ended:
                        await sleep(0.005)
                    found.append(now)
            return found

        for job in client.portal.call(go):
            assert job.state == "failed"
            assert job.problem["code"] == "halted"
            assert ON.reason in job.problem["detail"]
        assert ended == [True]  # the second never began; what works in a thread hears of it, too


def test_a_sample_that_many_wait_for_is_refused_to_all_of_them():
    entered, release = threading.Event(), threading.Event()

    def hold():
        entered.set()
        release.wait(60)

    with running(lambda: FakeMixer(hook=hold)) as client:
        state = client.app.state.facemix

        async def many():
            found = []

            async def one():
                try:
                    await state.sample_file(5, 0, "image/png")
                except Halted as error:
                    found.append(error)

            with fail_after(60):
                async with create_task_group() as group:
                    for _ in range(8):
                        group.start_soon(one)
                    while not entered.is_set():
                        await sleep(0.005)
                    state.halt.turn(ON)
            return found

        try:
            assert len(client.portal.call(many)) == 8
        finally:
            release.set()


def test_the_page_says_it_kindly():
    with running() as client:
        assert "switched off" not in client.get("/").text
        turn(client, KillSwitch(True, "we found <b>a</b> fault", "somebody"))
        page = client.get("/")
        assert page.status_code == 200
        assert "Mixing is switched off" in page.text
        assert "switched mixing off: we found &lt;b&gt;a&lt;/b&gt; fault." in page.text
        assert "somebody" not in page.text
        assert "/api/v1/samples/" not in page.text
        assert "Sample faces come back with mixing" in page.text
        answer = client.post("/", files=files(**BOTH), data={"consent": terms.VERSION}, headers={"Accept": "text/html"})
        assert answer.status_code == 503
        assert answer.text.count("Mixing is switched off") == 1
        assert "retry-after" in answer.headers
        turn(client, KillSwitch())
        assert "switched off" not in client.get("/").text
