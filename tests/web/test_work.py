import asyncio
import threading
import time

import pytest
from anyio import sleep
from fake_mixer import FakeMixer
from web_client import CROWD, OTHER, PHOTO, files, running

from facemix.errors import DeadlineExceeded, EngineFailed, RecipeInvalid, Stopping
from facemix.mixing.recipe import Edits
from facemix.serving.types import FrameSpec
from facemix.settings import Settings
from facemix.web import work
from facemix.web.animations import chunks
from facemix.web.state import ServerState
from facemix.web.work import patiently

MIX = "/api/v1/mix"
BOTH = {"face_a": PHOTO, "face_b": OTHER}


def multipart(**photos):
    """(headers, one chunk) of a form, for `raw`."""
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%s"; filename="x"\r\n\r\n%s\r\n' % (name.encode(), data)
        for name, data in photos.items()
    )
    return {"Content-Type": "multipart/form-data; boundary=b"}, [body + b"--b--\r\n"]


def test_work_is_cancelled_when_the_client_goes_away(caplog):
    entered, release = threading.Event(), threading.Event()

    def hold():
        entered.set()
        release.wait(60)

    mixer = FakeMixer(hook=hold)
    with running(lambda: mixer) as client:
        headers, (body,) = multipart(**BOTH)

        async def leave():
            """Sends the whole request, and closes the connection while it is worked on."""
            messages = iter([{"type": "http.request", "body": body, "more_body": False}])

            async def receive():
                for message in messages:
                    return message
                while not entered.is_set():
                    await sleep(0.001)
                return {"type": "http.disconnect"}

            sent = []

            async def send(message):
                sent.append(message)

            scope = client.scope("POST", MIX, headers)
            await client.app(scope, receive, send)
            return sent

        assert client.portal.call(leave) == []
        assert mixer.given_up == 1
        assert client.app.state.facemix.admission.inside == 0
        release.set()
        assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(("asked", "given"), [(None, 30), ("2.5", 2.5), ("1e9", 30)])
def test_the_deadline_is_the_clients_within_the_operators(asked, given):
    mixer = FakeMixer()
    with running(lambda: mixer, deadline_seconds=30) as client:
        before = time.monotonic()
        headers = {} if asked is None else {"X-Facemix-Deadline": asked}
        assert client.post(MIX, files=files(**BOTH), headers=headers).status_code == 200
        after = time.monotonic()
    assert before + given <= mixer.deadlines[0] <= after + given


@pytest.mark.parametrize("asked", ["soon", "0", "-1", "nan", "inf", ""])
def test_a_deadline_that_is_none_is_refused(asked):
    with running() as client:
        response = client.post(MIX, files=files(**BOTH), headers={"X-Facemix-Deadline": asked})
        assert response.status_code == 422
        assert response.json()["where"] == "x-facemix-deadline"


def test_frames_are_what_is_counted():
    """A strip of 33 does not pass for one: beside it, nothing more fits into 40."""
    entered, release = threading.Event(), threading.Event()

    def hold():
        entered.set()
        release.wait(60)

    with running(lambda: FakeMixer(hook=hold), max_queue=40) as client:
        strip = threading.Thread(target=lambda: client.post("/api/v1/strip", files=files(**BOTH), data={"steps": "33"}))
        strip.start()
        try:
            assert entered.wait(60)
            assert client.app.state.facemix.admission.inside == 35
            refused = client.post("/api/v1/strip", files=files(**BOTH), data={"steps": "33"})
            assert (refused.status_code, refused.json()["code"]) == (503, "busy")
            assert "35 frames" in refused.json()["detail"]
        finally:
            release.set()
            strip.join()


def test_what_is_large_leaves_less_room():
    """A mix of two photographs with their detail is not one picture of two: at 1024 pixels, a second is too much."""
    entered, release = threading.Event(), threading.Event()

    def hold():
        entered.set()
        release.wait(60)

    with running(lambda: FakeMixer(hook=hold), max_queue=30) as client:
        large = {"detail": "1", "size": "1024"}
        first = threading.Thread(target=lambda: client.post(MIX, files=files(**BOTH), data=large))
        first.start()
        try:
            assert entered.wait(60)
            assert client.app.state.facemix.admission.inside == 2 + 2 + 13
            refused = client.post(MIX, files=files(**BOTH), data=large)
            assert (refused.status_code, refused.json()["code"]) == (503, "busy")
            entered.clear()
            small = threading.Thread(target=lambda: client.post(MIX, files=files(**BOTH)))
            small.start()
            assert entered.wait(60)  # that one is let in
        finally:
            release.set()
            first.join()
        small.join()


@pytest.mark.parametrize("edits", [{}, {"detail": "1", "size": "1024", "placement": "photo"}])
def test_what_is_larger_than_the_queue_is_let_in_alone(edits):
    with running(max_queue=1) as client:
        for _ in range(2):
            assert client.post(MIX, files=files(**BOTH), data=edits).status_code == 200
        assert client.post("/api/v1/faces", files=files(image=CROWD)).status_code == 200
        assert client.app.state.facemix.admission.inside == 0


def test_a_slow_sender_keeps_nobody_out():
    with running(max_queue=1) as client:
        headers, (body,) = multipart(**BOTH)
        half = threading.Event()

        def trickle():
            yield body[:50]
            half.set()
            assert done.wait(60)
            yield body[50:]

        done = threading.Event()
        answers = []
        slow = threading.Thread(target=lambda: answers.append(client.stream_post(MIX, headers, trickle())))
        slow.start()
        try:
            assert half.wait(60)
            assert client.post(MIX, files=files(**BOTH)).status_code == 200
        finally:
            done.set()
            slow.join()
        assert answers[0] == 200


# --- work that can wait ------------------------------------------------------------------------------------


class Drawing:
    """A mixer that refuses the first times."""

    def __init__(self, *refusals):
        self.refusals = list(refusals)
        self.asked = 0

    async def frames(self, parents, specs, *, deadline):
        self.asked += 1
        if self.refusals:
            raise self.refusals.pop(0)
        return "frames"


def drawn(mixer, *, inside=0, stopping=False):
    state = ServerState(Settings(max_queue=4), FakeMixer)
    state.admission.inside, state.admission.stopping = inside, stopping

    async def ask():
        asking = asyncio.ensure_future(patiently(state, mixer, [], [FrameSpec((1.0,))]))
        await asyncio.sleep(0.05)
        asked = mixer.asked
        state.admission.inside -= inside
        return asked, await asyncio.wait_for(asking, 60), state.admission.inside

    return asyncio.run(ask())


def test_a_film_draws_fewer_frames_at_once_the_larger_they_are():
    def lengths(count=20, **edits):
        found = list(chunks(tuple(FrameSpec((1.0,), Edits(**edits)) for _ in range(count))))
        return [len(one) for one in found]

    assert lengths() == lengths(detail=1.0, size=512) == [8, 8, 4]
    assert lengths(detail=1.0, size=1024) == [2] * 10
    assert lengths(3, detail=1.0, size=1024, attributes={"age": 1.0}) == [2, 1]
    assert lengths(0) == []


def test_whoever_can_wait_is_drawn_when_there_is_room(monkeypatch):
    monkeypatch.setattr(work, "PATIENT_SECONDS", 0.01)
    assert drawn(Drawing(), inside=4) == (0, "frames", 0)


def test_whoever_can_wait_is_drawn_again_when_the_device_was_too_slow(monkeypatch):
    monkeypatch.setattr(work, "PATIENT_SECONDS", 0.01)
    late = DeadlineExceeded("late", hint="again", retry_after=5)
    mixer = Drawing(late, late)
    assert drawn(mixer)[1:] == ("frames", 0)
    assert mixer.asked == 3


def test_whoever_can_wait_does_not_wait_for_a_server_that_stops_nor_for_what_is_wrong():
    with pytest.raises(Stopping):
        drawn(Drawing(), stopping=True)
    with pytest.raises(RecipeInvalid):
        drawn(Drawing(RecipeInvalid("no", hint="none")))


def test_patience_ends(monkeypatch):
    monkeypatch.setattr(work, "PATIENT_SECONDS", 0.0)
    late = DeadlineExceeded("late", hint="again", retry_after=5)
    mixer = Drawing(*[late] * 1000)
    with pytest.raises(DeadlineExceeded):
        drawn(mixer)
    assert mixer.asked == work.PATIENT_TRIES + 1


def test_what_brings_the_device_down_is_not_tried_for_ever(monkeypatch):
    monkeypatch.setattr(work, "PATIENT_SECONDS", 0)
    mixer = Drawing(*[EngineFailed("it died", hint="try again") for _ in range(10)])
    with pytest.raises(EngineFailed):
        drawn(mixer)
    assert mixer.asked == work.MOST_FAILURES + 1
