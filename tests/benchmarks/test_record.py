import json

import pytest

from benchmarks import record


def test_the_machine_is_named():
    found = record.machine()
    assert {"cpu", "cores", "torch", "date", "commit", "gpu"} <= found.keys()
    assert found["cores"] >= 1
    assert found["cpu"]


def test_results_are_written_whole_and_rounded(tmp_path, capsys):
    path = tmp_path / "new" / "x.json"
    record.write(path, {"rate": 12.345678, "list": (1, 0.1234567), "nothing": float("nan"), "text": "a"})
    assert json.loads(path.read_text()) == {"rate": 12.346, "list": [1, 0.12346], "nothing": None, "text": "a"}
    assert [one.name for one in path.parent.iterdir()] == ["x.json"]
    assert capsys.readouterr().out.strip() == str(path)


def test_what_is_no_number_is_not_written(tmp_path):
    with pytest.raises(ValueError):
        record.write(tmp_path / "x.json", {"rate": float("inf")})


def test_a_table_has_a_column_for_every_key():
    text = record.table([{"engine": "one", "rate": 1234.5, "ratio": 0.98765}, {"engine": "other", "rate": None}])
    lines = [line.split() for line in text.splitlines()]
    assert lines == [["engine", "rate", "ratio"], ["one", "1234", "0.9877"], ["other", "-", "-"]]
    assert record.table([]) == ""
