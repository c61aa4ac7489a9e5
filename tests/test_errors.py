import inspect
import json
import re

import pytest

from facemix import errors
from facemix.errors import FaceError, FacemixError, FaceNotFound, ImageError, ModelError, RequestInvalid, located

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, FacemixError)]


def test_codes_are_stable_names_each_used_once():
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_can_be_shown_to_a_person_and_a_program(kind):
    assert 400 <= kind.status <= 599 or kind is errors.Held  # which is no failure, only not yet an answer
    assert 1 <= kind.exit_code <= 125  # above that a shell means something else
    assert kind.title[0].isupper()
    assert not kind.title.endswith(".")


@pytest.mark.parametrize(
    ("family", "exit_code"), [(ImageError, 3), (FaceError, 4), (RequestInvalid, 2), (ModelError, 5)]
)
def test_a_family_has_one_exit_code(family, exit_code):
    assert {kind.exit_code for kind in KINDS if issubclass(kind, family)} == {exit_code}


def test_an_error_carries_its_remedy_and_its_figures():
    error = FaceNotFound("no face in 640 x 480", hint="use another photo", where="face_a", width=640)
    assert str(error) == error.message == "no face in 640 x 480"
    assert (error.hint, error.where) == ("use another photo", "face_a")
    assert json.loads(json.dumps(error.details)) == {"width": 640}


def test_the_place_is_named_by_the_deepest_layer_that_knows_it():
    error = FaceNotFound("no face", hint="use another photo")
    assert error.where is None
    assert error.at("parents.1") is error
    error.at("the request")
    assert error.where == "parents.1"


def test_an_error_without_a_remedy_is_a_mistake():
    with pytest.raises(TypeError, match="hint"):
        FaceNotFound("no face")


@pytest.mark.parametrize(
    ("where", "message", "said"),
    [
        (None, "it is empty", "it is empty"),
        ("weight", "it is 2", "weight: it is 2"),
        ("weight", "weights sum to 0", "weight: weights sum to 0"),
        ("weight", "weight is 2; it has to be at most 1", "weight is 2; it has to be at most 1"),
        ("weight", "weight: a number is missing", "weight: a number is missing"),
    ],
)
def test_a_place_is_named_once(where, message, said):
    assert located(where, message) == said
