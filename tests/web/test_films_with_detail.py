"""Films of photographs with their detail: the photographs' cuts are looked for in memory while frames are drawn."""

import base64
from types import SimpleNamespace

import numpy as np
import pytest
from files import png
from looking import here
from portraits import head, other
from tiny import tiny_checkpoint
from web_client import PHOTO, problem, running

from facemix.errors import PhotographMissing
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.mixing.path import Stop
from facemix.mixing.recipe import Edits, LatentParent, PhotoParent
from facemix.serving.blocking import BlockingMixer
from facemix.serving.engine import Engine
from facemix.serving.mixer import Mixer
from facemix.serving.types import PhotoInput, SampleInput
from facemix.web.animations import at_the_size_of, film_through, specs_of

PARENTS = [PhotoInput(png(head()), "a"), PhotoInput(png(other()), "b"), SampleInput(4, "c")]
STOPS = [Stop((1.0, 0.0, 0.0), {}), Stop((0.0, 1.0, 0.0), {}), Stop((0.0, 0.0, 1.0), {})]
WANTED = SimpleNamespace(count=5, easing="linear", loop="once", fps=10.0, media_type="image/webp", size=128)


@pytest.fixture(scope="module")
def mixer(tmp_path_factory):
    engine = Engine(tiny_checkpoint(tmp_path_factory.mktemp("films")), device="cpu")
    made = BlockingMixer(Mixer(engine, here(FaceFinder(CenterFace(threads=1))), cache_bytes=64 << 20, cache_seconds=60))
    yield made
    made.close()


def film(mixer, edits):
    edits = at_the_size_of(WANTED.size, edits)
    stops = mixer.frames(PARENTS, specs_of(STOPS, edits))
    return film_through(WANTED, STOPS, edits, stops), stops


def test_its_frames_have_the_detail_of_the_stops(mixer):
    made, stops = film(mixer, Edits(detail=1.0))
    drawn = mixer.frames(made.parents, made.specs)
    assert drawn.frames.shape == (5, *stops.frames.shape[1:])
    np.testing.assert_array_equal(drawn.frames[::2], stops.frames)
    for one, stop in zip(drawn.recipes[::2], stops.recipes, strict=True):
        assert one.parents[:2] == stop.parents[:2]
    assert drawn.cost.frames_encoded == 0


def test_of_a_photograph_it_knows_the_name(mixer):
    made, _ = film(mixer, Edits(detail=1.0))
    assert [type(one.parent) for one in made.parents] == [PhotoParent, PhotoParent, type(None)]
    plain, stops = film(mixer, Edits())
    assert [one.parent for one in plain.parents] == [None] * 3  # without detail not even that
    drawn = mixer.frames(plain.parents, plain.specs)
    assert {type(parent) for parent in drawn.recipes[0].parents} == {LatentParent}
    np.testing.assert_array_equal(drawn.frames[::2], stops.frames)


@pytest.mark.parametrize("nothing", [{"cache_bytes": 0}, {"cache_seconds": 0}])
def test_one_that_nothing_is_kept_for_is_refused_at_once(nothing):
    photo, sample = {"image": base64.b64encode(PHOTO).decode()}, {"sample": 4}
    body = {"seconds": 0.2, "fps": 10, "size": 128, "media_type": "image/webp"}
    with running(**nothing) as client:
        asked = client.post("/api/v1/animations", json={**body, "parents": [photo, sample], "detail": 1})
        told = problem(asked, 422, "request_invalid", "detail")
        assert "FACEMIX_CACHE_BYTES" in told["hint"]
        for members in ({"parents": [photo, sample]}, {"parents": [sample, {"sample": 5}], "detail": 1}):
            assert client.post("/api/v1/animations", json={**body, **members}).status_code == 202


def test_a_photograph_that_is_gone_meanwhile_ends_it(mixer):
    made, _ = film(mixer, Edits(detail=1.0))
    mixer.mixer.detailing.clear()
    with pytest.raises(PhotographMissing):
        mixer.frames(made.parents, made.specs)
