import json

import numpy as np
import portraits
import pytest
import torch
from identity_extra import embedder_or_skip

from facemix.evaluation import correspondence as module
from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.correspondence import (
    NONE,
    POINTS,
    SHAPES,
    accumulated,
    by_flow,
    by_path,
    by_shapes,
    draw_pairs,
    figures,
    measure_shapes,
    mirrored_points,
    misses,
    of_reconstructions,
    percentile,
    read_points,
    reading_misses,
    sample,
    table,
    through,
    unmoved,
)
from facemix.faces.align import TEMPLATE, Alignment
from facemix.vae.geometry import GRID, SIDE, Geometry, GeometryNet

MIDDLES = np.array([[0.3, 0.3], [0.5, 0.45], [0.7, 0.7]])


def blot(side, across=0.0, down=0.0):
    """Smooth and different everywhere, shifted by so many fractions of the side: (side, side, 3) uint8."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    x, y = x - across, y - down
    waves = np.sin(17 * x + 9 * y * y) + np.cos(21 * y - 8 * x) + np.sin(13 * (x + y))
    return np.repeat(np.rint(128 + 35 * waves)[..., None], 3, axis=2).astype(np.uint8)


def constant(x, y, side=32):
    return np.broadcast_to(np.float32([x, y]), (side, side, 2)).copy()


class Sliding:
    """A codec whose latent is how far the same picture is shifted to the right."""

    coarse_size = 0
    latent_size = 1

    def encode(self, crops):
        return torch.tensor([[0.0], [0.12]])

    def decode(self, z):
        return np.stack([blot(64, across=float(one)) for one in z])


class FourPoints:
    """Instead of dlib: the same points in every crop, left and right in dlib's order."""

    def landmarks(self, crop):
        return len(crop) * np.array([[0.78, 0.3], [0.62, 0.31], [0.22, 0.3], [0.38, 0.31], [0.5, 0.6]])


def test_offsets_are_read_between_the_middles_of_pixels():
    field = np.zeros((4, 4, 2), np.float32)
    field[1, 2] = (0.2, -0.4)
    found = sample(field, np.array([[2.5 / 4, 1.5 / 4], [2 / 4, 1.5 / 4], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.2, -0.4], [0.1, -0.2], [0, 0]], atol=1e-6)


def test_beyond_the_edge_it_is_as_at_the_edge_and_many_points_are_no_more_than_few():
    field = constant(0.1, 0.2)
    found = sample(field, np.full((40_000, 2), 1.4))
    np.testing.assert_allclose(found, np.tile([0.1, 0.2], (40_000, 1)), atol=1e-6)


def test_the_way_through_a_third_place_goes_back_and_forth():
    first, second = constant(0.05, -0.02), constant(-0.03, 0.04)
    np.testing.assert_allclose(through(first, second, MIDDLES), MIDDLES + np.array([-0.08, 0.06]), atol=1e-6)
    bent = 0.05 * np.random.default_rng(0).normal(size=(4, 4, 2)).astype(np.float32)
    bent = module.cv2.resize(bent, (64, 64), interpolation=module.cv2.INTER_CUBIC)
    np.testing.assert_allclose(through(bent, bent, MIDDLES), MIDDLES, atol=1e-3)
    there = through(bent, -bent, MIDDLES)
    assert np.abs(there - MIDDLES).max() > 0.01
    np.testing.assert_allclose(through(-bent, bent, there), MIDDLES, atol=1e-3)


def test_flow_finds_a_shift():
    crops = np.stack([blot(64), blot(64, 0.04, -0.03)])
    np.testing.assert_allclose(by_flow(crops, MIDDLES), MIDDLES + np.array([0.04, -0.03]), atol=0.01)


def test_flows_add_up_along_the_frames():
    frames = np.stack([blot(64, across) for across in np.linspace(0, 0.16, 5)])
    np.testing.assert_allclose(sample(accumulated(frames), MIDDLES), np.tile([0.16, 0], (3, 1)), atol=0.015)
    assert not accumulated(frames[:1]).any()


@pytest.mark.parametrize("steps", [1, 4])
def test_the_path_leads_from_the_first_to_the_second(steps):
    transfer = by_path(Sliding(), steps)
    np.testing.assert_allclose(transfer(np.zeros((2, 8, 8, 3)), MIDDLES), MIDDLES + np.array([0.12, 0]), atol=0.015)


def test_shapes_lead_from_the_first_to_the_second():
    class Shifting(Geometry):
        def shapes(self, crops):
            return np.stack([np.full((2, GRID, GRID), value) for value in crops[:, 0, 0, 0] / 1000])

    crops = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    crops[0], crops[1] = 20, 50
    transfer = by_shapes(Shifting(GeometryNet()))
    np.testing.assert_allclose(transfer(crops, MIDDLES), MIDDLES + 0.03, atol=1e-6)

    class Brighter(Sliding):
        def decode(self, z):
            return crops + np.array([0, 40], np.uint8)[:, None, None, None]

    seen = of_reconstructions(transfer, Brighter())
    np.testing.assert_allclose(seen(crops, MIDDLES), MIDDLES + 0.07, atol=1e-6)


def test_what_is_missed_counts_in_percent_of_the_distance_of_the_eyes():
    points = np.zeros((4, 5, 2))
    points[2, :, 0] = TEMPLATE[1, 0] - TEMPLATE[0, 0]
    points[3, 4, 1] = 0.0414
    seen = []
    found = misses(
        np.zeros((4, 8, 8, 3), np.uint8),
        points,
        np.array([[0, 2], [1, 3]]),
        {NONE: unmoved},
        on_progress=lambda *at: seen.append(at),
    )
    np.testing.assert_allclose(found[NONE], [[100] * 5, [0, 0, 0, 0, 10]])
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(("count", "wanted", "pairs"), [(9, 100, 4), (10, 3, 3), (2, 1, 1)])
def test_no_face_is_in_two_pairs(count, wanted, pairs):
    drawn = draw_pairs(count, wanted)
    assert drawn.shape == (pairs, 2)
    assert len(set(drawn.ravel())) == 2 * pairs
    assert set(drawn.ravel()) <= set(range(count))


def test_a_percentile_is_that_of_all_values_and_its_interval_that_of_the_rows():
    values = np.random.default_rng(0).exponential(size=(200, 5))
    whole = percentile(values, 90, Bootstrap())
    assert whole.mean == pytest.approx(np.percentile(values, 90, method="inverted_cdf"), rel=1e-5)
    assert whole.low < whole.mean < whole.high
    assert whole.n == 200
    # Five equal values in a row say no more than one: the interval does not shrink.
    alone = percentile(values[:, :1], 90, Bootstrap())
    repeated = percentile(np.repeat(values[:, :1], 5, axis=1), 90, Bootstrap())
    assert (repeated.low, repeated.high) == (alone.low, alone.high)
    assert repeated.high - repeated.low > whole.high - whole.low


def test_figures_are_json_overall_and_by_landmark():
    missed = np.arange(50.0).reshape(10, 5)
    found = json.loads(json.dumps(figures(missed, Bootstrap())))
    assert found["mean"]["mean"] == pytest.approx(24.5)
    assert list(found["points"]) == list(POINTS)
    assert found["points"][POINTS[4]]["mean"]["mean"] == pytest.approx(missed[:, 4].mean())
    assert found["points"][POINTS[0]]["p90"]["mean"] == 40
    lines = table({"a": found, "longer name": found}).splitlines()
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    assert "24.50" in lines[1]


def test_a_geometry_that_displaces_nothing_is_no_warp():
    crops = np.zeros((6, SIDE, SIDE, 3), np.uint8)
    found = measure_shapes(Geometry(GeometryNet()), crops, FourPoints(), pairs=10)
    assert list(found) == [NONE, SHAPES]
    assert found[NONE] == found[SHAPES]
    assert found[NONE]["mean"] == {"mean": 0, "low": 0, "high": 0, "n": 3}


def test_mirrored_points_exchange_the_eyes():
    points = read_points(np.zeros((1, 16, 16, 3), np.uint8), FourPoints())
    np.testing.assert_allclose(points[0, 0], (0.78, 0.3))
    np.testing.assert_allclose(mirrored_points(points), points)
    assert reading_misses(np.zeros((2, 16, 16, 3), np.uint8), np.tile(points, (2, 1, 1)), FourPoints()).max() < 1e-9


def test_dlib_reads_a_portrait_where_the_eyes_are_and_alike_when_mirrored():
    embedder = embedder_or_skip()
    crop = Alignment.from_landmarks(portraits.LANDMARKS, 128).crop(portraits.portrait())[None]
    points = read_points(crop, embedder)
    assert points.shape == (1, 5, 2)
    right, left = points[0, :2].mean(0), points[0, 2:4].mean(0)
    np.testing.assert_allclose([left, right], TEMPLATE[:2], atol=0.03)
    assert points[0, 0, 0] > points[0, 1, 0] > points[0, 3, 0] > points[0, 2, 0]  # outer, inner, inner, outer
    assert left[1] < points[0, 4, 1] < TEMPLATE[2, 1]
    assert reading_misses(crop, points, embedder).mean() < 5
