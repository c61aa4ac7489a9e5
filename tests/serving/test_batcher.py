"""The batcher, under everything that can go wrong at once: cancelled callers, bad items, deadlines, dead threads."""

from __future__ import annotations

import ctypes
import random
import threading
import time
from concurrent.futures import CancelledError, wait

import numpy as np
import pytest

from facemix.errors import Busy, DeadlineExceeded, EngineFailed, Stopping
from facemix.serving import batcher as module
from facemix.serving.batcher import Batcher
from facemix.serving.observer import Observer

BAD = -1.0


class Notes(Observer):
    def __init__(self) -> None:
        self.batches: list[tuple[str, int, int]] = []
        self.drops: list[tuple[str, int]] = []
        self.restarts = 0

    def batch(self, kind, frames, jobs, seconds):
        self.batches.append((kind, frames, jobs))

    def dropped(self, kind, reason, frames):
        self.drops.append((reason, frames))

    def restarted(self):
        self.restarts += 1


class Device:
    """Doubles for encode, negates for decode. Holds a batch while its gate is shut; a row of `BAD` fails the batch."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.batches: list[tuple[str, list[float]]] = []
        self.kill = False

    def _run(self, kind, rows, factor):
        self.batches.append((kind, rows[:, 0].tolist()))
        self.entered.release()
        assert self.gate.wait(60)
        if self.kill:
            self.kill = False
            raise SystemExit  # no Exception: it ends the thread
        if (rows == BAD).any():
            raise ValueError("a bad row")
        return rows * factor

    def encode(self, rows):
        return self._run("encode", rows, 2)

    def decode(self, rows):
        return self._run("decode", rows, -1)


@pytest.fixture
def device():
    return Device()


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def batcher(device, notes):
    made = Batcher({"encode": device.encode, "decode": device.decode}, max_batch=4, max_queue=100, observer=notes)
    made.wait_until_ready()
    yield made
    device.gate.set()
    made.close()


def rows(*values):
    return np.array(values, np.float32)[:, None]


def held(batcher, device):
    """Occupies the device; what is submitted now stays queued until the gate opens."""
    device.gate.clear()
    future = batcher.submit("encode", rows(0))
    assert device.entered.acquire(timeout=60)
    return future


def eventually(condition):
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_a_lone_job_is_computed_at_once(batcher):
    served = batcher.submit("encode", rows(1, 2, 3)).result(60)
    np.testing.assert_array_equal(served.rows, rows(2, 4, 6))
    assert served.device_seconds > 0
    assert served.waited >= 0


def test_a_batch_is_what_is_queued_when_the_device_falls_free(batcher, device, notes):
    held(batcher, device)
    futures = [batcher.submit("encode", rows(value)) for value in (1, 2, 3)]
    device.gate.set()
    assert [future.result(60).rows.item() for future in futures] == [2, 4, 6]
    assert device.batches == [("encode", [0]), ("encode", [1, 2, 3])]
    eventually(lambda: notes.batches == [("encode", 1, 1), ("encode", 3, 3)])


def test_encode_and_decode_are_batched_apart_in_the_order_of_the_oldest(batcher, device):
    held(batcher, device)
    kinds = ("decode", "encode", "decode", "encode")
    futures = [batcher.submit(kind, rows(value)) for value, kind in enumerate(kinds, 1)]
    device.gate.set()
    assert [future.result(60).rows.item() for future in futures] == [-1, 4, -3, 8]
    assert device.batches[1:] == [("decode", [1, 3]), ("encode", [2, 4])]


def test_a_strip_is_cut_and_others_pass_it(batcher, device):
    held(batcher, device)
    strip = batcher.submit("decode", rows(*range(10, 20)))
    single = batcher.submit("decode", rows(1))
    device.gate.set()
    np.testing.assert_array_equal(strip.result(60).rows, -rows(*range(10, 20)))
    assert single.result(60).rows.item() == -1
    # A batch of four of the strip; then whoever came after it, filled up with what is left of the strip.
    sizes = [batch for _, batch in device.batches[1:]]
    assert sizes == [[10, 11, 12, 13], [1, 14, 15, 16], [17, 18, 19]]


def test_device_seconds_are_shared_out_by_frames(batcher, device):
    held(batcher, device)
    one, three = batcher.submit("encode", rows(1)), batcher.submit("encode", rows(2, 3, 4))
    device.gate.set()
    assert three.result(60).device_seconds == pytest.approx(3 * one.result(60).device_seconds)


def test_the_queue_is_bounded_in_frames(batcher, device):
    held(batcher, device)
    accepted = batcher.submit("encode", rows(*range(98)))
    with pytest.raises(Busy, match="98 frames") as caught:
        batcher.submit("encode", rows(1, 2, 3))
    assert caught.value.details["retry_after"] > 0
    batcher.submit("encode", rows(1, 2)).cancel()
    assert batcher.depth == 100
    device.gate.set()
    accepted.result(60)


def test_a_cancelled_job_is_never_computed(batcher, device, notes):
    held(batcher, device)
    gone, kept = batcher.submit("encode", rows(7, 8)), batcher.submit("encode", rows(1))
    assert gone.cancel()
    device.gate.set()
    assert kept.result(60).rows.item() == 2
    assert device.batches[1:] == [("encode", [1])]
    eventually(lambda: notes.drops == [("cancelled", 2)])
    assert batcher.depth == 0


def test_a_strip_whose_caller_leaves_costs_the_batch_in_hand_and_no_more(batcher, device, notes):
    device.gate.clear()
    strip = batcher.submit("decode", rows(*range(12)))
    assert device.entered.acquire(timeout=60)
    assert strip.cancel()
    device.gate.set()
    batcher.submit("encode", rows(1)).result(60)
    assert [kind for kind, _ in device.batches] == ["decode", "encode"]
    eventually(lambda: notes.drops == [("cancelled", 8)])


def test_what_waited_past_its_deadline_is_not_computed(batcher, device, notes):
    held(batcher, device)
    late = batcher.submit("encode", rows(5), deadline=time.monotonic() - 1)
    in_time = batcher.submit("encode", rows(1), deadline=time.monotonic() + 60)
    device.gate.set()
    with pytest.raises(DeadlineExceeded):
        late.result(60)
    assert in_time.result(60).rows.item() == 2
    assert device.batches[1:] == [("encode", [1])]
    eventually(lambda: notes.drops == [("deadline", 1)])


def test_one_bad_item_fails_alone(batcher, device, notes):
    held(batcher, device)
    futures = [batcher.submit("encode", rows(value)) for value in (1, BAD, 3)]
    device.gate.set()
    assert futures[0].result(60).rows.item() == 2
    assert futures[2].result(60).rows.item() == 6
    with pytest.raises(ValueError, match="a bad row"):
        futures[1].result(60)
    eventually(lambda: notes.drops == [("failed", 1)])


def test_a_wrong_number_of_results_is_an_error_never_a_mix_up():
    batcher = Batcher({"encode": lambda rows: rows[:-1] if len(rows) > 1 else rows})
    with pytest.raises(RuntimeError, match="2 rows went in, 1 came out"):
        batcher.submit("encode", rows(1, 2)).result(60)
    assert batcher.submit("encode", rows(3)).result(60).rows.item() == 3
    batcher.close()


def test_nothing_is_lost_at_the_end_and_nothing_new_is_taken(batcher, device):
    held(batcher, device)
    queued = [batcher.submit("encode", rows(value)) for value in range(9)]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    while not batcher._closing:
        time.sleep(0.001)
    with pytest.raises(Stopping):
        batcher.submit("encode", rows(1))
    device.gate.set()
    closing.join(60)
    assert [future.result(0).rows.item() for future in queued] == [2 * value for value in range(9)]


# --- death -------------------------------------------------------------------------------------------------


def test_a_dead_thread_fails_what_it_had_in_hand_and_is_replaced(batcher, device, notes):
    held(batcher, device)
    waiting = batcher.submit("encode", rows(4))
    device.kill = True
    in_hand = batcher.submit("decode", rows(6))
    device.gate.set()
    # The held batch is the one that dies; what was queued is computed by the heir.
    assert waiting.result(60).rows.item() == 8
    assert in_hand.result(60).rows.item() == -6
    eventually(lambda: notes.restarts == 1)
    eventually(lambda: batcher.ill() is None)


def test_a_thread_killed_from_outside_fails_its_batch_with_a_typed_error(batcher, device):
    held_future = held(batcher, device)
    thread = batcher._thread
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
    device.gate.set()
    with pytest.raises(EngineFailed) as caught:
        held_future.result(60)
    assert caught.value.status == 503
    thread.join(60)
    assert not thread.is_alive()
    eventually(lambda: batcher.ill() is None)
    assert batcher.submit("encode", rows(1)).result(60).rows.item() == 2


def test_while_the_heir_prepares_the_health_is_red_and_new_work_is_refused(device):
    prepared = threading.Event()
    prepared.set()
    batcher = Batcher({"encode": device.encode}, prepare=lambda: prepared.wait(60) and None)
    batcher.wait_until_ready()
    assert batcher.ill() is None
    prepared.clear()
    device.kill = True
    with pytest.raises(EngineFailed):
        batcher.submit("encode", rows(1)).result(60)
    assert "died" in batcher.ill()
    with pytest.raises(EngineFailed):
        batcher.submit("encode", rows(1))
    prepared.set()
    eventually(lambda: batcher.ill() is None)
    assert batcher.submit("encode", rows(1)).result(60).rows.item() == 2
    batcher.close()


def test_an_error_of_the_preparation_is_told_and_tried_again(monkeypatch):
    attempts = []

    def prepare():
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("no device")

    batcher = Batcher({"encode": lambda rows: rows}, prepare=prepare)
    with pytest.raises(OSError, match="no device"):
        batcher.wait_until_ready()
    eventually(lambda: batcher.ill() is None)
    assert len(attempts) == 2
    batcher.close()


def test_a_thread_that_dies_before_it_is_noted_does_not_hide_its_heir(monkeypatch):
    start, attempts = threading.Thread.start, []

    def prepare():
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("no device")

    def start_and_linger(thread):
        start(thread)
        if threading.current_thread() is threading.main_thread():
            thread.join(0.2)  # as if the one who starts it were set aside

    monkeypatch.setattr(threading.Thread, "start", start_and_linger)
    batcher = Batcher({"encode": lambda rows: rows}, prepare=prepare)
    eventually(lambda: batcher.ill() is None)
    batcher.close()


def test_a_batch_that_hangs_turns_the_health_red(batcher, device, monkeypatch):
    held(batcher, device)
    assert batcher.ill() is None
    monkeypatch.setattr(module, "STALL_SECONDS", 0.0)
    assert "has not answered" in batcher.ill()
    monkeypatch.undo()
    device.gate.set()


def died_once(batcher, device):
    """Kills the thread with its first batch."""
    device.kill = True
    with pytest.raises(EngineFailed):
        batcher.submit("encode", rows(1)).result(60)


def test_a_device_that_fails_every_batch_ends_the_thread(batcher, device, notes, monkeypatch):
    entered, gate = threading.Event(), threading.Event()
    monkeypatch.setattr(batcher, "_prepare", lambda: (entered.set(), gate.wait(60)))
    for turn in range(2 * module.FAILED_IN_A_ROW - 1):
        # One success in between, and the count begins anew.
        value = 1 if turn == module.FAILED_IN_A_ROW - 1 else BAD
        failure = batcher.submit("encode", rows(value)).exception(60)
        assert isinstance(failure, ValueError) == (value == BAD)
    assert not entered.is_set()
    assert isinstance(batcher.submit("encode", rows(BAD)).exception(60), ValueError)
    assert entered.wait(60)
    assert "died" in batcher.ill()
    gate.set()
    eventually(lambda: batcher.ill() is None)
    assert batcher.submit("encode", rows(BAD)).exception(60).args == ("a bad row",)
    assert batcher.submit("encode", rows(1)).result(60).rows.item() == 2
    eventually(lambda: notes.restarts == 1)
    assert notes.drops == [("failed", 1)] * (2 * module.FAILED_IN_A_ROW)


def test_after_ever_so_many_deaths_the_heir_still_waits_and_close_does_not(batcher, device, notes, monkeypatch):
    prepared = []
    monkeypatch.setattr(batcher, "_prepare", lambda: prepared.append(1))
    batcher._deaths = 5000
    died_once(batcher, device)
    eventually(lambda: notes.restarts == 1)
    batcher.close()
    assert not batcher._thread.is_alive()
    assert (batcher._deaths, prepared) == (5001, [])
    assert isinstance(batcher._cause, SystemExit)  # the heir itself died of nothing


def test_when_the_heir_cannot_be_prepared_nobody_is_left_waiting(batcher, device, monkeypatch):
    def prepare():
        raise OSError("no device")

    monkeypatch.setattr(batcher, "_prepare", prepare)
    held(batcher, device)
    waiting = [batcher.submit("decode", rows(1, 2)) for _ in range(3)]
    device.kill = True
    device.gate.set()
    for future in waiting:
        with pytest.raises(EngineFailed):
            future.result(60)
    assert batcher.depth == 0


def test_when_no_thread_can_be_started_all_fail_and_the_health_says_so(batcher, device, notes, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    lost = held(batcher, device)
    waiting = batcher.submit("decode", rows(1, 2))
    monkeypatch.setattr(threading.Thread, "start", start)
    device.kill = True
    device.gate.set()
    for future in (lost, waiting):
        with pytest.raises(EngineFailed):
            future.result(60)
    eventually(lambda: batcher.ill() == "the inference thread is dead")
    with pytest.raises(EngineFailed):
        batcher.submit("encode", rows(1))
    assert (batcher.depth, notes.restarts) == (0, 0)


@pytest.mark.parametrize("method", ["waited", "dropped", "batch"])
def test_an_observer_that_raises_leaves_nobody_waiting(batcher, device, notes, monkeypatch, method):
    calls = []

    def fail_once(*_):
        calls.append(1)
        if len(calls) == 1:
            raise LookupError("no such series")

    held(batcher, device)
    late = [batcher.submit("encode", rows(5), deadline=time.monotonic() - 1) for _ in range(2)]
    others = [batcher.submit("encode", rows(1, 2, 3)) for _ in range(3)]
    monkeypatch.setattr(notes, method, fail_once)
    device.gate.set()
    assert all(isinstance(future.exception(60), DeadlineExceeded) for future in late)
    assert all(isinstance(future.exception(60), EngineFailed | None) for future in others)
    eventually(lambda: notes.restarts == 1)
    assert batcher.depth == 0


def test_a_close_that_takes_too_long_leaves_nobody_waiting(batcher, device):
    futures = [held(batcher, device), batcher.submit("encode", rows(1, 2))]
    batcher.close(0.01)
    for future in futures:
        with pytest.raises(Stopping):
            future.result(0)
    assert batcher.depth == 0


def test_the_frames_of_a_strip_that_is_lost_are_counted_once(batcher, device, notes):
    device.gate.clear()
    strip = batcher.submit("decode", rows(*range(12)))
    assert device.entered.acquire(timeout=60)
    device.kill = True
    device.gate.set()
    with pytest.raises(EngineFailed):
        strip.result(60)
    eventually(lambda: sum(frames for _, frames in notes.drops) >= 12 and batcher.depth == 0)
    eventually(lambda: sorted(notes.drops) == [("failed", 4), ("failed", 8)])


# --- all at once -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_results_never_cross_whatever_happens_around_them(notes):
    """Eight callers, encode and decode, strips and single frames, cancellations, deadlines, bad rows, two deaths."""
    deaths = iter([300, 900])
    next_death, count = next(deaths), 0
    lock = threading.Lock()

    def run(factor):
        def work(given):
            nonlocal count, next_death
            with lock:
                count += 1
                if next_death is not None and count >= next_death:
                    next_death = next(deaths, None)
                    raise SystemExit
            if (given == BAD).any():
                raise ValueError("a bad row")
            return given * factor

        return work

    batcher = Batcher({"encode": run(2), "decode": run(-1)}, max_batch=7, max_queue=400, observer=notes)
    batcher.wait_until_ready()
    outcomes: dict[str, int] = {}
    mistakes: list[str] = []

    def caller(seed):
        rng = random.Random(seed)
        for turn in range(400):
            kind, factor = rng.choice((("encode", 2), ("decode", -1)))
            size = rng.choice((1, 1, 1, 2, 5, 33))
            values = [1000.0 * seed + turn + place / 64 for place in range(size)]
            bad = rng.random() < 0.05
            if bad:
                values[rng.randrange(size)] = BAD
            deadline = time.monotonic() + rng.choice((60, 60, -1)) if rng.random() < 0.2 else None
            outcome = "right"
            try:
                future = batcher.submit(kind, rows(*values), deadline=deadline)
                if rng.random() < 0.15:
                    future.cancel()
                served = future.result(60)
                if not np.array_equal(served.rows, rows(*values) * factor):
                    mistakes.append(f"{kind} {values}: {served.rows.ravel()}")
                if bad:
                    mistakes.append(f"{values} gave a result")
            except (Busy, CancelledError, ValueError) as error:
                outcome = type(error).__name__
                if isinstance(error, ValueError) and not bad:
                    mistakes.append(f"{values} failed: {error}")
            with lock:
                outcomes[outcome] = outcomes.get(outcome, 0) + 1

    threads = [threading.Thread(target=caller, args=(seed,)) for seed in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert mistakes == []
    assert sum(outcomes.values()) == 8 * 400
    assert min(outcomes.get(name, 0) for name in ("right", "CancelledError", "DeadlineExceeded", "ValueError")) > 10
    eventually(lambda: notes.restarts == 2)
    eventually(lambda: batcher.depth == 0)  # what was cancelled last is taken out with the next look at the queue
    batcher.close()


def test_an_idle_thread_beats(batcher, monkeypatch):
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    batcher.submit("encode", rows(1)).result(60)
    before = batcher._beat
    eventually(lambda: batcher._beat > before)
    assert batcher.beat_age < 30


def test_waiting_for_many_futures_at_once(batcher):
    futures = [batcher.submit("decode", rows(value)) for value in range(50)]
    assert not wait(futures, 30).not_done
    assert [future.result().rows.item() for future in futures] == [-value for value in range(50)]
