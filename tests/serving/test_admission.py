import json
from pathlib import Path

import pytest

import facemix
from facemix.errors import Busy, Stopping
from facemix.mixing.recipe import Edits
from facemix.serving import admission as module
from facemix.serving.admission import Admission, frames_of_specs, frames_to_draw
from facemix.serving.types import FrameSpec


def carried_alone():
    results = json.loads((Path(facemix.__file__).parents[1] / "benchmarks/results/detail.json").read_text())
    return [row for row in results["carry"] if row["way"] == "OpenCV, processor"]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def test_frames_are_counted_in_and_out():
    admission = Admission(10)
    with admission.ticket(6), admission.ticket(4):
        assert admission.inside == 10
        with pytest.raises(Busy, match="10 frames") as caught, admission.ticket(1):
            pass
        assert caught.value.details["retry_after"] > 0
        with pytest.raises(Busy):
            admission.check()
    admission.check()
    with pytest.raises(ZeroDivisionError), admission.ticket(3):
        raise ZeroDivisionError
    assert admission.inside == 0


def test_a_request_larger_than_the_limit_is_let_in_alone():
    admission = Admission(10)
    with admission.ticket(33), pytest.raises(Busy), admission.ticket(1):
        pass
    with admission.ticket(1), pytest.raises(Busy), admission.ticket(33):
        pass


def test_a_request_does_not_stand_in_its_own_way():
    admission = Admission(3)
    with admission.ticket(2), admission.ticket(9, beside=2):
        assert admission.inside == 11
        with pytest.raises(Busy), admission.ticket(1):
            pass
    with admission.ticket(1), admission.ticket(2), pytest.raises(Busy), admission.ticket(1, beside=2):
        pass
    assert admission.inside == 0


@pytest.mark.parametrize(
    ("edits", "frames"),
    [
        ({}, 1),
        ({"size": 128}, 2),
        ({"size": 512}, 2),
        ({"size": 1024}, 5),
        ({"detail": 1.0}, 2 + 4),  # the parents are drawn by themselves, too
        ({"detail": 0.1, "size": 256}, 2 + 2),
        ({"detail": 1.0, "size": 512}, 2 + 4),
        ({"detail": 1.0, "size": 1024}, 2 + 13),
        ({"detail": 1.0, "attributes": {"age": 1.0}}, 2 + 5),
        ({"placement": {"onto": "plain"}}, 2),
        ({"placement": {"onto": "photo"}}, 22),
        ({"detail": 1.0, "size": 1024, "placement": {"onto": "blurred"}}, 2 + 13 + 20),
    ],
)
def test_a_result_counts_for_what_is_done_to_it(edits, frames):
    edits = Edits(**edits)
    assert frames_to_draw(edits, 2) == frames_of_specs([FrameSpec((0.5, 0.5), edits)], 2) == frames


def test_parts_of_a_frame_are_added_up():
    edits = Edits(detail=1.0, size=128)
    assert frames_to_draw(edits, 2, 33) == frames_of_specs([FrameSpec((0.5, 0.5), edits)] * 33, 2) == 33 + 2 + 7
    plain = [FrameSpec((0.5, 0.5), Edits(size=512))] * 2
    assert frames_of_specs([*plain, FrameSpec((0.5, 0.5), Edits(detail=1.0, size=512))], 2) == 2 + 3 + 2 + 3


def test_what_is_counted_follows_what_carrying_takes():
    """Milliseconds of one core, by side, as docs/performance.md has them."""
    counted = {side: frames_to_draw(Edits(detail=1.0, size=side), 0) for side in (256, 512, 1024)}
    took = {row["side"]: row["frame_ms"] for row in carried_alone()}
    each = [took[side] / counted[side] for side in counted]
    assert max(each) < 1.5 * min(each), each


def test_retry_after_is_the_time_that_the_present_queue_takes_at_the_present_rate(clock):
    admission = Admission(100)
    for _ in range(5):  # 20 frames in a second: five tickets of four, .25 s apart
        with admission.ticket(4):
            clock.now += 0.25
    assert admission.rate() == pytest.approx(20)
    with admission.ticket(100), pytest.raises(Busy) as caught, admission.ticket(1):
        pass
    assert caught.value.details["retry_after"] == 5
    assert "5 seconds" in caught.value.hint


def test_what_was_done_long_ago_says_nothing_about_now(clock):
    admission = Admission(10)
    with admission.ticket(4):
        pass
    clock.now += 60
    assert admission.rate() == 0
    assert admission.retry_after() == 2


def test_what_was_done_long_ago_is_forgotten_even_if_nobody_asks_for_the_rate(clock):
    admission = Admission(10)
    for _ in range(200):
        clock.now += 1
        with admission.ticket(1):
            pass
    assert len(admission._done) <= 11


def test_retry_after_stays_within_a_minute(clock):
    admission = Admission(100_000)
    with admission.ticket(1):
        pass
    clock.now += 9
    with admission.ticket(90_000):
        assert admission.retry_after() == 60


def test_a_failed_request_is_no_work_done(clock):
    admission = Admission(10)
    with pytest.raises(ValueError, match="no"), admission.ticket(5):
        raise ValueError("no")
    assert admission.rate() == 0


def test_when_stopping_nothing_new_is_taken():
    admission = Admission(10)
    with admission.ticket(1):
        admission.stopping = True
        with pytest.raises(Stopping), admission.ticket(1):
            pass
    with pytest.raises(Stopping):
        admission.check()
