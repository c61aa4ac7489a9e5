"""What an operator fears, on a real server with a tiny model: overload, a dead thread, a full disk, a change of the
model, a stop in the middle of it."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from files import jpeg
from looking import here
from portraits import other, portrait
from served import serving
from sqlalchemy import event
from tiny import tiny_checkpoint
from web_client import OTHER, PHOTO, files, running

from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.serving.engine import Engine
from facemix.serving.mixer import Mixer
from facemix.storage.database import Database
from facemix.storage.keys import KeyStore
from facemix.storage.ledger import Ledger
from facemix.web.accounts import Accounts

pytestmark = pytest.mark.slow

MIX = "/api/v1/mix"
PHOTOS = jpeg(portrait()), jpeg(other())


def photos(number: int) -> dict:
    """Two photographs that no server has seen: what stands behind the end of a JPEG changes only its hash."""
    return {
        f"face_{letter}": (f"{letter}.jpg", data + str(number).encode())
        for letter, data in zip("ab", PHOTOS, strict=True)
    }


def eventually(condition) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder `live` that leads to one checkpoint, and that can be made to lead to another."""
    folder = tmp_path_factory.mktemp("models")
    tiny_checkpoint(folder / "first", name="first")
    tiny_checkpoint(folder / "second", name="second")
    (folder / "live").symlink_to("first")
    return folder


@pytest.fixture(scope="module")
def small(models, tmp_path_factory):
    """A server with room for 12 frames: four mixes."""
    folder = tmp_path_factory.mktemp("small")
    settings = {"checkpoint": models / "live", "max_queue": 12, "backend": "torch", "max_batch": 4, "cache_bytes": 0}
    with serving(folder, **settings) as served:
        yield served


def test_beyond_what_it_takes_a_server_answers_503_and_nothing_else(small):
    def ask(number):
        with small.client() as client:
            response = client.post(MIX, files=photos(number))
            return response.status_code, response.json().get("code"), response.headers.get("retry-after")

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, range(72)))
    statuses = [status for status, _, _ in answers]
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 4
    for status, code, retry_after in answers:
        if status == 503:
            assert code == "busy"
            assert 1 <= int(retry_after) <= 60
    with small.client() as client:
        assert client.post(MIX, files=photos(-1)).status_code == 200
        assert "facemix_admitted_frames 0.0" in client.get("/metrics").text
        assert client.get("/healthz").status_code == 200


def test_clients_that_leave_early_leave_no_work_behind(small):
    def leave(number):
        with small.client() as client:
            try:
                client.post(MIX, files=photos(1000 + number), timeout=0.05)
            except httpx.TimeoutException:
                return "left"
            return "answered"

    with ThreadPoolExecutor(12) as pool:
        assert "left" in list(pool.map(leave, range(24)))
    with small.client() as client:
        eventually(lambda: "facemix_admitted_frames 0.0" in client.get("/metrics").text)
        assert client.post(MIX, files=photos(-2)).status_code == 200
    assert " ERROR " not in small.log


def test_processes_that_are_killed_under_load_cost_no_answer(small):
    def ask(number):
        with small.client() as client:
            return client.post(MIX, files=photos(1500 + number)).status_code

    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(ask, number) for number in range(9)]
        eventually(lambda: any(answer.done() for answer in answers))
        lookers = children(small.process.pid)
        assert lookers
        for pid in lookers:
            os.kill(pid, signal.SIGKILL)
        assert [answer.result() for answer in answers] == [200] * 9
    assert set(children(small.process.pid)).isdisjoint(lookers)


def children(pid: int) -> list[int]:
    """The processes in which a server looks at photographs."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == pid and "spawn_main" in (folder / "cmdline").read_text():
                found.append(int(folder.name))
        except (OSError, ValueError, IndexError):
            continue  # no process, or one that has ended meanwhile
    return found


def test_the_model_changes_under_load_without_dropping_a_request(small, models):
    done = threading.Event()
    answers = []

    def ask():
        number = 2000
        with small.client() as client:
            while not done.is_set():
                number += 1
                response = client.post(MIX, files=photos(number))
                answers.append((response.status_code, response.headers.get("x-facemix-model", "").partition("@")[0]))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        eventually(lambda: len(answers) > 3)
        (models / "live").unlink()
        (models / "live").symlink_to("second")
        small.process.send_signal(signal.SIGHUP)
        eventually(lambda: answers[-1][1] == "second")
    finally:
        done.set()
        for thread in asking:
            thread.join(60)
    assert {status for status, _ in answers} == {200}
    assert {model for _, model in answers} == {"first", "second"}


def test_a_model_that_cannot_be_loaded_changes_nothing(small, models):
    (models / "live").unlink()
    small.process.send_signal(signal.SIGHUP)
    eventually(lambda: "the mixer cannot be loaded" in small.log)
    with small.client() as client:
        assert client.get("/readyz").status_code == 200
        assert client.post(MIX, files=photos(-3)).headers["x-facemix-model"].startswith("second")


def test_a_stop_in_the_middle_of_it_answers_what_is_inside(models, tmp_path):
    settings = {"checkpoint": models / "second", "backend": "torch", "max_batch": 4, "cache_bytes": 0, "workers": 1}
    with serving(tmp_path, **settings) as served:

        def ask(number):
            with served.client() as client:
                return client.post(MIX, files=photos(number)).status_code

        with ThreadPoolExecutor(6) as pool:
            answers = [pool.submit(ask, number) for number in range(6)]
            with served.client() as client:
                eventually(lambda: "facemix_admitted_frames 18.0" in client.get("/metrics").text)
            status = served.stop()
            assert [answer.result() for answer in answers] == [200] * 6
        assert status == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{served.address}/healthz")
    with Database.open(f"sqlite:///{tmp_path}/data/facemix.sqlite3") as database:
        assert Ledger(database).count() == 6


# --- in this process, where the thread and the disk can be reached -----------------------------------------


@pytest.fixture
def engine(models):
    return Engine(models / "first", device="cpu", max_batch=2)


def test_a_dead_inference_thread_is_seen_told_and_replaced(engine):
    prepared = threading.Event()
    prepared.set()
    prepare = engine.batcher._prepare
    engine.batcher._prepare = lambda: (prepared.wait(60), prepare())
    mixer = Mixer(engine, here(FaceFinder(CenterFace(threads=1))))
    with running(lambda: mixer) as client:
        both = files(face_a=PHOTOS[0], face_b=PHOTOS[1])
        assert client.post(MIX, files=both).status_code == 200
        prepared.clear()
        thread = engine.batcher._thread
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
        thread.join(60)
        red = client.get("/healthz")
        assert (red.status_code, red.json()["code"]) == (503, "engine_failed")
        assert client.get("/readyz").status_code == 503
        refused = client.post(MIX, files=both)
        assert (refused.status_code, refused.json()["code"]) == (503, "engine_failed")
        assert int(refused.headers["retry-after"]) > 0
        prepared.set()
        eventually(lambda: client.get("/healthz").status_code == 200)
        assert client.post(MIX, files=both).status_code == 200


def test_a_full_disk_costs_no_mix_and_is_written_down_later(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path}/facemix.sqlite3")
    database.upgrade()
    key = KeyStore(database).create("integrator")
    with database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def limit(most):
        def set_limit(connection, _record):
            connection.execute(f"PRAGMA max_page_count = {most}")

        return set_limit

    full = limit(pages)
    event.listen(database.engine, "connect", full)
    database.engine.dispose()
    accounts = Accounts(database)
    with running(accounts=accounts) as client:
        for number in range(200):
            headers = {"Authorization": f"Bearer {key}", "X-Request-Id": f"{number:0100d}"}
            response = client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER), headers=headers)
            assert response.status_code == 200
        accounts._writer.flush(30)
        state = accounts.ledger_state()
        assert not state.ok
        assert state.waiting > 0
        assert state.lost == 0
        assert "facemix_ledger_waiting_rows" in client.get("/metrics").text
        # Room again.
        event.remove(database.engine, "connect", full)
        database.engine.dispose()
        assert accounts._writer.flush(30)
        assert accounts.ledger_state().ok
        assert Ledger(database).count() == 200
