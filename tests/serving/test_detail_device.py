"""Detail is carried where the model computes."""

import numpy as np
import pytest
from files import png
from looking import here
from portraits import other, portrait

from facemix.mixing.carry_torch import TorchCarry
from facemix.mixing.recipe import Edits
from facemix.serving import detailing
from facemix.serving.blocking import BlockingMixer
from facemix.serving.mixer import Mixer
from facemix.serving.types import PhotoInput

PHOTOS = [PhotoInput(png(portrait()), "face_a", weight=0.4), PhotoInput(png(other()), "face_b", weight=0.6)]


def frames(engine, finder):
    mixer = BlockingMixer(Mixer(engine, here(finder), cache_bytes=64 << 20, cache_seconds=60))
    return [mixer.mix(PHOTOS, Edits(detail=detail)).image.astype(int) for detail in (1.0, 0.5)]


@pytest.mark.parametrize(("device", "by_torch"), [("cpu", False), ("cpu:0", True)])
def test_another_device_than_the_plain_processor_is_torchs(engine, finder, monkeypatch, device, by_torch):
    made = []

    class Noted(TorchCarry):
        def __init__(self, *known, **more):
            made.append(more["device"])
            super().__init__(*known, **more)

    usual = frames(engine, finder)
    monkeypatch.setattr(detailing, "TorchCarry", Noted)
    monkeypatch.setattr(engine, "device", device)
    found = frames(engine, finder)
    assert made == ([device] if by_torch else [])  # known once, for both mixes
    for one, same in zip(found, usual, strict=True):
        assert one.shape == same.shape
        assert np.abs(one - same).max() <= 2
