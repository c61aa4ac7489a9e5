import math

import pytest
import torch
from torch import nn

from facemix.vae.discriminator import (
    Discriminator,
    adversarial_loss,
    discriminator_loss,
    feature_distance,
    gradient_penalty,
)


@pytest.fixture
def discriminator():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Discriminator((8, 12, 16))
        nn.init.normal_(net.head.weight, std=0.1)
    return net


def noise(count, size=32, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class Linear(nn.Module):
    """Two logits per image, whose mean has the same known gradient everywhere."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images):
        score = (images * self.weight).sum((1, 2, 3))
        return torch.stack([score, 3 * score], 1)[:, None, None], []


def test_the_map_of_logits_and_the_features_have_the_promised_shapes(discriminator):
    logits, features = discriminator(noise(2))
    assert logits.shape == (2, 1, 4, 4)  # 32 pixels: 16 unshuffled, then halved twice
    assert [f.shape for f in features] == [(2, 8, 8, 8), (2, 12, 4, 4), (2, 16, 4, 4)]


def test_a_verdict_does_not_depend_on_the_company(discriminator):
    images = noise(3)
    together, _ = discriminator(images)
    for index in range(3):
        alone, _ = discriminator(images[index : index + 1])
        torch.testing.assert_close(alone[0], together[index])


def test_it_judges_places_and_not_only_the_whole():
    net = Discriminator()
    seen = noise(1, 128).requires_grad_()
    logits, _ = net(seen)
    assert logits.shape == (1, 1, 8, 8)
    logits[0, 0, 0, 0].backward()
    assert seen.grad[..., :16, :16].abs().sum() > 0
    assert seen.grad[..., 80:, :].abs().sum() == 0


def test_the_default_is_affordable_on_a_cpu():
    work = []
    net = Discriminator()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda conv, _, out: work.append(conv.weight.numel() * out.shape[-1] * out.shape[-2])
            )
    net(torch.zeros(1, 3, 128, 128))
    assert len(work) == 5
    assert sum(work) < 60e6  # multiplications per image


def test_losses_of_known_logits():
    undecided = torch.zeros(3, 1, 2, 2)
    assert discriminator_loss(undecided, undecided).item() == pytest.approx(2 * math.log(2))
    assert discriminator_loss(undecided + 40, undecided - 40).item() == pytest.approx(0, abs=1e-6)
    assert discriminator_loss(undecided - 40, undecided + 40).item() == pytest.approx(80)
    fooled = torch.stack([torch.full((1, 2, 2), value) for value in (40.0, 0.0, -40.0)])
    torch.testing.assert_close(adversarial_loss(fooled), torch.tensor([0.0, math.log(2), 40.0]))


def test_features_are_compared_by_their_own_size_and_only_the_fakes_are_pulled():
    real = [torch.full((2, 3, 4, 4), 2.0, requires_grad=True), torch.full((2, 5, 2, 2), -100.0, requires_grad=True)]
    fake = [torch.full((2, 3, 4, 4), 3.0, requires_grad=True), torch.full((2, 5, 2, 2), -90.0, requires_grad=True)]
    distance = feature_distance(real, fake)
    assert distance.item() == pytest.approx((1 / 2 + 10 / 100) / 2)
    distance.backward()
    assert all(f.grad.abs().sum() > 0 for f in fake)
    assert all(f.grad is None for f in real)


def test_features_that_are_all_zero_do_not_divide_by_zero():
    assert torch.isfinite(feature_distance([torch.zeros(1, 2, 3, 3)], [torch.ones(1, 2, 3, 3)]))


def test_the_penalty_of_a_linear_discriminator_is_the_square_of_its_slope():
    weight = noise(1, 8, seed=1)[0]
    net = Linear(weight.clone())
    penalty = gradient_penalty(net, noise(4, 8))
    # The mean of s and 3 s has twice the slope of s.
    torch.testing.assert_close(penalty, torch.full((4,), 4 * weight.square().sum().item()))
    penalty.mean().backward()
    torch.testing.assert_close(net.weight.grad, 8 * weight)


def test_the_penalty_agrees_with_finite_differences(discriminator):
    net, images = discriminator.double(), noise(2, 16).double()

    class Double(nn.Module):  # the penalty itself is computed in float32
        def forward(self, shown):
            return net(shown.double())

    penalty = gradient_penalty(Double(), images)
    step = 1e-6
    for index in range(2):
        slopes = []
        for place in range(0, images[index].numel(), 97):
            moved = images[index : index + 1].repeat(2, 1, 1, 1)
            moved.view(2, -1)[0, place] += step
            moved.view(2, -1)[1, place] -= step
            up, down = net(moved)[0].mean((1, 2, 3))
            slopes.append(((up - down) / (2 * step)).item())
        shown = images[index : index + 1].clone().requires_grad_()
        (exact,) = torch.autograd.grad(net(shown)[0].mean(), shown)
        torch.testing.assert_close(exact.flatten()[::97], torch.tensor(slopes).double(), rtol=1e-4, atol=1e-9)
        assert penalty[index].item() == pytest.approx(exact.square().sum().item(), rel=1e-4)


def test_the_penalty_reaches_the_weights_but_not_the_images(discriminator):
    images = noise(2).requires_grad_()
    gradient_penalty(discriminator, images).sum().backward()
    assert images.grad is None
    assert discriminator.convs[0].weight.grad.abs().sum() > 0
