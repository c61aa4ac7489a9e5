import numpy as np
import pytest
from prepared import smooth_crops

from benchmarks.morph import BORDER, Morph, border_points, feature_points, landmarks, morphed, triangles
from facemix.evaluation.ways import Parents

SIDE = 128


def disc(across, down, radius=6):
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    dark = np.clip(radius + 0.5 - np.hypot(x - across, y - down), 0, 1)
    return (200 - 150 * dark).round().astype(np.uint8)[..., None].repeat(3, 2)


def centre(picture):
    """Of what is dark, (x, y) in pixels."""
    dark = 200 - picture[..., 0].astype(float)
    dark[dark < 20] = 0
    y, x = np.mgrid[:SIDE, :SIDE]
    return (x * dark).sum() / dark.sum(), (y * dark).sum() / dark.sum()


def apart(pixels):
    """Fields of two faces whose features lie that far to the left of the middle, and to the right."""
    field = np.zeros((SIDE, SIDE, 2), np.float32)
    field[..., 0] = pixels / SIDE
    return [-field, field]


def test_points_lie_on_a_face_and_no_two_in_one_place():
    points = feature_points()
    assert 60 <= len(points) <= 100
    assert points.min() > 0
    assert points.max() < 1
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1) + np.eye(len(points))
    assert distances.min() > 0.01
    # Alike on both sides.
    mirrored = points * [-1, 1] + [1, 0]
    assert np.abs(np.sort(mirrored, axis=0) - np.sort(points, axis=0)).max() < 0.01


def test_the_border_is_all_around():
    points = border_points()
    assert len(points) == 4 * (BORDER - 1)
    assert {(0, 0), (0, 1), (1, 0), (1, 1)} <= {tuple(point) for point in points.tolist()}


def test_triangles_cover_the_picture_once():
    points = np.concatenate([feature_points(), border_points()])
    corners = points[triangles(points)]
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    assert np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum() / 2 == pytest.approx(1, abs=1e-6)


def test_no_point_lies_within_a_triangles_circle():
    points = np.random.default_rng(0).random((30, 2))
    for triangle in triangles(points):
        a, b, c = points[triangle]
        system = 2 * np.array([b - a, c - a])
        middle = np.linalg.solve(system, [b @ b - a @ a, c @ c - a @ a])
        others = np.delete(points, triangle, axis=0)
        assert np.linalg.norm(others - middle, axis=1).min() > np.linalg.norm(a - middle) - 1e-3


def test_a_morph_begins_and_ends_with_the_photographs_bit_for_bit():
    cuts = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8)
    way = morphed(Parents(cuts, cuts, cuts), apart(4)).frame
    assert np.array_equal(way(0.0), cuts[0])
    assert np.array_equal(way(1.0), cuts[1])


def test_equal_landmarks_move_nothing():
    cuts = smooth_crops(2, SIDE)
    way = morphed(Parents(cuts, cuts, cuts), apart(0)).frame
    assert np.array_equal(way(0.5), np.floor(cuts.astype(float).mean(0) + 0.5))


def test_landmarks_follow_the_fields_and_the_border_stays():
    first, second = landmarks(apart(4))
    count = len(feature_points())
    assert first[:count, 0] == pytest.approx(np.clip(feature_points()[:, 0] - 4 / SIDE, 0.002, 0.998), abs=1e-5)
    assert second[:count, 1] == pytest.approx(feature_points()[:, 1], abs=1e-5)
    assert np.array_equal(first[count:], border_points())


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_what_is_marked_in_both_comes_together_on_the_way(share):
    cuts = np.stack([disc(60, 64), disc(68, 64)])
    morph = Morph(cuts, landmarks(apart(4)))
    for picture in (*morph.warped(share), morph.frame(share)):
        assert centre(picture) == pytest.approx((60 + 8 * share, 64), abs=0.7)
    assert morph.frame(share).min() < 60  # one dark disc, not two grey ones
