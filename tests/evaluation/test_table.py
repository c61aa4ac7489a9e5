import dataclasses

import pytest

from facemix.evaluation.evaluate import Options, evaluate
from facemix.evaluation.results import Figure
from facemix.evaluation.table import markdown, text


@pytest.fixture(scope="module")
def results(checkpoint, data):
    return evaluate(checkpoint, data, Options(resamples=20))


def test_markdown_has_a_column_for_every_subject(results):
    lines = markdown(results).splitlines()
    assert lines[0] == "|  | tiny | pca-8 | cross-fade |"
    assert lines[1] == "|---|---|---|---|"
    assert {line.count("|") for line in lines} == {5}
    assert markdown(results).endswith("|\n")


def test_a_figure_stands_with_its_interval(results):
    figure = results.subjects["tiny"].reconstruction["psnr"]
    (line,) = [line for line in markdown(results).splitlines() if "PSNR" in line]
    assert f"| {figure.mean:.2f} [{figure.low:.2f}, {figure.high:.2f}] |" in line
    assert line.endswith("| – |")  # a cross-fade reconstructs nothing


def test_a_line_that_nobody_has_is_left_out(results):
    assert "worst to best" not in markdown(results)  # ten faces: no group is large enough
    assert "wrinkle band kept, 60 and over" in markdown(results)
    unmeasured = Figure(mean=None, low=None, high=None, n=0)
    subjects = {
        name: subject.model_copy(update={"wrinkles": {"60_and_over": unmeasured}})
        for name, subject in results.subjects.items()
    }
    assert "wrinkle" not in markdown(results.model_copy(update={"subjects": subjects}))


def test_text_has_aligned_columns_and_the_groups(results):
    shown = text(results)
    assert "test split: 10 faces, 5 mid-points" in shown
    table = shown.split("\n\n")[1].splitlines()
    start = table[0].index("pca-8")
    assert all(line[start - 1 : start] in (" ", "") for line in table)
    assert "tiny by gender" in shown
    assert "pca-8 by age" in shown


def test_a_limited_run_says_so(checkpoint, data):
    options = dataclasses.replace(Options(resamples=20), limit=4, baselines=False)
    assert "4 of 10 faces" in text(evaluate(checkpoint, data, options))
