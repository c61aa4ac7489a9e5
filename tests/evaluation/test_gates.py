import pytest
from prepared import prepared_set

from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.gates import gate_figures, read_manifest


def rows(**refused_of):
    """1,000 photographs per ethnicity, so many of them refused."""
    return [
        {"labels": {"ethnicity": name}, **({"refused": "face_not_found"} if number < refused else {"split": "train"})}
        for name, refused in refused_of.items()
        for number in range(1000)
    ]


def test_shares_and_their_ratio_by_hand():
    found = gate_figures(rows(a=10, b=40), Bootstrap())
    groups = found.groups["ethnicity"]
    assert (found.photographs, found.refused, found.reasons) == (2000, 50, {"face_not_found": 50})
    share = groups.groups["b"].figures["refused"]
    assert share.mean == pytest.approx(0.04)
    assert share.low == pytest.approx(0.04 - 1.96 * (0.04 * 0.96 / 1000) ** 0.5, abs=0.003)
    assert groups.worst_to_best.mean == pytest.approx(40.5 / 10.5)
    assert groups.worst_to_best.low > 1.5
    assert set(found.groups) == {"ethnicity"}


def test_a_group_without_refusals_does_not_make_the_ratio_infinite():
    ratio = gate_figures(rows(a=0, b=3), Bootstrap()).groups["ethnicity"].worst_to_best
    assert ratio.mean == pytest.approx(7)
    assert ratio.high < 40


def test_a_small_group_decides_nothing_and_nobody_refused_gives_no_ratio():
    few = [{"labels": {"ethnicity": "few"}, "refused": "face_too_turned"}] * 5
    found = gate_figures(rows(a=10, b=10) + few, Bootstrap(resamples=50)).groups["ethnicity"]
    assert found.too_few == ("few",)
    assert found.groups["few"].figures["refused"].mean == 1
    assert found.worst_to_best.mean == pytest.approx(1)
    assert gate_figures(rows(a=0, b=0), Bootstrap(resamples=50)).groups["ethnicity"].worst_to_best is None


def test_files_that_cannot_be_read_are_nobodys():
    broken = [{"labels": {"ethnicity": "a"}, "refused": "image_empty"}] * 7
    found = gate_figures(rows(a=10, b=10) + broken, Bootstrap(resamples=50))
    assert (found.photographs, found.refused) == (2000, 20)
    assert found.reasons == {"face_not_found": 20, "image_empty": 7}
    assert found.groups["ethnicity"].groups["a"].count == 1000


def test_all_rows_of_the_manifest_are_read(tmp_path):
    folder = prepared_set(tmp_path, train=4, validation=1, test=1)
    found = gate_figures(read_manifest(folder), Bootstrap(resamples=50))
    assert (found.photographs, found.refused, found.reasons, found.groups) == (6, 0, {"image_empty": 1}, {})
