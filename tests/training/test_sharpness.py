import numpy as np
import pytest
import torch
from tiny import TINY, tiny_vae
from torch import nn

from facemix.evaluation import metrics
from facemix.imaging.arrays import to_pixels, to_tensor
from facemix.training.dataset import FaceSet
from facemix.training.sharpness import lacking_contrast, laplacian_energy, laplacian_pyramid_distance, measure
from facemix.vae.posterior import Posterior

CPU = torch.device("cpu")


def noise(count, size=16, seed=0, reach=1.3):
    """(count, 3, size, size), some of it beyond [-1, 1]."""
    return (torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * reach


def test_the_energy_is_the_one_that_evaluation_publishes():
    images = noise(5)
    expected = [metrics.laplacian_energy(metrics.brightness(one)) for one in to_pixels(images)]
    torch.testing.assert_close(laplacian_energy(images), torch.tensor(expected).float(), rtol=1e-5, atol=0)


def test_a_ramp_has_no_energy_and_a_chequerboard_most():
    ramp = (torch.arange(18) * 15 - 127.5) / 127.5  # exactly 15 levels a step
    ramp = ramp[None, None, None].expand(1, 3, 18, 18)
    board = ((torch.arange(18)[:, None] + torch.arange(18)) % 2 * 2.0 - 1)[None, None].expand(1, 3, 18, 18)
    assert laplacian_energy(ramp).item() == pytest.approx(0, abs=1e-9)
    assert laplacian_energy(board).item() == pytest.approx(16)


def test_equal_images_are_at_no_distance_and_a_constant_is_not_detail():
    assert laplacian_pyramid_distance(torch.zeros(2, 3, 16, 16), 3) == 0
    assert laplacian_pyramid_distance(torch.full((2, 3, 16, 16), 0.5), 3).item() == pytest.approx(0, abs=1e-6)


def test_a_chequerboard_is_detail_of_the_finest_level_alone():
    board = ((torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1)[None, None].expand(1, 3, 16, 16)
    for levels in (1, 2, 3):
        assert laplacian_pyramid_distance(board, levels).item() == pytest.approx(1)


def test_coarse_detail_counts_at_the_coarse_levels():
    fine = noise(2, seed=2, reach=1)
    blocks = nn.functional.interpolate(noise(2, 4, reach=1), scale_factor=4, mode="bilinear")
    shares = [
        (laplacian_pyramid_distance(error, 1) / laplacian_pyramid_distance(error, 3)).item() for error in (fine, blocks)
    ]
    assert shares[0] > 0.5 > 0.3 > shares[1]


def test_weights_say_where_it_counts():
    error = torch.zeros(1, 3, 16, 16)
    error[..., :8, :8] = noise(1, 8, reach=1)
    weights = torch.zeros(1, 1, 16, 16)
    weights[..., 10:, 10:] = 1
    assert laplacian_pyramid_distance(error, 1, weights) == 0
    one = torch.ones(1, 1, 16, 16)
    torch.testing.assert_close(laplacian_pyramid_distance(error, 3, one), laplacian_pyramid_distance(error, 3))


class Faded(nn.Module):
    """Codes an image as itself and decodes it with `contrast` of its own."""

    config = TINY

    def __init__(self, contrast):
        super().__init__()
        self.contrast = contrast

    def encode(self, images):
        flat = images.flatten(1)
        return Posterior(torch.cat([flat, torch.zeros_like(flat)], 1))

    def decode(self, z):
        return z.unflatten(1, (3, 8, 8)) * self.contrast


def face_set(count, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return FaceSet(torch.from_numpy(pixels), tuple({} for _ in range(count)))


def test_figures_of_a_decoder_that_halves_the_contrast():
    faces = face_set(131)  # more than one chunk, and one without a partner
    figures = measure(Faded(0.5), faces, CPU)
    assert figures["sharpness"] == pytest.approx(0.25, rel=1e-3)
    assert figures["sharpness_pooled"] == pytest.approx(0.25, rel=1e-3)
    images = to_tensor(faces.images.numpy())
    mse = (images / 4).square().mean((1, 2, 3))
    assert figures["psnr"] == pytest.approx(float((-10 * torch.log10(mse)).mean()), rel=1e-5)
    # Averaging two unrelated noises leaves half of their energy: a cross-fade is softer than its ends.
    assert figures["midpoint_sharpness"] == pytest.approx(0.5, abs=0.05)


def test_the_mid_points_are_those_of_neighbours_in_the_split():
    faces = face_set(131)
    images = to_tensor(faces.images.numpy())
    middle = laplacian_energy((images[0:130:2] + images[1:130:2]) / 2)
    ends = (laplacian_energy(images[0:130:2]) + laplacian_energy(images[1:130:2])) / 2
    expected = float((middle / ends).mean())
    assert measure(Faded(1.0), faces, CPU)["midpoint_sharpness"] == pytest.approx(expected, rel=1e-4)


def test_one_face_has_no_mid_point():
    assert measure(Faded(1.0), face_set(1), CPU)["midpoint_sharpness"] == 1


def pull(outputs, images, **how):
    outputs = outputs.clone().requires_grad_()
    lacking_contrast(outputs, images, **how).backward()
    return -outputs.grad


def test_lacking_contrast_is_asked_for_along_the_photographs_own_edges():
    images = noise(2, 32, reach=0.9)
    asked = pull(images / 2, images, levels=1)
    sharper = images / 2 + asked / asked.abs().max()
    assert (laplacian_energy(sharper) > laplacian_energy(images / 2)).all()
    other = pull(images / 2, noise(2, 32, seed=5, reach=0.9), levels=1)
    alike = torch.nn.functional.cosine_similarity(asked.flatten(1), other.flatten(1))
    assert alike.abs().max() < 0.2  # where the edges are is the photograph's affair


def test_where_contrast_is_whole_nothing_is_asked():
    images = noise(2, 32, reach=0.5)
    assert not pull(images * 1.1, images).any()
    assert pull(images * 0.9, images).any()
    assert pull(images * 0.5, images).norm() > 2 * pull(images * 0.9, images).norm()


def test_a_weave_that_is_not_in_the_photograph_earns_nothing():
    flat = torch.zeros(1, 3, 32, 32)
    weave = ((torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1)[None, None] * 0.02 + flat
    smooth = nn.functional.interpolate(noise(1, 4, reach=0.8), size=32, mode="bicubic")
    assert lacking_contrast(smooth / 2 + weave, smooth, levels=1) >= lacking_contrast(smooth / 2, smooth, levels=1)


def test_every_level_asks():
    coarse = noise(1, 8, reach=0.5).repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert lacking_contrast(coarse / 2, coarse, levels=2) < 1.5 * lacking_contrast(coarse / 2, coarse, levels=1) < 0


def test_the_pull_is_finite_on_a_flat_picture():
    assert pull(torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)).isfinite().all()
    assert pull(torch.zeros(1, 3, 32, 32), noise(1, 32)).isfinite().all()


def test_what_the_coarse_level_draws_by_itself_is_measured_where_there_is_one():
    pixels = torch.randint(0, 255, (5, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    faces = FaceSet(pixels, tuple({} for _ in pixels))
    assert "psnr_without_detail" not in measure(tiny_vae(), faces, CPU)
    for coarse in (1, 7):
        vae = tiny_vae(TINY.model_copy(update={"coarse_size": coarse}))
        images = to_tensor(pixels.numpy())
        z = vae.encode(images).mode()
        z[:, coarse:] = 0
        lost = ((vae.decode(z).clamp(-1, 1) - images) / 2).square().mean((1, 2, 3))
        assert measure(vae, faces, CPU)["psnr_without_detail"] == pytest.approx(float((-10 * lost.log10()).mean()))
