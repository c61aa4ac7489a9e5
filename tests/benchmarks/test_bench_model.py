import json

import pytest
from tiny import tiny_checkpoint

from benchmarks.bench_model import PARTS, VARIANTS, main, rows_of


@pytest.mark.slow
def test_the_quick_form_measures_every_backend_there_is(tmp_path, capsys):
    out = tmp_path / "results" / "model.json"
    main(["--quick", "--threads", "1", "--checkpoint", str(tiny_checkpoint(tmp_path / "tiny")), "--out", str(out)])
    printed, results = capsys.readouterr().out, json.loads(out.read_text())
    assert {*results["backends"], *results["missing"]} == {variant.name for variant in VARIANTS}
    assert {"torch fp32 untuned", "torch fp32", "torch bf16"} <= set(results["backends"])
    assert all(figures["peak_mib"] > 50 for figures in results["backends"].values())
    cells = {(row["backend"], row["batch"], row["part"]) for row in results["rows"]}
    assert cells == {(name, batch, part) for name in results["backends"] for batch in (1, 2) for part in PARTS}
    assert len(cells) == len(results["rows"])
    for row in results["rows"]:
        assert row["calls"] == 2
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert 0 < row["of_best"] <= 1
    for batch in (1, 2):
        for part in PARTS:
            chosen = [row["of_best"] for row in results["rows"] if (row["batch"], row["part"]) == (batch, part)]
            assert max(chosen) == 1
    assert results["checkpoint"].startswith("tiny@")
    assert results["threads"] == 1
    assert results["quick"] is True
    assert {"cpu", "cores", "torch", "commit", "date", "openvino"} <= set(results["machine"])
    for name in results["backends"]:
        assert printed.count(f"| {name} |") == len(PARTS)
    for name, reason in results["missing"].items():
        assert f"without {name}: {reason}" in printed


def test_a_row_is_the_median_and_the_hundredth_slowest():
    pairs = [[0.010, 0.020]] * 99 + [[0.5, 0.5]]
    encode, decode, both = rows_of("some", 4, pairs)
    assert (encode["images_per_second"], decode["p50_ms"], both["p50_ms"]) == (400.0, 20.0, 30.0)
    assert both["images_per_second"] == 133.3
    assert 30 < both["p99_ms"] < 1000
    assert both["calls"] == 100
