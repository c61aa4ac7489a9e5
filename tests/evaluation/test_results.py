import json

import pytest

from facemix.errors import ConfigError, RequestInvalid
from facemix.evaluation.results import Data, Figure, Results, Subject, read_results, write_results


@pytest.fixture
def results():
    figure = Figure(mean=1 / 3, low=0.1, high=0.5, n=7)
    data = Data(name="x", manifest_sha256="0", crop_size=32, split="test", faces=7, split_faces=9, pairs=3)
    return Results(
        model="one",
        data=data,
        seed=0,
        resamples=10,
        code_version="0",
        subjects={"one": Subject(kind="vae", reconstruction={"psnr": figure})},
        margins={},
        timing={"seconds": 1.0},
    )


def test_what_was_written_is_read(results, tmp_path):
    write_results(tmp_path / "results.json", results)
    assert read_results(tmp_path / "results.json") == results
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_figures_have_six_digits(results, tmp_path):
    write_results(tmp_path / "results.json", results)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["subjects"]["one"]["reconstruction"]["psnr"]["mean"] == 0.333333
    assert written["schema_version"] == 3


def test_an_unwritable_place_is_named(results, tmp_path):
    with pytest.raises(RequestInvalid, match="cannot be written") as refused:
        write_results(tmp_path / "missing" / "results.json", results)
    assert refused.value.where.endswith("results.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "facemix-evaluation"}'])
def test_what_is_no_results_file_is_refused(text, tmp_path):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ConfigError, match="is not a results file"):
        read_results(tmp_path / "results.json")


def test_a_file_of_the_first_schema_is_read(results, tmp_path):
    write_results(tmp_path / "results.json", results)
    written = json.loads((tmp_path / "results.json").read_text())
    for added in ("embedder", "reference", "gates"):
        del written[added]
    del written["subjects"]["one"]["samples"]
    (tmp_path / "results.json").write_text(json.dumps(written | {"schema_version": 1}))
    found = read_results(tmp_path / "results.json")
    assert found.subjects == results.subjects
    assert (found.embedder, found.reference, found.gates) == (None, {}, None)


def test_another_schema_is_refused(results, tmp_path):
    write_results(tmp_path / "results.json", results)
    text = (tmp_path / "results.json").read_text()
    (tmp_path / "results.json").write_text(text.replace('"schema_version": 3', '"schema_version": 4'))
    with pytest.raises(ConfigError, match="schema_version"):
        read_results(tmp_path / "results.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.json cannot be read"):
        read_results(tmp_path / "absent.json")
