import numpy as np
import pytest

from facemix.evaluation import identity
from facemix.evaluation.bootstrap import Bootstrap


def test_distances_and_medians_by_hand():
    a, b = np.zeros((3, 2)), np.array([[0.3, 0.4], [0.0, 0.7], [np.nan, 0]])
    found = identity.distances(a, b)
    assert found[:2] == pytest.approx([0.5, 0.7])
    figures = identity.reconstruction_identity(found, Bootstrap(resamples=50))
    assert figures["identity_distance"].mean == pytest.approx(0.6)
    assert (figures["same_person"].mean, figures["same_person"].n) == (0.5, 2)  # what was not measured has no say


def test_a_mid_point_between_its_parents_by_hand():
    first, second = np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    found = identity.midpoint_identity(np.array([[0.5, 0.0], [0.1, 0.0]]), first, second)
    assert found["identity_to_parents"] == pytest.approx([0.5, 0.5])
    assert found["identity_imbalance"] == pytest.approx([0, 0.8])
    assert found["identity_both"].tolist() == [1, 0]


def test_strangers_are_the_others_of_the_group():
    points = np.array([[0.0], [3.0], [5.0], [100.0], [7.0]])
    found = identity.strangers(points, ["a", "a", "a", None, "alone"])
    assert found[:3] == pytest.approx([4, 2.5, 3.5])
    assert np.isnan(found[3:]).all()


def test_a_path_that_turns_back_leads_less_steadily():
    first, second = np.zeros(2), np.array([1.0, 0.0])
    straight = np.array([[x, 0.0] for x in (0.0, 0.25, 0.5, 0.75, 1.0)])
    assert identity.path_identity(straight, first, second) == 1
    assert identity.path_identity(straight[::-1], first, second) == 0
    # One of four steps goes back.
    assert identity.path_identity(straight[[0, 2, 1, 3, 4]], first, second) == 0.75
    # Farther from the first, but not nearer to the second.
    beside = np.array([[0.0, y] for y in (0.0, 0.5, 1.0)])
    assert identity.path_identity(beside, first, second) == 0.5
    assert np.isnan(identity.path_identity(np.full((5, 1), np.nan), np.full(1, np.nan), np.full(1, np.nan)))
