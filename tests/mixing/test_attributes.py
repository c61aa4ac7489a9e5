import itertools
import math

import pytest
import torch
from made_directions import made_directions
from tiny import TINY, tiny_checkpoint

from facemix.errors import RecipeInvalid
from facemix.mixing.attributes import LIMIT, apply, check
from facemix.vae.checkpoint import read_card

SIZE = TINY.latent_size


@pytest.fixture(scope="module")
def directions(tmp_path_factory):
    return made_directions(read_card(tiny_checkpoint(tmp_path_factory.mktemp("attributes") / "tiny")))


def test_a_step_goes_its_length_along_its_direction(directions):
    z = torch.randn(3, SIZE)
    torch.testing.assert_close(apply(z, {"age": -1.5}, directions), z - 3.0 * directions.directions[1])
    torch.testing.assert_close(apply(z[0], {"smile": 2}, directions), z[0] + directions.directions[0])


def test_edits_add_up_and_their_order_does_not_matter(directions):
    z = torch.randn(SIZE)
    both = apply(z, {"smile": 1.0, "age": 0.3}, directions)
    assert torch.equal(both, apply(z, {"age": 0.3, "smile": 1.0}, directions))
    torch.testing.assert_close(both, apply(apply(z, {"smile": 1.0}, directions), {"age": 0.3}, directions))


@pytest.mark.parametrize("values", [{}, {"smile": 0.0}, {"smile": 0, "age": -0.0}])
def test_nothing_asked_for_is_nothing_changed(directions, values):
    z = torch.randn(2, SIZE)
    moved = apply(z, values, directions)
    assert torch.equal(moved, z)
    assert moved is not z


@pytest.mark.parametrize("refuse", [lambda *given, **kwargs: apply(torch.zeros(SIZE), *given, **kwargs), check])
def test_an_unknown_name_is_refused_with_the_known_ones(directions, refuse):
    with pytest.raises(RecipeInvalid, match="no attribute 'beauty' in tiny") as caught:
        refuse({"smile": 1.0, "beauty": 1.0}, directions, where="recipe.attributes")
    assert "smile, age" in caught.value.hint
    assert caught.value.where == "recipe.attributes"


@pytest.mark.parametrize("value", [math.nextafter(LIMIT, 4), -3.5, math.inf, -math.inf, math.nan])
def test_values_out_of_range_are_refused(directions, value):
    with pytest.raises(RecipeInvalid, match="smile is"):
        apply(torch.zeros(SIZE), {"age": 0.0, "smile": value}, directions)


def test_the_ends_of_the_range_are_allowed(directions):
    for value in (-LIMIT, LIMIT):
        assert not torch.equal(apply(torch.zeros(SIZE), {"smile": value}, directions), torch.zeros(SIZE))


def test_the_type_of_the_latents_is_kept(directions):
    for kind, edit in itertools.product((torch.float32, torch.float64), ({}, {"age": 1.0})):
        assert apply(torch.zeros(SIZE, dtype=kind), edit, directions).dtype == kind
