import numpy as np
import pytest

from facemix.training.probes import Probe, directions, fit_probe

FACES, SIZE = 4000, 12


@pytest.fixture(scope="module")
def world():
    """Latents made of three independent causes, each with a direction of its own, among correlated noise."""
    rng = np.random.default_rng(0)
    causes = rng.standard_normal((FACES, 3))
    true = rng.standard_normal((3, SIZE))
    noise = rng.standard_normal((FACES, SIZE)) @ (0.5 * rng.standard_normal((SIZE, SIZE)))
    z = causes @ true + noise + rng.standard_normal(SIZE)
    values = causes * [10.0, 0.1, 1.0] + [40.0, 0.0, -3.0]
    return z, values, true


def fitted(z, values):
    probes = [fit_probe(z, column, np.arange(len(z))) for column in values.T]
    return np.cov(z.T, bias=True), probes


def cosines(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_the_directions_are_those_by_which_the_faces_were_made(world):
    z, values, true = world
    covariance, probes = fitted(z, values)
    steps, _ = directions(covariance, probes)
    assert cosines(steps, true).min() > 0.98
    # The filters are not: that is what the covariance is for.
    assert cosines(np.stack([probe.weights for probe in probes]), true).max() < 0.8


def test_a_step_changes_one_reading_by_its_deviation_and_no_other(world):
    z, values, _ = world
    covariance, probes = fitted(z, values)
    steps, _ = directions(covariance, probes)
    readings = np.stack([probe.read(z) for probe in probes])
    moved = np.array([[probe.read(z[:1] + step)[0] - probe.read(z[:1])[0] for probe in probes] for step in steps])
    np.testing.assert_allclose(moved, np.diag(readings.std(1)), atol=1e-8 * readings.std())


def test_no_other_step_that_keeps_the_conditions_is_shorter(world):
    z, values, _ = world
    covariance, probes = fitted(z, values)
    steps, lengths = directions(covariance, probes)
    inverse = np.linalg.inv(covariance)
    np.testing.assert_allclose(lengths, np.sqrt(np.einsum("kz,zy,ky->k", steps, inverse, steps)))
    assert (lengths >= 1).all()
    weights = np.stack([probe.weights for probe in probes])
    rng = np.random.default_rng(1)
    for _ in range(20):
        sideways = rng.standard_normal(SIZE)
        sideways -= np.linalg.pinv(weights) @ (weights @ sideways)  # changes no reading
        for step, length in zip(steps, lengths, strict=True):
            longer = step + 0.1 * sideways
            assert longer @ inverse @ longer > length**2


def test_one_direction_alone_has_length_one(world):
    z, values, _ = world
    covariance, probes = fitted(z, values[:, :1])
    _, lengths = directions(covariance, probes)
    np.testing.assert_allclose(lengths, 1)


def test_held_readings_stay_still(world):
    z, values, _ = world
    covariance, probes = fitted(z, values)
    held = probes[2].weights
    free, _ = directions(covariance, probes[:1])
    bound, lengths = directions(covariance, probes[:1], [held, 2 * held, 0 * held])
    assert abs(free[0] @ held) > 1e-3
    assert abs(bound[0] @ held) < 1e-10
    assert lengths[0] > 1


def test_unknown_values_are_left_out(world):
    z, values, _ = world
    holes = values[:, 0].copy()
    holes[::3] = np.nan
    probe = fit_probe(z, holes, np.arange(FACES))
    known = ~np.isnan(holes)
    plain = fit_probe(z[known], holes[known], np.arange(known.sum()))
    np.testing.assert_allclose(probe.weights, plain.weights)
    assert probe.r2(z, holes) == pytest.approx(plain.r2(z[known], values[known, 0]))


def test_r2_of_what_is_known_and_of_what_is_not(world):
    z, _, _ = world
    clear = fit_probe(z, z @ np.arange(SIZE), np.arange(FACES))
    assert clear.r2(z, z @ np.arange(SIZE)) > 0.9999
    rng = np.random.default_rng(2)
    nothing = fit_probe(z, rng.standard_normal(FACES), np.arange(FACES))
    assert nothing.r2(z, rng.standard_normal(FACES)) < 0.01
    assert clear.r2(z, z @ np.arange(SIZE) + 1000) < 0  # its readings are off by far
    assert np.isnan(clear.r2(z[:3], np.full(3, np.nan)))
    assert np.isnan(clear.r2(z[:3], np.ones(3)))


def test_twins_are_never_on_both_sides_of_a_fold():
    """With every face there twice, a probe that could look its twin up would choose hardly any penalty."""
    rng = np.random.default_rng(3)
    z, values = rng.standard_normal((61, 50)), rng.standard_normal(61)
    twice = np.concatenate([z, z]), np.concatenate([values, values])
    apart = fit_probe(*twice, np.arange(122))
    together = fit_probe(*twice, np.tile(np.arange(61), 2))
    assert together.penalty > apart.penalty


def test_the_penalty_does_not_depend_on_the_scale_of_the_latents(world):
    z, values, _ = world
    small, large = (fit_probe(scale * z[:200], values[:200, 0], np.arange(200)) for scale in (1e-3, 1e3))
    assert small.penalty == large.penalty
    np.testing.assert_allclose(small.weights * 1e-6, large.weights, rtol=1e-6)


@pytest.mark.parametrize("values", [np.full(9, 2.0), np.array([1.0, 2, 3, 4] + [np.nan] * 5), np.full(9, np.nan)])
def test_too_little_is_known(values):
    with pytest.raises(ValueError, match="it is"):
        fit_probe(np.eye(9), values, np.arange(9))


def test_an_attribute_that_follows_from_another_is_refused():
    probe = Probe(np.array([1.0, 0.0]), 0.0, 0.0, 1.0, 0.1)
    with pytest.raises(ValueError, match="follows from"):
        directions(np.eye(2), [probe, Probe(-2 * probe.weights, 1.0, 0.0, 1.0, 0.1)])
    with pytest.raises(ValueError, match="the same from every face"):
        directions(np.diag([0.0, 1.0]), [probe])
