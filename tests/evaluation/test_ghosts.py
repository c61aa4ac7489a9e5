import cv2
import numpy as np
import pytest

from facemix.evaluation.ghosts import Ghosts
from facemix.evaluation.ways import faded

SIDE = 128
APART = 8  # pixels from one parent's feature to the other's
CENTRES = [(40, 44), (88, 44), (64, 70), (64, 96)]


def discs(moved=0.0, strength=1.0, radius=7, centres=CENTRES):
    """Dark discs on grey, as dark as `strength` says, `moved` pixels to the right."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    page = np.full((SIDE, SIDE), 180.0)
    for across, down in centres:
        page -= 120 * strength * np.clip(radius + 0.5 - np.hypot(x - across - moved, y - down), 0, 1)
    return page.clip(0, 255).round().astype(np.uint8)[..., None].repeat(3, 2)


def noise(seed):
    return np.random.default_rng(seed).normal(0, 12, (SIDE, SIDE, 1))


def pixels(page):
    return np.clip(np.rint(page), 0, 255).astype(np.uint8)


# The same features at two places: brought together they are one. Round in one parent, and wide in the other.
PARENTS = np.stack([discs(-APART / 2), discs(APART / 2)])
TOGETHER = [discs(), discs()]
UNLIKE = np.stack([discs(-APART / 2), discs(APART / 2, radius=10)])
UNLIKE_TOGETHER = [discs(), discs(radius=10)]


def figures(middle, parents=PARENTS, geometries=(TOGETHER,)):
    return Ghosts(parents, geometries).figures(middle)


def test_two_discs_of_half_strength_are_a_ghost_and_one_between_is_none():
    double = figures(faded(PARENTS)(0.5))
    assert double["ghosts"] == pytest.approx(1)
    assert double["not_one_parents"] == pytest.approx(1)
    clean = figures(discs())
    assert max(clean.values()) < 0.02


def test_no_geometry_that_somebody_claims_hides_a_ghost():
    # Neither that nothing moves, nor that all was brought together, nor that it went too far.
    for claimed in ([], [TOGETHER], [TOGETHER, [discs(APART / 2), discs(-APART / 2)]], [[discs(2), discs(2)]]):
        assert figures(faded(PARENTS)(0.5), geometries=claimed)["not_one_parents"] == pytest.approx(1, abs=0.01)


def test_discs_brought_only_half_of_the_way_are_still_ghosts():
    near = [discs(-APART / 4), discs(APART / 4)]
    found = figures(faded(np.stack(near))(0.5), geometries=[TOGETHER, near])
    assert found["ghosts"] > 0.4
    assert figures(faded(np.stack(near))(0.5))["not_one_parents"] > 0.4  # also where nobody says where they went


def test_one_parent_at_each_place_is_none():
    patched = np.where(np.arange(SIDE)[:, None, None] < 57, *UNLIKE_TOGETHER)
    averaged = faded(np.stack(UNLIKE_TOGETHER))(0.5)
    by_one, by_both = (figures(one, UNLIKE, [UNLIKE_TOGETHER]) for one in (patched, averaged))
    for name in ("ghosts", "not_one_parents"):
        assert by_one[name] < 0.3 * by_both[name]


def test_features_that_meet_and_differ_are_a_ghost_that_warping_does_not_take_away():
    assert figures(faded(np.stack(UNLIKE_TOGETHER))(0.5), UNLIKE, [UNLIKE_TOGETHER])["ghosts"] > 0.2


def test_a_parent_itself_is_none():
    for one in (*PARENTS, *TOGETHER):
        assert figures(one) == pytest.approx({"ghosts": 0, "own_contours": 0, "not_one_parents": 0}, abs=1e-6)


def test_a_face_of_its_own_is_no_ghost_but_nobodys():
    found = figures(discs(centres=[(30, 80), (100, 90), (64, 20)]))
    assert found["ghosts"] < 0.1
    assert found["own_contours"] > 0.9
    assert found["not_one_parents"] > 1


def test_noise_over_a_ghost_dilutes_it_and_is_counted_by_itself():
    ghost = faded(PARENTS)(0.5)
    noisy = figures(pixels(ghost + noise(1)))
    assert noisy["ghosts"] < 0.8
    assert noisy["own_contours"] > 0.1
    assert noisy["not_one_parents"] > 1


def test_contrast_and_light_do_not_count():
    for change in (lambda page: 0.5 * page + 60, lambda page: page - 50):
        double, clean = (pixels(change(one.astype(float))) for one in (faded(PARENTS)(0.5), discs()))
        assert figures(double)["ghosts"] == pytest.approx(1, abs=0.05)
        assert figures(clean)["not_one_parents"] < 0.05


def test_a_blur_hides_no_ghost():
    assert figures(cv2.GaussianBlur(faded(PARENTS)(0.5), (0, 0), 1.5))["not_one_parents"] > 0.8


def test_dark_on_light_does_not_explain_light_on_dark():
    assert figures(255 - discs())["own_contours"] > 0.9


def test_equal_parents_have_no_ghosts_to_measure():
    assert all(np.isnan(list(figures(PARENTS[0], PARENTS[[0, 0]], []).values())))
    assert np.isnan(figures(np.full_like(PARENTS[0], 128))["ghosts"])
