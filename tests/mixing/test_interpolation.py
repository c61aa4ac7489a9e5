import itertools
import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from facemix.mixing.interpolation import interpolate
from facemix.mixing.recipe import normalise_weights

HOW = ("lerp", "slerp")
SHARES = (0.0, 1e-9, 0.1, 0.25, 0.5, 0.7, 1 - 1e-9, 1.0)


def latents(count: int, size: int = 16, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def shoemake(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    """slerp of two directions in closed form, times the mean norm, in float64."""
    a, b = a.double(), b.double()
    u, v = a / a.norm(), b / b.norm()
    angle = math.acos(float(u @ v))
    mixed = (math.sin((1 - share) * angle) * u + math.sin(share * angle) * v) / math.sin(angle)
    return mixed * ((1 - share) * a.norm() + share * b.norm())


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("chosen", range(3))
def test_a_weight_of_one_returns_that_parent_bit_for_bit(how, chosen):
    z = latents(3)
    weights = [0.0, 0.0, 0.0]
    weights[chosen] = 1.0
    mixed = interpolate(z, weights, how)
    assert torch.equal(mixed, z[chosen])
    mixed += 1
    assert torch.equal(z, latents(3))  # what is returned is not the parent itself


@pytest.mark.parametrize("how", HOW)
def test_the_result_is_one_float32_latent(how):
    mixed = interpolate(latents(4), (0.1, 0.2, 0.3, 0.4), how)
    assert mixed.shape == (16,)
    assert mixed.dtype == torch.float32


@pytest.mark.parametrize("share", SHARES)
def test_lerp_is_the_weighted_mean(share):
    z = latents(2)
    expected = (1 - share) * z[0].double() + share * z[1].double()
    torch.testing.assert_close(interpolate(z, (1 - share, share)), expected.float(), rtol=1e-6, atol=1e-7)


def test_lerp_passes_through_the_plane_of_three_parents():
    z = torch.eye(3)
    torch.testing.assert_close(interpolate(z, (0.2, 0.3, 0.5)), torch.tensor([0.2, 0.3, 0.5]))


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("size", [2, 16, 512])
def test_slerp_of_two_is_the_closed_form(share, size):
    z = latents(2, size, seed=size) * torch.tensor([[1.0], [3.0]])
    expected = shoemake(z[0], z[1], share).float()
    torch.testing.assert_close(interpolate(z, (1 - share, share), "slerp"), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("degrees", [1e-5, 1e-3, 0.1, 45, 90, 135, 170, 179])
def test_slerp_turns_at_an_even_pace_whatever_the_angle(degrees):
    z = torch.tensor([[1.0, 0.0], [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]])
    for share in (0.25, 0.5, 0.75):
        mixed = interpolate(z, (1 - share, share), "slerp").double()
        assert math.degrees(math.atan2(mixed[1], mixed[0])) == pytest.approx(share * degrees, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("how", HOW)
def test_the_order_of_the_parents_has_no_say(how):
    z, weights = latents(4), torch.tensor([0.4, 0.3, 0.2, 0.1])
    expected = interpolate(z, weights.tolist(), how)
    for order in itertools.permutations(range(4)):
        mixed = interpolate(z[list(order)], weights[list(order)].tolist(), how)
        torch.testing.assert_close(mixed, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("how", HOW)
def test_a_parent_of_weight_zero_has_no_say(how):
    z = latents(3)
    for bystander in (z[2], torch.zeros(16), -z[0], 100 * z[2]):
        company = torch.stack([z[0], z[1], bystander])
        mixed = interpolate(company, (0.25, 0.75, 0.0), how)
        torch.testing.assert_close(mixed, interpolate(z[:2], (0.25, 0.75), how))


def test_the_spherical_mean_is_where_the_displacements_cancel():
    z = latents(5, 64)
    weights = (0.3, 0.25, 0.2, 0.15, 0.1)
    mixed = interpolate(z, weights, "slerp").double()
    mean = mixed / mixed.norm()
    total = torch.zeros(64, dtype=torch.float64)
    for parent, weight in zip(z.double(), weights, strict=True):
        direction = parent / parent.norm()
        tangent = direction - (direction @ mean) * mean
        total += weight * torch.acos(direction @ mean) * tangent / tangent.norm()
    assert float(total.norm()) < 1e-6


def test_slerp_keeps_the_norm_where_lerp_loses_it():
    z = latents(2, 512)
    norm = float(z.norm(dim=1).mean())
    assert float(interpolate(z, (0.5, 0.5), "slerp").norm()) == pytest.approx(norm, rel=1e-5)
    assert float(interpolate(z, (0.5, 0.5), "lerp").norm()) < 0.8 * norm


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("count", [2, 3, 5])
def test_equal_parents_give_themselves(how, count):
    parent = latents(1)[0]
    mixed = interpolate(parent.repeat(count, 1), [1 / count] * count, how)
    torch.testing.assert_close(mixed, parent, rtol=1e-6, atol=1e-7)


def test_between_opposite_parents_slerp_takes_the_straight_line():
    parent = latents(1)[0]
    mixed = interpolate(torch.stack([parent, -parent]), (0.5, 0.5), "slerp")
    torch.testing.assert_close(mixed, torch.zeros(16))
    lopsided = interpolate(torch.stack([parent, -parent]), (0.75, 0.25), "slerp")
    assert torch.isfinite(lopsided).all()


def test_with_a_zero_latent_slerp_takes_the_straight_line():
    z = torch.stack([latents(1)[0], torch.zeros(16)])
    torch.testing.assert_close(interpolate(z, (0.25, 0.75), "slerp"), 0.25 * z[0])


def test_as_many_weights_as_latents_are_needed():
    with pytest.raises(ValueError, match="2 latents but 3 weights"):
        interpolate(latents(2), (0.5, 0.25, 0.25))


def test_vividness_gives_back_its_share_of_the_lost_norm():
    z, weights = latents(3, 512) * torch.tensor([[1.0], [2.0], [3.0]]), (0.5, 0.3, 0.2)
    plain = interpolate(z, weights)
    whole, left = float(torch.tensor(weights) @ z.norm(dim=1)), float(plain.norm())
    assert left < 0.8 * whole
    for vividness in (0.1, 0.25, 0.5):
        mixed = interpolate(z, weights, vividness=vividness)
        assert float(mixed.norm()) == pytest.approx(left + vividness * (whole - left), rel=1e-5)
        torch.testing.assert_close(mixed / mixed.norm(), plain / plain.norm())


@pytest.mark.parametrize("count", [2, 8, 32])
def test_parents_at_right_angles_get_their_whole_share_back(count):
    mixed = interpolate(torch.eye(count), [1 / count] * count, vividness=0.5)
    assert float(mixed.norm()) == pytest.approx((1 + count**-0.5) / 2, rel=1e-5)


def test_between_opposite_parents_vividness_does_not_make_a_face_out_of_rounding():
    parent = latents(1)[0]
    assert torch.equal(interpolate(torch.stack([parent, -parent]), (0.5, 0.5), vividness=0.5), torch.zeros(16))
    speck = 1e-6 * latents(1, seed=1)[0]
    for nearly in (speck, -speck):
        z = torch.stack([parent, nearly - parent])
        mixed = interpolate(z, (0.5, 0.5), vividness=0.5)
        assert float(mixed.norm()) == pytest.approx(3.5 * float(interpolate(z, (0.5, 0.5)).norm()), rel=1e-5)
        assert float(mixed.norm()) < 1e-5


def test_a_zero_latent_has_no_norm_to_lose():
    z = torch.stack([latents(1)[0], torch.zeros(16)])
    torch.testing.assert_close(interpolate(z, (0.25, 0.75), vividness=0.5), 0.25 * z[0])
    assert torch.equal(interpolate(torch.zeros(2, 16), (0.5, 0.5), vividness=0.5), torch.zeros(16))


@pytest.mark.parametrize("vividness", [-1e-9, 0.5000001, 1, math.nan, math.inf])
@pytest.mark.parametrize("weights", [(0.5, 0.5), (1.0, 0.0)])
@pytest.mark.parametrize("how", HOW)
def test_a_vividness_out_of_range_is_refused(how, weights, vividness):
    with pytest.raises(ValueError, match="vividness is"):
        interpolate(latents(2), weights, how, vividness=vividness)


numbers = st.floats(-8, 8, width=32)
vividnesses = st.floats(0, 0.5)
mixes = st.integers(2, 5).flatmap(
    lambda count: st.tuples(
        st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=count, max_size=count),
        st.lists(st.floats(0, 1), min_size=count, max_size=count).filter(lambda weights: sum(weights) > 1e-6),
    )
)


@given(mixes)
def test_lerp_stays_in_the_box_that_its_parents_span(mix):
    z = torch.tensor(mix[0])
    mixed = interpolate(z, normalise_weights(mix[1]))
    slack = 1e-5 * (1 + z.abs().amax())
    assert (mixed >= z.amin(0) - slack).all()
    assert (mixed <= z.amax(0) + slack).all()


@given(mixes)
def test_slerp_is_finite_and_no_longer_than_its_parents(mix):
    z = torch.tensor(mix[0])
    mixed = interpolate(z, normalise_weights(mix[1]), "slerp")
    assert torch.isfinite(mixed).all()
    assert float(mixed.norm()) <= float(z.norm(dim=1).max()) * (1 + 1e-5) + 1e-6


@given(mixes, vividnesses, vividnesses)
def test_the_norm_grows_with_vividness_and_never_beyond_the_parents(mix, one, other):
    z, weights = torch.tensor(mix[0]), normalise_weights(mix[1])
    less, more = sorted((one, other))
    whole = float(torch.tensor(weights, dtype=torch.float64) @ z.double().norm(dim=1))
    norms = [float(interpolate(z, weights, vividness=v).double().norm()) for v in (0, less, more)]
    slack = 1e-6 * (1 + whole)
    assert norms[0] <= norms[1] + slack
    assert norms[1] <= norms[2] + slack
    assert norms[2] <= whole + slack


@given(mixes, vividnesses)
def test_where_nothing_is_lost_vividness_changes_no_bit(mix, vividness):
    z, weights = torch.tensor(mix[0]), normalise_weights(mix[1])
    assert torch.equal(interpolate(z, weights, vividness=0.0), interpolate(z, weights))
    assert torch.equal(interpolate(z, weights, "slerp", vividness=vividness), interpolate(z, weights, "slerp"))
    for chosen in range(len(z)):
        end = [float(index == chosen) for index in range(len(z))]
        assert torch.equal(interpolate(z, end, vividness=vividness), z[chosen])


@given(mixes, vividnesses, st.randoms(use_true_random=False))
def test_vividness_takes_no_notice_of_the_order_of_the_parents(mix, vividness, random):
    z, weights = torch.tensor(mix[0]), normalise_weights(mix[1])
    order = random.sample(range(len(z)), len(z))
    assume(order != sorted(order))
    mixed = interpolate(z[order], [weights[index] for index in order], vividness=vividness)
    torch.testing.assert_close(mixed, interpolate(z, weights, vividness=vividness), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", ["lerp", "slerp"])
def test_detail_fades_and_has_no_say_in_the_rest(how):
    z = torch.randn(2, 9, generator=torch.Generator().manual_seed(5))
    weights = (0.25, 0.75)
    mixed = interpolate(z, weights, how, vividness=0.5, coarse_size=6)
    torch.testing.assert_close(mixed[:6], interpolate(z[:, :6], weights, how, vividness=0.5))
    torch.testing.assert_close(mixed[6:], 0.5**1.5 * (0.25 * z[0, 6:] + 0.75 * z[1, 6:]))
    assert not interpolate(z, (0.5, 0.5), how, coarse_size=6)[6:].any()
    assert torch.equal(interpolate(z, (0.0, 1.0), how, coarse_size=6), z[1])
