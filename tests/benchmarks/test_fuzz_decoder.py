import os
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from benchmarks import fuzz_decoder
from benchmarks.fuzz_decoder import Worker, decode, mutate, run, seeds


def test_every_seed_is_a_file_that_is_decoded():
    assert [decode(data) for data in seeds()] == ["pixels"] * len(seeds())


def test_broken_files_end_in_pixels_or_in_a_refusal(tmp_path):
    outcomes, findings = run(seconds=600, cases=4000, seed=7, keep=tmp_path / "found")
    assert findings == []
    assert outcomes.total() == 4000
    assert outcomes["pixels"] > 100
    assert outcomes["image_corrupt"] > 100


def test_a_run_can_be_repeated(monkeypatch):
    import random

    corpus = seeds()
    one, two = (mutate(corpus[0], corpus, random.Random(3)) for _ in range(2))
    assert one == two != corpus[0]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda data: 1 / 0, "ZeroDivisionError"),
        (lambda data: os._exit(7), "the process died: 7"),
        (lambda data: np.zeros(3 << 30, np.uint8) and "pixels", "MemoryError"),
    ],
    ids=["another exception", "a death", "too much memory"],
)
def test_what_is_no_refusal_is_a_finding_and_is_kept(monkeypatch, tmp_path, fault, said):
    monkeypatch.setattr(fuzz_decoder, "decode", fault)
    outcomes, findings = run(seconds=60, cases=2, seed=0, keep=tmp_path)
    assert outcomes["finding"] == 2
    assert all(said in finding for finding in findings)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_case_that_hangs_is_given_up_and_the_next_is_tried(monkeypatch):
    import time

    monkeypatch.setattr(fuzz_decoder, "PATIENCE", 0.2)
    monkeypatch.setattr(fuzz_decoder, "decode", lambda data: time.sleep(60) if data == b"slow" else "pixels")
    worker = Worker()
    assert worker.try_case(b"slow") == (False, "no answer within 0.2 s")
    assert worker.try_case(b"quick") == (True, "pixels")
    worker.close()


def test_pixels_of_another_shape_are_a_finding(monkeypatch):
    buffer = BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, "PNG")
    monkeypatch.setattr(fuzz_decoder.Photograph, "pixels", lambda self, side=0: np.zeros((4, 4), np.uint8))
    with pytest.raises(AssertionError, match="shape"):
        decode(buffer.getvalue())
