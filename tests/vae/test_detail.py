import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facemix.vae.detail import detail_share, fade_detail


def normalised(values):
    w = torch.tensor(values, dtype=torch.float64)
    return w / w.sum()


@given(t=st.floats(0, 1))
def test_two_parents_keep_what_the_documentation_says(t):
    w = torch.tensor([1 - t, t], dtype=torch.float64)
    assert float(detail_share(w)) == pytest.approx(abs(2 * t - 1) ** 1.5, abs=1e-7)


@given(values=st.lists(st.floats(0.01, 1), min_size=1, max_size=6), extra=st.integers(0, 3))
def test_a_parent_without_weight_changes_nothing_and_order_neither(values, extra):
    w = normalised(values)
    share = float(detail_share(w))
    assert 0 <= share <= 1
    assert float(detail_share(torch.cat([w, torch.zeros(extra, dtype=w.dtype)]))) == pytest.approx(share)
    assert float(detail_share(w.flip(0))) == pytest.approx(share)


def test_alone_a_parent_keeps_all_and_in_even_company_nothing():
    assert detail_share(torch.eye(3)).tolist() == [1, 1, 1]
    for count in range(2, 6):
        assert float(detail_share(torch.full((count,), 1 / count))) == pytest.approx(0, abs=1e-4)


def test_only_detail_fades():
    mean = torch.ones(2, 5)
    faded = fade_detail(mean, torch.tensor([[0.5, 0.5], [0.25, 0.75]]), 3)
    assert torch.equal(faded[:, :3], mean[:, :3])
    torch.testing.assert_close(faded[:, 3:], torch.tensor([[0.0, 0.0], [0.5**1.5, 0.5**1.5]]))
    assert torch.equal(mean, torch.ones(2, 5))


def test_a_latent_of_one_level_stays_as_it_is():
    mean = torch.ones(4)
    assert fade_detail(mean, torch.tensor([0.5, 0.5]), 0) is mean
