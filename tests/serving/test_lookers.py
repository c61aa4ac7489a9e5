import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from files import png, text_named_jpg
from looking import here
from portraits import cat, crowd, far_away, head

from facemix.errors import (
    DeadlineExceeded,
    EngineFailed,
    FaceNotFound,
    FacePlacementInvalid,
    FaceTooSmall,
    ImageCorrupt,
    ImageUnsupported,
    Stopping,
)
from facemix.faces.cuts import cut, whole
from facemix.faces.placed import Placed
from facemix.imaging.decode import WORKING_SIDE, DecodeLimits
from facemix.serving import lookers as module
from facemix.serving.lookers import ProcessLookers
from facemix.serving.meter import metered

LIMITS = DecodeLimits(max_side=WORKING_SIDE)
HEAD, CROWD, CAT = png(head()), png(crowd()), png(cat())
PLACED = Placed((123.0, 103.0), (168.0, 104.0), (143.0, 144.5))


@pytest.fixture(scope="module")
def apart():
    made = ProcessLookers(LIMITS, runner="onnxruntime", processes=1)
    made.wait_until_ready()
    yield made
    made.close()


def pids(lookers):
    return list(lookers._executor._processes)


def same(first, second):
    assert (first.width, first.height, first.notes, len(first.faces)) == (
        second.width,
        second.height,
        second.notes,
        len(second.faces),
    )
    for one, other in zip(first.faces, second.faces, strict=True):
        np.testing.assert_array_equal(one.crop, other.crop)
        np.testing.assert_equal(vars(one.quality), vars(other.quality))  # NaN equals itself there
        assert repr(one.refusal) == repr(other.refusal)


@pytest.mark.parametrize("photo", [HEAD, CROWD, png(far_away())])
def test_processes_see_what_threads_see(apart, finder, photo):
    near = here(finder, LIMITS)

    async def both():
        return await asyncio.gather(apart.look(photo, 64), near.look(photo, 64))

    same(*asyncio.run(both()))
    near.close()


@pytest.mark.parametrize("photo", [HEAD, CAT])
def test_a_placed_face_is_the_only_one_whoever_looks(apart, finder, photo):
    near = here(finder, LIMITS)

    async def both():
        return await asyncio.gather(*(one.look(photo, 64, placed=PLACED) for one in (apart, near)))

    far, close = asyncio.run(both())
    same(far, close)
    (found,) = far.faces
    np.testing.assert_array_equal(found.face.landmarks, PLACED.landmarks())
    near.close()


def test_a_face_placed_where_none_can_be_is_refused_whoever_looks(apart, finder):
    near = here(finder, LIMITS)
    for lookers in (apart, near):
        with pytest.raises(FacePlacementInvalid, match="300 x 300") as caught:
            asyncio.run(lookers.look(HEAD, 64, placed=Placed((10, 10), (900, 10), (20, 30))))
        assert caught.value.details["right_eye"] == [900, 10]
    near.close()


def test_a_deadline_that_has_passed_spares_the_look_at_a_placed_face(apart, finder):
    near = here(finder, LIMITS)
    for lookers in (apart, near):
        with pytest.raises(DeadlineExceeded):
            asyncio.run(lookers.look(HEAD, 64, placed=PLACED, deadline=time.monotonic() - 1))
    near.close()


@pytest.mark.parametrize("side", [64, 1024])
def test_whoever_looks_cuts_the_same(apart, finder, side):
    near, face = here(finder, LIMITS), PLACED.face()

    async def both():
        return await asyncio.gather(*(one.cut(HEAD, face, side) for one in (apart, near)))

    far, close = asyncio.run(both())
    np.testing.assert_array_equal(far, close)
    np.testing.assert_array_equal(far, cut(HEAD, LIMITS, face, side))
    near.close()


def test_the_face_that_a_look_has_shown_can_be_cut(apart):
    async def go():
        seen = await apart.look(CROWD, 64)
        for found in seen.faces:
            np.testing.assert_array_equal(await apart.cut(CROWD, found.face, 64), found.crop)

    asyncio.run(go())


def test_whoever_looks_gives_the_same_whole_photograph(apart, finder):
    near = here(finder, LIMITS)

    async def both():
        return await asyncio.gather(*(one.whole(CROWD, 200) for one in (apart, near)))

    far, close = asyncio.run(both())
    np.testing.assert_array_equal(far, close)
    np.testing.assert_array_equal(far, whole(CROWD, LIMITS, 200))
    near.close()


def test_cuts_and_whole_photographs_are_refused_and_metered_like_looks(apart, finder):
    near = here(finder, LIMITS)

    async def go(lookers):
        for asked in (
            lambda data, **when: lookers.cut(data, PLACED.face(), 512, **when),
            lambda data, **when: lookers.whole(data, 64, **when),
        ):
            with pytest.raises(ImageCorrupt):
                await asked(HEAD[:5000])
            with pytest.raises(DeadlineExceeded):
                await asked(HEAD, deadline=time.monotonic() - 1)
            with metered() as meter:
                await asked(HEAD, deadline=time.monotonic() + 60)
            assert meter.cpu_seconds > 0

    for lookers in (apart, near):
        asyncio.run(go(lookers))
    near.close()
    with pytest.raises(Stopping):
        asyncio.run(near.cut(HEAD, PLACED.face(), 64))
    with pytest.raises(Stopping):
        asyncio.run(near.whole(HEAD, 64))


def test_a_refusal_comes_back_whole(apart):
    with pytest.raises(FaceNotFound) as caught:
        asyncio.run(apart.look(CAT, 64))
    assert caught.value.hint
    with pytest.raises(ImageUnsupported) as caught:
        asyncio.run(apart.look(text_named_jpg(), 64))
    assert caught.value.details["looks_like"]


def test_errors_travel_between_processes():
    error = FaceTooSmall("the face is small", hint="another photo", where="face_a", pixels=7)
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), back.message, back.hint, back.where) == (type(error), error.message, error.hint, "face_a")
    assert back.details == {"pixels": 7}


def test_a_deadline_that_has_passed_spares_the_look(apart):
    with pytest.raises(DeadlineExceeded):
        asyncio.run(apart.look(HEAD, 64, deadline=time.monotonic() - 1))
    assert asyncio.run(apart.look(HEAD, 64, deadline=time.monotonic() + 60)).faces


def test_a_process_that_dies_is_replaced_and_its_photo_looked_at_again(apart, finder):
    before = pids(apart)

    async def go():
        looking = asyncio.ensure_future(apart.look(HEAD, 64))
        await asyncio.sleep(0)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        return await looking

    same(asyncio.run(go()), here(finder, LIMITS).look_here(HEAD, 64))
    assert apart.ill() is None
    assert set(pids(apart)).isdisjoint(before)


def test_a_photo_that_kills_whoever_looks_is_refused_and_the_next_one_is_not(apart, monkeypatch):
    monkeypatch.setattr(module, "answer", _die)
    for asked in (
        lambda: apart.look(HEAD, 64),
        lambda: apart.cut(HEAD, PLACED.face(), 64),
        lambda: apart.whole(HEAD, 64),
    ):
        with pytest.raises(EngineFailed, match="died twice") as caught:
            asyncio.run(asked())
        assert caught.value.status == 503
    monkeypatch.undo()
    assert asyncio.run(apart.look(HEAD, 64)).faces


def test_a_pool_that_dies_while_a_photo_is_written_to_it_leaves_no_thread_behind(apart):
    feeding = []
    (pid,) = pids(apart)
    large = HEAD + bytes(4 << 20)  # more than a pipe holds

    async def go():
        os.kill(pid, signal.SIGSTOP)  # so that nobody reads
        looking = asyncio.ensure_future(apart.look(large, 64))
        await asyncio.sleep(0.2)
        feeding.extend(thread for thread in threading.enumerate() if thread.name == "QueueFeederThread")
        os.kill(pid, signal.SIGKILL)
        return await looking

    assert asyncio.run(go()).faces
    limit = time.monotonic() + 60
    assert feeding
    while any(thread.is_alive() for thread in feeding):
        assert time.monotonic() < limit
        time.sleep(0.01)


def _die(*_):
    os._exit(9)


@pytest.mark.parametrize("stuck", [False, True])
def test_of_a_pool_that_died_an_end_is_closed_only_where_nobody_else_does(monkeypatch, stuck):
    monkeypatch.setattr(module, "STUCK_SECONDS", 0.05)
    free, closed = threading.Event(), threading.Event()
    feeder = threading.Thread(target=free.wait)
    feeder.start()
    if not stuck:
        free.set()
        feeder.join()
    queue = SimpleNamespace(_thread=feeder, _reader=SimpleNamespace(close=closed.set))
    module._let_go(SimpleNamespace(_call_queue=queue))
    for thread in threading.enumerate():
        if thread.name == "let go":
            thread.join()
    free.set()
    assert closed.is_set() == stuck


def test_processes_that_keep_dying_are_an_illness(apart, monkeypatch):
    monkeypatch.setattr(module, "BREAKS", 2)
    monkeypatch.setattr(module, "answer", _die)
    with pytest.raises(EngineFailed):
        asyncio.run(apart.look(HEAD, 64))
    assert "keep dying" in apart.ill()
    monkeypatch.undo()
    assert asyncio.run(apart.look(HEAD, 64)).faces
    assert apart.ill() is None


def test_processes_that_cannot_begin_are_told_at_the_start(monkeypatch):
    monkeypatch.setattr(module, "prepare", _die)
    made = ProcessLookers(LIMITS, runner="onnxruntime", processes=1)
    with pytest.raises(EngineFailed, match="do not start") as caught:
        made.wait_until_ready()
    assert "FACEMIX_ISOLATE" in caught.value.hint


def test_when_closed_nothing_new_is_taken():
    made = ProcessLookers(LIMITS, runner="onnxruntime", processes=1)
    made.wait_until_ready()
    made.close()
    with pytest.raises(Stopping):
        asyncio.run(made.look(HEAD, 64))


def test_a_server_that_is_killed_leaves_no_process_behind(tmp_path):
    program = (
        "import sys, time\n"
        "from facemix.imaging.decode import DecodeLimits\n"
        "from facemix.serving.lookers import ProcessLookers\n"
        "if __name__ == '__main__':\n"
        "    made = ProcessLookers(DecodeLimits(), runner='onnxruntime', processes=2)\n"
        "    made.wait_until_ready()\n"
        "    print(*made._executor._processes, flush=True)\n"
        "    time.sleep(60)\n"
    )
    script = tmp_path / "server.py"
    script.write_text(program)
    server = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    children = [int(pid) for pid in server.stdout.readline().split()]
    assert len(children) == 2
    server.kill()
    server.communicate()
    limit = time.monotonic() + 60
    while any(_alive(pid) for pid in children):
        assert time.monotonic() < limit
        time.sleep(0.02)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_the_processes_are_light():
    """They need no torch: it would cost each of them a second and some hundred megabytes."""
    program = "import sys, facemix.serving.lookers; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
