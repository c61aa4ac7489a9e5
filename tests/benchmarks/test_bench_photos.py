import json

from benchmarks.bench_photos import main


def test_a_quick_run_writes_every_stage_and_codec(tmp_path, capsys):
    out = tmp_path / "results" / "photos.json"
    main(["--quick", "--out", str(out)])
    results = json.loads(out.read_text())
    assert [row["stage"] for row in results["photographs"]] == ["decode", "find", "look", "crop"]
    for row in results["photographs"]:
        assert row["former_ms"] >= 0 <= row["now_ms"]
        assert row["faces_former"] == row["faces_now"] == 1
    assert {row["picture"] for row in results["codecs"]} == {"128", "256", "512", "33 frames of 128"}
    assert {row["format"] for row in results["codecs"]} == {"png", "jpeg", "webp"}
    for row in results["codecs"]:
        assert row["former_bytes"] > 0 < row["now_bytes"]
        assert row["ratio"] >= 0
    assert results["repeats"] == 1
    assert results["quick"] is True
    assert results["machine"]["cores"] >= 1
    printed = capsys.readouterr().out
    assert "portrait 200" in printed
    assert "33 frames of 128" in printed
