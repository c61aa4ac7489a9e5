import numpy as np
import pytest
import torch
from prepared import smooth_crops

from facemix.errors import DatasetError
from facemix.evaluation.baselines import fit_pca


def low_rank(count, rank, *, size=16, seed=0):
    """Pictures that are a mean and whole multiples of `rank` patterns: exactly of that rank, without rounding."""
    generator = np.random.default_rng(seed)
    patterns = generator.choice([-1, 1], (rank, size * size * 3))
    amounts = generator.integers(-120 // rank, 120 // rank + 1, (count, rank))
    return (128 + amounts @ patterns).astype(np.uint8).reshape(count, size, size, 3)


def test_what_is_of_low_rank_is_recovered_exactly():
    pictures = low_rank(60, 5)
    train, test = pictures[:40], pictures[40:]
    pca = fit_pca(torch.from_numpy(train), 5)
    assert (pca.latent_size, pca.fitted_images) == (5, 40)
    assert np.array_equal(pca.decode(pca.encode(test)), test)


def test_too_few_components_lose_something():
    pictures = low_rank(60, 5)
    pca = fit_pca(torch.from_numpy(pictures), 4)
    assert not np.array_equal(pca.decode(pca.encode(pictures)), pictures)


def test_it_finds_the_components_of_a_singular_value_decomposition():
    crops = torch.from_numpy(smooth_crops(50, 16))
    pca = fit_pca(crops, 6)
    flat = crops.flatten(1).double() / 127.5 - 1
    _, _, exact = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    overlap = (exact[:6] @ pca.components.double()).abs()
    assert torch.allclose(overlap, torch.eye(6, dtype=torch.float64), atol=1e-3)


def test_no_more_components_than_the_faces_span():
    pca = fit_pca(torch.from_numpy(low_rank(4, 3)), 50)
    assert pca.latent_size == 3
    assert torch.allclose(pca.components.T @ pca.components, torch.eye(3), atol=1e-5)


def test_mid_points_are_cross_fades():
    crops = smooth_crops(30, 16)
    pca = fit_pca(torch.from_numpy(crops), 8)
    z = pca.encode(crops[:2])
    ends, middle = pca.decode(z).astype(float), pca.decode(z.mean(0, keepdim=True))[0]
    assert np.abs(middle - ends.mean(0)).max() <= 1


def test_new_faces_vary_as_those_it_was_fitted_on():
    crops = smooth_crops(60, 16)
    pca = fit_pca(torch.from_numpy(crops), 6)
    codes = pca.encode(crops)
    assert torch.allclose(pca.deviations, codes.std(0, correction=0), rtol=1e-3)
    drawn = pca.latents(torch.randn(20_000, 6, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(drawn.std(0), pca.deviations, rtol=0.03)
    assert pca.decode(drawn[:3]).shape == (3, 16, 16, 3)


def test_the_same_seed_gives_the_same_components():
    crops = torch.from_numpy(smooth_crops(30, 16))
    assert torch.equal(fit_pca(crops, 4, seed=2).components, fit_pca(crops, 4, seed=2).components)


def test_a_single_face_has_no_components():
    with pytest.raises(DatasetError, match="at least 2 training faces, not 1"):
        fit_pca(torch.from_numpy(smooth_crops(1, 16)), 4)
