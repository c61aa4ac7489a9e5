import math

import numpy as np
import pytest

from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.groups import LEAST_FACES, age_band, age_of, group_figures, labels_of


def values_of(mse):
    mse = np.asarray(mse, np.float64)
    return {"mse": mse, "psnr": -10 * np.log10(mse), "ssim": 1 - mse, "sharpness": 2 * mse}


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (17, None),
        (18, "18-29"),
        (29, "18-29"),
        (29.5, "18-29"),
        (30, "30-44"),
        (45, "45-59"),
        (60, "60+"),
        (116, "60+"),
    ],
)
def test_age_bands(age, band):
    assert age_band(age) == band


def test_an_unknown_age_has_no_band():
    assert age_band(math.nan) is None
    for row in ({}, {"labels": {}}, {"labels": {"age": "old"}}, {"labels": {"age": True}}):
        assert math.isnan(age_of(row))


def test_labels_of_rows_with_and_without():
    rows = [{"labels": {"age": 33, "gender": "female", "ethnicity": "other"}}, {}]
    assert labels_of(rows) == {"age": ["30-44", None], "gender": ["female", None], "ethnicity": ["other", None]}


def test_each_group_has_its_own_means_and_counts():
    labels = ["a"] * LEAST_FACES + ["b"] * LEAST_FACES + [None] * 3
    found = group_figures(values_of([0.01] * LEAST_FACES + [0.02] * LEAST_FACES + [0.9] * 3), labels, Bootstrap())
    assert {name: group.count for name, group in found.groups.items()} == {"a": LEAST_FACES, "b": LEAST_FACES}
    assert found.unlabelled == 3
    assert found.groups["a"].figures["psnr"].mean == pytest.approx(20)
    assert found.groups["b"].figures["ssim"].mean == pytest.approx(0.98)
    assert found.worst_to_best.mean == pytest.approx(2)  # the unlabelled have no say
    assert (found.worst_to_best.low, found.worst_to_best.high) == pytest.approx((2, 2))


def test_a_small_group_is_shown_but_decides_nothing():
    labels = ["a"] * LEAST_FACES + ["b"] * LEAST_FACES + ["few"] * (LEAST_FACES - 1)
    mse = [0.01] * LEAST_FACES + [0.015] * LEAST_FACES + [0.5] * (LEAST_FACES - 1)
    found = group_figures(values_of(mse), labels, Bootstrap(resamples=50))
    assert found.too_few == ("few",)
    assert found.groups["few"].count == LEAST_FACES - 1
    assert found.worst_to_best.mean == pytest.approx(1.5)


def test_identity_has_a_ratio_of_its_own_where_it_was_measured():
    labels = ["a"] * LEAST_FACES + ["b"] * LEAST_FACES
    identity = np.array([0.2] * LEAST_FACES + [0.5] * LEAST_FACES)
    values = values_of([0.01] * 2 * LEAST_FACES)
    found = group_figures(values | {"identity_distance": identity, "strangers": 2 * identity}, labels, Bootstrap())
    assert found.worst_to_best.mean == pytest.approx(1)
    assert found.worst_to_best_identity.mean == pytest.approx(2.5)
    assert found.groups["b"].figures["strangers"].mean == pytest.approx(1)
    unmeasured = group_figures(values | {"identity_distance": np.full(len(labels), np.nan)}, labels, Bootstrap())
    assert unmeasured.worst_to_best_identity is None
    assert unmeasured.groups["a"].figures["identity_distance"].mean is None
    assert group_figures(values, labels, Bootstrap()).worst_to_best_identity is None


def test_one_group_is_not_compared_with_anything():
    found = group_figures(values_of([0.01] * 40), ["a"] * 40, Bootstrap(resamples=50))
    assert found.worst_to_best is None
    assert found.too_few == ()


def test_the_ratio_has_an_interval_that_grows_with_the_scatter():
    labels = ["a", "b"] * 40
    even = values_of([0.01, 0.012] * 40)
    scattered = values_of(np.random.default_rng(0).uniform(0.001, 0.02, 80))
    widths = []
    for values in (even, scattered):
        figure = group_figures(values, labels, Bootstrap()).worst_to_best
        widths.append(figure.high - figure.low)
    assert widths[0] < 1e-9 < 0.1 < widths[1]
