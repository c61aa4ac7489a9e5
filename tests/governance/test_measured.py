import json
from pathlib import Path

import pytest
from measuring import results_of

from facemix.errors import PromotionRefused, RequestInvalid
from facemix.evaluation.results import read_results
from facemix.governance.measured import Condition, Measured, read_measured
from facemix.resources import resource_dir

WEIGHTS = "ab" * 32


@pytest.fixture
def file(tmp_path) -> Path:
    return results_of(
        WEIGHTS,
        tmp_path / "results.json",
        identity_distance=0.35,
        sharpness=0.4,
        midpoints__sharpness=1.1,
        midpoints__identity_both=0.04,
        colour_shift=None,
    )


def test_the_figures_are_those_of_the_file(file):
    read_results(file)  # the test's own file is one
    measured = read_measured(file, WEIGHTS)
    assert measured.figures == {
        "reconstruction.identity_distance": 0.35,
        "reconstruction.sharpness": 0.4,
        "midpoints.sharpness": 1.1,
        "midpoints.identity_both": 0.04,
    }
    assert measured.milliseconds == {"encode_ms": 2.5, "decode_ms": 3.5}
    assert (measured.data, measured.faces, measured.pairs) == ("noise, test split", 10, 5)
    assert Measured.from_json(measured.as_json()) == measured


def test_the_shipped_results_are_read():
    folder = resource_dir("checkpoints") / "facemix-128"
    weights = json.loads((folder / "card.json").read_text())["weights_sha256"]
    whole = read_results(folder / "results.json")
    measured = read_measured(folder / "results.json", weights)
    midpoints = whole.subjects[whole.model].midpoints
    assert measured.figure("identity_both") == midpoints["identity_both"].mean


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("identity_distance<=0.35", True),
        ("identity_distance<0.35", False),
        (" identity_distance >= 0.35 ", True),
        ("reconstruction.identity_distance>0.4", False),
        ("midpoints.sharpness>1", True),
        ("identity_both<=4e-2", True),
        ("colour_shift<1", False),
        ("warmth<1", False),
        ("decode_ms<1", False),
    ],
)
def test_conditions_on_figures(file, condition, met):
    assert (Condition.parse(condition).unmet_by(read_measured(file, WEIGHTS)) is None) == met


def test_a_name_that_two_figures_have_must_be_whole(file):
    with pytest.raises(RequestInvalid) as refusal:
        Condition.parse("sharpness>0").unmet_by(read_measured(file, WEIGHTS))
    assert "midpoints.sharpness or reconstruction.sharpness" in refusal.value.message


@pytest.mark.parametrize(
    "text",
    ["", "psnr", "psnr=0.4", "psnr<=", "a<=1<=2", "a<=nan", "a<=1e999", "A<1", "a.b.c<1", "a<=0x10", "a<=1_0", "a<1;b"],
)
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(RequestInvalid):
        Condition.parse(text)


def changed(file, **members):
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document | members))


@pytest.mark.parametrize(
    "members",
    [
        {"format": "other"},
        {"schema_version": 3},
        {"model": "another"},
        {"subjects": []},
        {"subjects": {"tiny": {"identity": None}}},
        {"subjects": {"tiny": {"identity": {"weights_sha256": WEIGHTS}, "reconstruction": {"psnr": {"mean": "30"}}}}},
        {"subjects": {"tiny": {"identity": {"weights_sha256": WEIGHTS}, "reconstruction": {"psnr": {"mean": True}}}}},
        {"data": None},
    ],
)
def test_what_is_no_results_file_is_refused(file, members):
    changed(file, **members)
    with pytest.raises(PromotionRefused):
        read_measured(file, WEIGHTS)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}'])
def test_nor_is_anything_else(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(PromotionRefused):
        read_measured(path, WEIGHTS)


def test_results_of_other_weights_are_refused(file):
    with pytest.raises(PromotionRefused) as refusal:
        read_measured(file, "cd" * 32)
    assert "abababababab" in refusal.value.message


def test_results_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(PromotionRefused) as refusal:
        read_measured(tmp_path / "none.json", WEIGHTS)
    assert "none.json" in refusal.value.message
