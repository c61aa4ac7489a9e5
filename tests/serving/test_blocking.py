import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest
from looking import here

from facemix.errors import RecipeInvalid
from facemix.serving.blocking import BlockingMixer
from facemix.serving.engine import Engine
from facemix.serving.mixer import Mixer


def test_it_answers_several_threads_and_leaves_none_behind(checkpoint, finder):
    before = set(threading.enumerate())
    mixer = BlockingMixer(Mixer(Engine(checkpoint, device="cpu", max_batch=2), here(finder)))
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(mixer.sample, [1, 2, 1, 2]))
    np.testing.assert_array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])
    mixer.close()
    assert {thread for thread in threading.enumerate() if thread.name in ("mixer", "inference")} <= before


def test_a_refusal_is_raised_where_it_was_asked_for(mixer):
    with pytest.raises(RecipeInvalid, match="0 faces were given"):
        mixer.mix([])


def test_a_caller_who_still_waits_at_the_end_is_let_go(checkpoint, finder):
    engine = Engine(checkpoint, device="cpu", max_batch=2)
    entered, gate = threading.Event(), threading.Event()
    decode = engine.batcher._work["decode"]

    def held(z):
        entered.set()
        return gate.wait(60) and decode(z)

    engine.batcher._work = {**engine.batcher._work, "decode": held}
    mixer = BlockingMixer(Mixer(engine, here(finder)))
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(mixer.sample, 1)
        assert entered.wait(60)
        closing = pool.submit(mixer.close)
        gate.set()
        closing.result(60)
        assert waiting.exception(60) is None or isinstance(waiting.exception(), CancelledError)
