import asyncio
import time

import pytest
from files import jpeg
from looking import here
from portraits import portrait
from tiny import tiny_checkpoint

from facemix.errors import FaceNotFound
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.serving import looker
from facemix.serving.engine import Engine
from facemix.serving.meter import Meter, metered, took
from facemix.serving.mixer import Mixer
from facemix.serving.pool import Pool
from facemix.serving.types import Cost, PhotoInput, SampleInput


def burn(seconds: float) -> None:
    """Keeps this thread's processor busy."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_without_a_meter_nobody_asks():
    took(1.0, Cost(1, 1, 1.0))


def test_a_meter_hears_what_its_tasks_took_and_no_other():
    async def work(seconds):
        took(seconds, Cost(frames_decoded=1, device_seconds=seconds))

    async def go():
        with metered() as outer:
            with metered() as inner:
                await asyncio.gather(*(asyncio.create_task(work(0.25)) for _ in range(4)))
            took(8.0)
        took(16.0)
        return outer, inner

    outer, inner = asyncio.run(go())
    assert (inner.cpu_seconds, inner.cost) == (1.0, Cost(0, 4, 1.0))
    assert (outer.cpu_seconds, outer.cost) == (8.0, Cost())


def test_threads_note_the_processor_and_not_the_clock():
    async def go():
        pool = Pool("meter", 1)
        with metered() as meter:
            await pool.run(time.sleep, 0.05)
            slept = meter.cpu_seconds
            await pool.run(burn, 0.02)
            with pytest.raises(ZeroDivisionError):
                await pool.run(lambda: burn(0.02) or 1 / 0)
        pool.close()
        return slept, meter.cpu_seconds

    slept, burned = asyncio.run(go())
    assert burned - slept >= 0.04
    assert slept < 0.05


def test_a_process_tells_what_a_look_took_even_a_vain_one(monkeypatch):
    def refuse(*_):
        burn(0.02)
        raise FaceNotFound("no face was found", hint="another photo")

    monkeypatch.setattr(looker._Here, "looker", None, raising=False)
    found, seconds = looker.answer(refuse, (b"", 32), None)
    assert isinstance(found, FaceNotFound)
    assert seconds >= 0.02


def test_a_mix_is_metered_from_the_photograph_to_the_picture(tmp_path):
    engine = Engine(tiny_checkpoint(tmp_path / "tiny"), device="cpu", max_batch=2, threads=2)
    mixer = Mixer(engine, here(FaceFinder(CenterFace(threads=1))), cache_bytes=2**24, cache_seconds=600)
    photo = PhotoInput(jpeg(portrait()), "face_a")

    async def go():
        with metered() as first:
            made = await mixer.mix([photo, SampleInput(1, "face_b")])
        with metered() as second:  # the photograph is known by now
            await mixer.mix([photo, SampleInput(1, "face_b")])
        return made, first, second

    try:
        made, first, second = asyncio.run(go())
    finally:
        mixer.close()
    assert engine.cpu_threads == 2
    assert first.cost == made.cost
    assert first.cost.frames_encoded == first.cost.frames_decoded == 1
    assert first.cpu_seconds > 2 * first.cost.device_seconds > 0  # the look is in it, too
    assert second.cost.frames_encoded == 0
    assert second.cpu_seconds == pytest.approx(2 * second.cost.device_seconds)


def test_it_may_be_added_to_from_several_threads():
    import threading

    meter = Meter()
    threads = [threading.Thread(target=lambda: [meter.add(1.0) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.cpu_seconds == 8000
