import itertools
import math

import pytest
import torch
from made_directions import made_directions
from tiny import TINY, tiny_checkpoint

from facemix.errors import RecipeInvalid
from facemix.mixing.attributes import LIMIT, AttributeReader, apply, check
from facemix.training.probes import Probe
from facemix.training.probes import directions as fit
from facemix.vae.checkpoint import read_card
from facemix.vae.directions import AttributeDirections
from facemix.vae.prior import LatentPrior

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


@pytest.fixture(scope="module")
def prior():
    generator = torch.Generator().manual_seed(1)
    scale = torch.eye(SIZE) + 0.3 * torch.randn(SIZE, SIZE, generator=generator).tril()
    return LatentPrior(torch.randn(SIZE, generator=generator), scale)


def draws(prior, count, seed=2):
    return prior.latents(torch.randn(count, SIZE, generator=torch.Generator().manual_seed(seed)))


def test_a_move_raises_its_reading_by_its_value_and_leaves_the_others(directions, prior):
    reader, z = AttributeReader(directions, prior), draws(prior, 5)
    for values in ({"smile": 1.0}, {"age": -2.5}, {"smile": 3.0, "age": 0.5}):
        moved = reader.read(apply(z, values, directions)) - reader.read(z)
        wanted = torch.tensor([values.get(name, 0.0) for name in directions.names], dtype=torch.float64)
        torch.testing.assert_close(moved, wanted.expand(5, 2), rtol=0, atol=1e-5)


def test_readings_are_linear_and_nothing_at_the_mean_face(directions, prior):
    reader, z = AttributeReader(directions, prior), draws(prior, 4)
    torch.testing.assert_close(reader.read(prior.mean), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(reader.read(z.mean(0)), reader.read(z).mean(0), rtol=0, atol=1e-5)
    assert reader.read(z.reshape(2, 2, SIZE)).shape == (2, 2, 2)
    assert reader.typicality(z.reshape(2, 2, SIZE)).shape == (2, 2)
    assert reader.share_beyond(z[0]).shape == ()


@pytest.mark.parametrize("held", [False, True])
def test_the_readings_are_those_of_the_probes_less_what_held_ones_predict(prior, directions, held):
    generator = torch.Generator().manual_seed(4)
    covariance = (prior.scale @ prior.scale.T).double().numpy()
    filters = torch.randn(3, SIZE, generator=generator, dtype=torch.float64).numpy()
    probes = [Probe(weights, 0.0, 0.0, 1.0, 0.1) for weights in filters[:2]]
    steps, _ = fit(covariance, probes, [filters[2]] if held else [])
    steps = torch.from_numpy(steps)
    attributes = tuple(
        one.model_copy(update={"deviation": float(step.norm())})
        for one, step in zip(directions.card.attributes, steps, strict=True)
    )
    fitted = AttributeDirections(
        directions.card.model_copy(update={"attributes": attributes}),
        (steps / steps.norm(dim=1, keepdim=True)).float(),
    )
    z = draws(prior, 6)
    away = (z - prior.mean).double().numpy()
    expected = away @ filters[:2].T
    if held:
        joint = filters @ covariance @ filters.T
        expected = expected - (away @ filters[2])[:, None] * joint[2, :2] / joint[2, 2]
    deviations = ((filters @ covariance * filters).sum(1) ** 0.5)[:2]
    found = AttributeReader(fitted, prior).read(z).numpy()
    assert found == pytest.approx(expected / deviations, abs=1e-4)


def test_detail_is_not_looked_at(directions, prior):
    coarse = SIZE - 3
    tensor = directions.directions.clone()
    tensor[:, coarse:] = 0
    reader = AttributeReader(AttributeDirections(directions.card, tensor), prior.without_detail(coarse))
    z = draws(prior, 3)
    other = z.clone()
    other[:, coarse:] = 100
    for look in (reader.read, reader.typicality, reader.share_beyond):
        assert torch.equal(look(z), look(other))
    moved = reader.read(apply(z, {"smile": 1.0}, AttributeDirections(directions.card, tensor))) - reader.read(z)
    assert float(moved[0, 1].abs()) < 1e-5


def test_draws_from_the_prior_are_typical_and_each_as_unusual_as_its_rank(directions, prior):
    reader, z = AttributeReader(directions, prior), draws(prior, 4000)
    assert float(reader.typicality(z).square().mean()) == pytest.approx(1, abs=0.03)
    assert float(reader.typicality(prior.mean)) == 0
    shares = reader.share_beyond(z).sort().values
    ranks = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    torch.testing.assert_close(shares, ranks, rtol=0, atol=0.03)
    assert float(reader.share_beyond(prior.mean)) == 1


def test_moving_on_becomes_more_and_more_unusual(directions, prior):
    reader = AttributeReader(directions, prior)
    found = [
        float(reader.share_beyond(apply(prior.mean, {"age": value}, directions))) for value in (0.0, 1.0, 2.0, 3.0)
    ]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 4


def test_directions_of_another_size_are_refused(directions):
    with pytest.raises(ValueError, match="directions of 8 and a prior of 9"):
        AttributeReader(directions, LatentPrior.standard(SIZE + 1))


def test_directions_that_cannot_be_told_apart_are_refused(directions, prior):
    twice = AttributeDirections(directions.card, directions.directions[:1].repeat(2, 1))
    with pytest.raises(ValueError, match="follows from the others"):
        AttributeReader(twice, prior)
