import asyncio
import os
import signal

import pytest
from fake_mixer import FakeMixer

from facemix.settings import Settings
from facemix.web.figures import Figures
from facemix.web.lifecycle import lifespan, watch
from facemix.web.limits import Buffered
from facemix.web.state import ServerState
from facemix.web.tracing import Tracing


class Book:
    """Stands for the accounts."""

    def __init__(self, mixer: FakeMixer) -> None:
        self.mixer = mixer
        self.closed_after_mixer: bool | None = None

    def ledger_state(self):
        return None

    def close(self):
        self.closed_after_mixer = self.mixer.closed


async def loaded(state, number):
    while number() < 1 or state.loaded is None:
        await asyncio.sleep(0.001)


def test_the_model_is_loaded_beside_and_the_ledger_closed_last():
    mixer = FakeMixer()
    state, book = ServerState(Settings(), lambda observer: mixer), Book(mixer)

    async def go():
        async with lifespan(state, book, Tracing()):
            await loaded(state, lambda: 1)
            assert book.closed_after_mixer is None

    asyncio.run(asyncio.wait_for(go(), 60))
    assert mixer.closed
    assert book.closed_after_mixer is True


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such signal")
def test_a_hangup_changes_the_model_and_only_while_it_runs():
    made = []

    def factory(observer):
        made.append(FakeMixer())
        return made[-1]

    state = ServerState(Settings(), factory)

    async def go():
        before = signal.getsignal(signal.SIGHUP)
        async with lifespan(state, None, Tracing()):
            await loaded(state, lambda: len(made))
            os.kill(os.getpid(), signal.SIGHUP)
            while len(made) < 2 or state.loaded is not made[1]:
                await asyncio.sleep(0.001)
            while not made[0].closed:
                await asyncio.sleep(0.001)
        assert signal.getsignal(signal.SIGHUP) == before

    asyncio.run(asyncio.wait_for(go(), 60))
    assert made[1].closed


def test_what_is_watched_follows_the_model():
    state = ServerState(Settings(max_queue=7), lambda observer: FakeMixer())
    buffered, figures = Buffered(10), Figures()
    watch(figures, state, buffered, None)

    def look():
        return {
            (sample.name, *sample.labels.values()): sample.value
            for metric in figures.look()
            for sample in metric.samples
        }

    before = look()
    assert before["facemix_ready",] == 0
    assert ("facemix_queue_frames",) not in before
    buffered.take(3)
    asyncio.run(state.load())
    now = look()
    assert now["facemix_ready",] == 1
    assert now["facemix_queue_frames",] == 0
    assert now["facemix_admitted_limit_frames",] == 7
    assert now["facemix_buffered_bytes",] == 3
    assert now["facemix_cache_bytes", "photos"] == 10
    assert now["facemix_cache_bytes", "shelf"] == 0
    asyncio.run(state.stores.shelf.put("face", bytes(5000), owner=None, seconds=60))
    assert 5000 < look()["facemix_cache_bytes", "shelf"] < 10_000
    assert now["facemix_model_info", "fake-32@abababababab", "fake", "cpu"] == 1
    state.loaded.illness = "the inference thread is dead"
    assert look()["facemix_ready",] == 0
