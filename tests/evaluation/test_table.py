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


def test_the_photographs_own_figures_stand_beside_the_words(results):
    floor = results.reference["swd"].mean
    assert f"| samples: SWD (training faces: {floor:.1f}) | " in markdown(results)
    assert "samples: SWD |" in markdown(results.model_copy(update={"reference": {}}))


def test_a_figure_without_an_interval_stands_alone(results):
    (line,) = [line for line in markdown(results).splitlines() if "samples: SWD" in line]
    assert f"| {results.subjects['tiny'].samples['swd'].mean:.1f} |" in line


def test_text_says_whom_the_gates_refused_and_how_long_a_face_takes(results):
    assert "refused by `facemix prepare`: 0 of 36 faces (1 image_empty)" in text(results)
    assert "refused by gender" in text(results)
    assert "tiny: milliseconds per encode and decode: CPU" in text(results)
    timing = {"per_face": {"tiny": dict.fromkeys(("encode_ms", "decode_ms", "gpu_encode_ms", "gpu_decode_ms"), 1.5)}}
    assert "GPU 1.5 and 1.5" in text(results.model_copy(update={"timing": timing}))


def test_a_file_of_the_first_schema_is_shown_without_what_it_lacks(results):
    bare = results.model_copy(update={"gates": None, "reference": {}, "timing": {}})
    assert "refused" not in text(bare)
    assert "milliseconds" not in text(bare)


def test_a_limited_run_says_so(checkpoint, data):
    options = dataclasses.replace(Options(resamples=20), limit=4, baselines=False)
    assert "4 of 10 faces" in text(evaluate(checkpoint, data, options))
