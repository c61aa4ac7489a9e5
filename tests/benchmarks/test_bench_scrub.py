import os

import pytest

from benchmarks import bench_scrub


def test_frames_are_in_time_or_late():
    found = bench_scrub.frames([16.6, 16.7, 17.0, 33.3])
    assert found["frames"] == 4
    assert found["in_time"] == 0.75
    assert (found["median_ms"], found["longest_ms"]) == (16.7, 33.3)
    assert bench_scrub.frames([])["in_time"] is None


def test_repetitions_are_summed_up():
    visits = [
        {"first_blend_ms": blend, "dragging": [16.7] * 3, "resting": [16.7], "moved": 2}
        for blend in (300.0, 500.0, 400.0)
    ]
    found = bench_scrub.summary(visits)
    assert found["first_blend"] == {
        "median_ms": 400.0,
        "p95_ms": 500.0,
        "longest_ms": 500.0,
        "all_ms": [300.0, 400.0, 500.0],
    }
    assert (found["dragging"]["frames"], found["dragging"]["moved_frames"], found["resting"]["frames"]) == (9, 6, 3)


@pytest.mark.slow
@pytest.mark.browser
def test_a_visit_sees_the_first_blend_and_the_frames(bench_server, tmp_path):
    executable = bench_scrub.browser_path()
    if executable is None:
        absent = f"none of {', '.join(bench_scrub.BROWSERS)} is installed"
        if os.environ.get("FACEMIX_TEST_BROWSER") == "required":
            pytest.fail(absent)
        pytest.skip(absent)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(bench_scrub.QUIET))
        found = bench_scrub.visit(browser, f"http://127.0.0.1:{bench_server.port}/", tmp_path, 1.0)
        browser.close()
    assert found["first_blend_ms"] > 0
    assert found["dragging"]
    assert found["moved"] > 0
