"""docs/performance.md says what the JSON files say."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks import performance
from benchmarks.aims import aims
from benchmarks.engines import OURS
from benchmarks.record import RESULTS

MACHINE = {"cpu": "processor X", "cores": 2, "gpu": None, "torch": "2", "commit": "abc", "date": "2026-01-02T03:04:05"}
TURN = {"p50_ms": 41.0, "p95_ms": 50.0, "p99_ms": 60.0, "refused": 0, "failed": 0, "memory_mib": 700.0}


def serve_rows(share):
    rows = [
        {"clients": clients, "throughput": 40 * share, "over_limit": share, **TURN} for clients in (1, 4, 16, 32, 64)
    ]
    rows[0] |= {"alone_ms": 40.5, "over_alone_ms": 0.5}
    return rows


def overload(seconds):
    return {
        "seconds": seconds,
        "ramp_seconds": 5.0,
        "rate": 80.0,
        "sent_rate": 79.0,
        "goodput": 39.0,
        "accepted_p50_seconds": 2.0,
        "accepted_p99_seconds": 2.5,
        "refused_p50_ms": 1.5,
        "refused_p99_ms": 9.0,
        "refused_with_connecting_p50_ms": 1.75,
        "statuses": {"200": 780, "503": 800},
        "refused_without_retry_after": 0,
        "not_sent": 0,
        "generator_cores": 0.03,
        "server_cores": 1.9,
        "memory_mib": 700.0,
        "memory_peak_mib": 710.0,
        "memory_growth_mib": 1.0,
        "memory_mib_by_time": [[0.0, 700.0]],
        "limit": 40.0,
        "goodput_over_limit": 0.975,
        "bound_seconds": 2.9,
    }


def serve():
    engines = {
        OURS: {"left_out": None, "turns": 3, "rows": serve_rows(0.97)},
        "thread pool": {"left_out": None, "turns": 1, "rows": serve_rows(0.8)},
        "LitServe": {"left_out": "not installed", "turns": 0, "rows": []},
    }
    left = {"clients": 32, "leave_after_seconds": 0.05, "rounds": 4, "left": 128, "frames_computed": 3}
    left |= {
        "batches_after": 1,
        "frames_after": 3,
        "cpu_seconds_after": 0.1,
        "next_request": 200,
        "next_request_ms": 50.0,
    }
    return {
        "machine": MACHINE,
        "quick": False,
        "about": {"backend": "torch bf16", "max_batch": 16},
        "start": {"ready_seconds": [3.0, 4.0, 5.0], "idle_cores": [0.01], "idle_memory_mib": [500.0]},
        "limit": {"way": "phased", "phased": 40.0, "overlapped": 38.0},
        "engines": engines,
        "caches": {name: {"clients": 32, "throughput": 400.0, "over_limit": 0.96} for name in ("repeated", "off")},
        "generator_cores": 0.02,
        "leaving": [left],
        "overload": overload(20.0),
        "stop": {
            "clients": 16,
            "inside": 16,
            "inside_answered": 16,
            "inside_lost": 0,
            "exit_status": 0,
            "seconds_from_signal": 1.0,
            "seconds_from_last_answer": 0.5,
        },
    }


def scrub():
    moving = {"frames": 1000, "median_ms": 16.7, "p95_ms": 16.7, "longest_ms": 33.3, "in_time": 0.995}
    first = {"median_ms": 400.0, "p95_ms": 450.0, "longest_ms": 460.0, "all_ms": [400.0]}
    return {
        "machine": MACHINE,
        "quick": False,
        "browser": "Chromium 1",
        "photo_side": 512,
        "repetitions": 12,
        "first_blend": first,
        "dragging": moving | {"moved_frames": 900},
        "resting": moving,
    }


def scale():
    cost = {
        "ms": 40.0,
        "look_ms": 30.0,
        "encode_ms": 4.0,
        "decode_ms": 5.0,
        "device_seconds": 0.009,
        "cpu_seconds": 0.08,
    }
    replicas = {"engine": "one process", "clients": 32, "throughput": 39.0, "over_limit": 0.95, "p50_ms": 800.0}
    absent = {"engine": "Ray Serve, 1 replica", "replicas": 1, "clients": 32, "left_out": "not there"}
    return {
        "machine": MACHINE,
        "quick": False,
        "backend": "torch bf16",
        "photo": [{"side": side, "file_bytes": 20480, **cost} for side in (256, 512)],
        "strip": [{"frames": 33, **cost}],
        "parents": [{"parents": 2, **cost}],
        "replicas": [replicas | {"replicas": 1, "left_out": None, "ready_seconds": 3.5}, absent],
    }


def model():
    rates = {"torch bf16": 100.0, "openvino bf16": 250.0}
    rows = [
        {"backend": name, "batch": batch, "part": part, "images_per_second": rate * batch, "of_best": rate / 250}
        | {"p50_ms": 1000 / rate, "p99_ms": 1500 / rate}
        for name, rate in rates.items()
        for batch in (1, 16)
        for part in ("encode", "decode", "both")
    ]
    # As older files have it: without the commit and the date.
    machine = {"cpu": "processor X", "cores": 2, "torch": "2"}
    return {
        "machine": machine,
        "checkpoint": "tiny@0123456789ab",
        "threads": 2,
        "backends": {name: {"peak_mib": 500} for name in rates},
        "missing": {"torch fp32 cuda": "torch sees no GPU"},
        "rows": rows,
    }


def detail():
    mix = {"with_least_ms": 30.0, "with_cpu_ms": 28.0, "without_ms": 20.0, "without_least_ms": 15.0}
    mix |= {"without_cpu_ms": 10.0, "cpu_ratio": 2.8}
    spent = {
        f"{what}_{kind}_{clock}": 7.5
        for what in ("first", "again", "strip")
        for kind in ("with", "without")
        for clock in ("ms", "cpu_ms")
    }
    carried = {"side": 512, "make_ms": 4.0, "make_cpu_ms": 4.0, "frame_cpu_ms": 21.0, "differs_mean": 0.0}
    none = dict.fromkeys(("make_ms", "make_cpu_ms", "frame_ms", "frame_cpu_ms", "ratio", "differs_mean"))
    return {
        "machine": MACHINE | {"load_before": 0.25},
        "quick": False,
        "repeats": 9,
        "photo_side": 3000,
        "photo_bytes": 900_000,
        "side": 512,
        "strip": 33,
        "about": {"backend": "openvino bf16", "device": "cpu", "model": "tiny"},
        "mixes": [
            {"mix": name, "frames": frames, "with_ms": ms, **mix}
            for name, frames, ms in (("first", 1, 240.0), ("again", 1, 36.0), ("strip", 33, 35.0))
        ],
        "stages": [{"stage": "carry", **spent}],
        "carry": [
            carried | {"way": "OpenCV, processor", "frame_ms": 20.5, "ratio": 1.0, "differs_most": 0},
            {"side": 512, "way": "torch, GPU", "differs_most": None, **none},
        ],
    }


def detail_on_gpu():
    found = detail() | {"machine": MACHINE | {"gpu": "GPU Y", "load_before": 0.0}}
    found["carry"][1] |= {"make_ms": 6.0, "frame_ms": 3.25, "frame_cpu_ms": 3.0, "ratio": 0.2, "differs_most": 2}
    return found


@pytest.fixture
def folder(tmp_path):
    """Results of everything that this page knows how to judge."""
    for name, content in (("serve", serve()), ("scrub", scrub()), ("scale", scale())):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "detail.json").write_text(json.dumps(detail()))
    (tmp_path / "overload.json").write_text(json.dumps({"machine": MACHINE, "overload": overload(600.0)}))
    return tmp_path


def edit(folder, file, place, value):
    """Sets what lies at a place, which is written as its keys in a row, _ for a space in the name of an engine."""
    path = folder / f"{file}.json"
    content = part = json.loads(path.read_text())
    *keys, last = place.split()
    for key in keys:
        part = part[int(key)] if isinstance(part, list) else part[key if key in part else key.replace("_", " ")]
    part[last] = value
    path.write_text(json.dumps(content))


def verdicts(folder) -> dict[str, bool | None]:
    return {one["words"]: one["reached"] for one in aims(performance.read(folder))}


def verdict(folder, start: str) -> bool | None:
    (found,) = [reached for words, reached in verdicts(folder).items() if words.startswith(start)]
    return found


@pytest.mark.parametrize("page", performance.PAGES)
def test_the_written_pages_are_those_of_the_files(page):
    written = (performance.DOCS / page).read_text()
    assert written == performance.render(RESULTS, page), "run `python -m benchmarks.performance`"


def test_all_is_reached_where_all_is_well(folder):
    found = verdicts(folder)
    assert len(found) == 17
    (unknown,) = (words for words, reached in found.items() if reached is None)
    assert unknown.endswith("on a GPU, 512 px")
    assert False not in found.values()


def test_without_figures_nothing_is_reached_and_the_page_says_so(tmp_path):
    assert set(verdicts(tmp_path).values()) == {None}
    text = performance.render(tmp_path)
    assert text.count("| not measured |") == 17
    for name in performance.PROGRAMS:
        assert f"`{name}.json`" in text


OVER = "open loop at twice the capacity, 600 s: "


@pytest.mark.parametrize(
    ("file", "place", "value", "aim"),
    [
        ("serve", "engines facemix rows 3 over_limit", 0.94, "throughput over the limit, clients = 2 x batch"),
        ("serve", "engines facemix rows 2 over_limit", 0.89, "throughput over the limit, clients = batch"),
        ("serve", "engines thread_pool rows 2 over_limit", 0.98, "throughput over every other"),
        ("serve", "engines facemix rows 0 over_alone_ms", 1.1, "one client"),
        ("overload", "overload goodput_over_limit", 0.9, OVER + "goodput"),
        ("overload", "overload accepted_p99_seconds", 3.0, OVER + "p99"),
        ("overload", "overload statuses 500", 1, OVER + "answers"),
        ("overload", "overload refused_without_retry_after", 1, OVER + "answers"),
        ("overload", "overload memory_growth_mib", 30.0, OVER + "memory"),
        ("overload", "overload refused_p50_ms", 2.5, "p50 of a refusal"),
        ("serve", "leaving 0 batches_after", 2, "work done for clients"),
        ("serve", "start idle_cores", [0.05], "idle"),
        ("serve", "start ready_seconds", [7.0], "start to ready"),
        ("scrub", "first_blend median_ms", 1001.0, "second upload"),
        ("scrub", "dragging in_time", 0.9, "dragging"),
        ("detail", "mixes 0 with_ms", 251.0, "two new photographs"),
        ("detail", "mixes 2 with_ms", 41.0, "each further frame"),
    ],
)
def test_an_aim_that_is_missed_is_said_to_be_missed(folder, file, place, value, aim):
    edit(folder, file, place, value)
    assert verdict(folder, aim) is False
    assert "| **no** |" in performance.render(folder)


def test_memory_is_not_flat_before_ten_minutes(folder):
    (folder / "overload.json").unlink()
    assert verdict(folder, "open loop at twice the capacity, 20 s: memory") is None
    assert "not measured: the run took 20 s" in performance.render(folder)


def test_the_figures_stand_on_the_page(folder):
    text = performance.render(folder)
    for words in (
        "| facemix | 32 | 38.8 | 0.97 | 41 | 50 | 60 | 0 | 0 | 700 |",
        "LitServe was left out: not installed.",
        "Ray Serve, 1 replica was left out: not there.",
        "thread pool: 1.21",
        "| 33 | 40.0 | 1.2 | 5.0 | 9.0 | 80.0 |",
        "| answers: 503 | 800 |",
        "400 ms in the median",
        "240 ms, least 30 ms (28 ms of the processors, load 0.2 before)",
        "| each frame of a strip of 33 | 35.0 (30.0) | 28.0 | 20.0 (15.0) | 10.0 | 2.80 |",
        "| 512 | torch, GPU | – | – | – | – | – | – |",
    ):
        assert words in text, words
    assert not re.search(r"\n{3,}|None|nan|Undefined", text)


def test_a_table_is_never_cut_by_an_empty_line(folder):
    lines = performance.render(folder).splitlines()
    for number, line in enumerate(lines):
        if set(line) <= set("|-:") and line.startswith("|-"):
            assert lines[number - 1].startswith("|")
            assert lines[number - 1].count("|") == line.count("|")
            if number + 1 < len(lines) and lines[number + 1].startswith("|"):
                assert lines[number + 1].count("|") == line.count("|")


def test_a_quick_form_is_no_result(folder):
    edit(folder, "scrub", "quick", True)
    with pytest.raises(SystemExit, match="quick"):
        performance.render(folder)


def test_a_gpu_has_a_part_of_its_own(folder):
    assert "## On a GPU" not in performance.render(folder)
    (folder / "gpu").mkdir()
    (folder / "gpu/scale.json").write_text(
        json.dumps(scale() | {"machine": MACHINE | {"gpu": "GPU Y"}, "replicas": []})
    )
    text = performance.render(folder)
    assert "processor X, GPU Y" in text
    assert text.index("## On a GPU") < text.index("| 256 |", text.index("## On a GPU"))


def test_detail_on_a_gpu_is_judged_by_what_was_measured_there(folder):
    (folder / "gpu").mkdir()
    (folder / "gpu/detail.json").write_text(json.dumps(detail_on_gpu()))
    text = performance.render(folder)
    assert "| carrying the detail of a frame on a GPU, 512 px | < 10 ms | 3.2 ms | yes |" in text
    assert text.index("## On a GPU") < text.index("| 512 | torch, GPU | 6.0 | 3.2 | 3.0 | 0.20 |")


def test_the_model_has_a_table_of_rates_and_one_of_times(folder):
    (folder / "model.json").write_text(json.dumps(model()))
    text = performance.render(folder)
    for words in (
        "| `model.json` | processor X | 2 | 2 | – | – |",
        "| openvino bf16 | 250 (1.00) | 4,000 (1.00) | 500 |",
        "| torch bf16 | 10.0 / 15.0 | 10.0 / 15.0 |",
        "torch fp32 cuda was left out: torch sees no GPU.",
    ):
        assert words in text, words
    test_a_table_is_never_cut_by_an_empty_line(folder)


def test_the_spread_of_several_turns_is_shown(folder):
    edit(folder, "serve", "engines facemix rows 3 over_limit_by_turn", [0.97, 0.9, 0.99])
    assert "| facemix | 32 | 38.8 | 0.97 (0.90 to 0.99) |" in performance.render(folder)


def test_the_page_about_growth_stands_without_figures(tmp_path):
    bare = performance.render(tmp_path, "scaling.md")
    assert "have not been measured yet" in bare
    assert "no machine with one was at hand" in bare
    assert "| a faster model; chosen by itself" in bare


def test_the_page_about_growth_says_what_the_figures_say(folder):
    (folder / "model.json").write_text(json.dumps(model()))
    text = performance.render(folder, "scaling.md")
    for words in (
        "| processor time of one mix, without HTTP and the file | 80 ms |",
        "a million\nmixes cost 0.89.",
        "takes 30.0 of the 40.0 ms of a mix",
        "so 3 such cores carry the peak, and 4 carry it at\n70 % load",
        "2.5 times as fast in batches of 1 and 2.5 times as fast in batches of 16",
        "No other engine that was measured was faster",
        "| one process | 39.0 | 0.95 | 800 | 3.5 |",
    ):
        assert words in text, words
    assert "Ray Serve, 1 replica |" not in text
    assert not re.search(r"\n{3,}|None|nan|Undefined", text)


def test_a_faster_rival_is_named_on_both_pages(folder):
    edit(folder, "serve", "engines thread_pool rows 2 over_limit", 0.98)
    edit(folder, "serve", "engines thread_pool rows 3 over_limit", 1.067)
    words = "thread pool with 16 and 32 clients (up to 1.10 times)"
    assert words in performance.render(folder)
    assert words in performance.render(folder, "scaling.md")
