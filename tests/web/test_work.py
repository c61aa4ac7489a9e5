import threading
import time

import pytest
from anyio import sleep
from fake_mixer import FakeMixer
from web_client import OTHER, PHOTO, files, running

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
        release.wait(30)

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
        release.wait(30)

    with running(lambda: FakeMixer(hook=hold), max_queue=40) as client:
        strip = threading.Thread(target=lambda: client.post("/api/v1/strip", files=files(**BOTH), data={"steps": "33"}))
        strip.start()
        try:
            assert entered.wait(30)
            assert client.app.state.facemix.admission.inside == 35
            refused = client.post("/api/v1/strip", files=files(**BOTH), data={"steps": "33"})
            assert (refused.status_code, refused.json()["code"]) == (503, "busy")
            assert "35 frames" in refused.json()["detail"]
        finally:
            release.set()
            strip.join()


def test_a_slow_sender_keeps_nobody_out():
    with running(max_queue=1) as client:
        headers, (body,) = multipart(**BOTH)
        half = threading.Event()

        def trickle():
            yield body[:50]
            half.set()
            assert done.wait(30)
            yield body[50:]

        done = threading.Event()
        answers = []
        slow = threading.Thread(target=lambda: answers.append(client.stream_post(MIX, headers, trickle())))
        slow.start()
        try:
            assert half.wait(30)
            assert client.post(MIX, files=files(**BOTH)).status_code == 200
        finally:
            done.set()
            slow.join()
        assert answers[0] == 200
