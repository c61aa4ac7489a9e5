import json
import sys

import pytest
from tiny import TINY, tiny_checkpoint

from facemix import cli


@pytest.fixture
def run(monkeypatch, capsys):
    def invoke(*arguments):
        monkeypatch.setattr(sys, "argv", ["facemix", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return stopped.value.code, said.out, said.err

    return invoke


def test_help_lists_the_options(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    status, out, _ = run("--help")
    assert status == 0
    for option in ("--out", "--limit", "--split", "--no-baselines", "--compare", "--pairs", "--seed", "--photos"):
        assert option in out


def test_the_whole_command(run, checkpoint, data, tmp_path):
    older = tiny_checkpoint(tmp_path / "older", seed=1)
    file = tmp_path / "results.json"
    status, out, err = run(checkpoint, data, "--out", file, "--limit", 6, "--pairs", 2, "--compare", f"older={older}")
    assert status == 0, err
    assert "6 of 10 faces, 2 mid-points" in out
    assert "pca-8" in out
    assert "tiny: 6 faces" in err
    assert list(json.loads(file.read_text())["subjects"]) == ["cross-fade", "older", "pca-8", "tiny"]


def test_without_baselines_and_file(run, checkpoint, data):
    status, out, err = run(checkpoint, data, "--no-baselines", "--split", "validation")
    assert status == 0, err
    assert "validation split: 2 faces" in out
    assert "pca-8" not in out


@pytest.mark.parametrize(
    ("arguments", "expected", "said"),
    [
        (["--split", "all"], 2, "the split is 'all'"),
        (["--out", "missing/results.json"], 2, "not a file in an existing folder"),
        (["--out", "."], 2, "not a file in an existing folder"),
        (["--limit", "1"], 2, "--limit"),
        (["--compare", "older"], 2, "--compare 'older'"),
        (["--compare", "a=x", "--compare", "a=y"], 2, "--compare 'a=y'"),
        (["--compare", "older=missing"], 5, "missing"),
        (["--photos", "missing"], 2, "missing: not a folder"),
    ],
)
def test_refusals_are_one_line(run, checkpoint, data, arguments, expected, said):
    status, out, err = run(checkpoint, data, *arguments)
    assert (status, out) == (expected, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_folder_that_is_no_data_set(run, checkpoint, tmp_path):
    status, _, err = run(checkpoint, tmp_path)
    assert status == 7
    assert "facemix prepare" in err


def test_a_model_of_another_size(run, data, tmp_path):
    larger = tiny_checkpoint(tmp_path / "larger", config=TINY.model_copy(update={"crop_size": 64}))
    status, _, err = run(larger, data)
    assert status == 7
    assert "the model tiny takes 64" in err


def test_no_model(run, data, tmp_path):
    status, _, err = run(tmp_path / "nothing", data)
    assert status == 5
    assert "card.json" in err
