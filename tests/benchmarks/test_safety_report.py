import pytest

from benchmarks import safety_report
from benchmarks.safety_report import PAGE, filled, tables
from facemix.evaluation.results import read_results
from facemix.faces.embedder import SAME_PERSON
from facemix.resources import resource_dir
from facemix.vae.checkpoint import newest_checkpoint


def test_the_page_says_what_the_results_say():
    page = PAGE.read_text()
    assert filled(page, tables()) == page, "run `python -m benchmarks.safety_report --write`"


def test_a_page_without_a_place_for_a_table_is_refused():
    with pytest.raises(ValueError, match="no place for the table 'guard'"):
        filled("<!-- guard -->\n", {"guard": "a table\n"})
    assert filled("a\n<!-- x -->\nold\n<!-- /x -->\nb", {"x": "new\n"}) == "a\n<!-- x -->\nnew\n<!-- /x -->\nb"


def test_morphing_is_stated_with_its_threshold():
    results = read_results(newest_checkpoint(resource_dir("checkpoints")) / "results.json")
    figure = results.subjects[results.model].midpoints["identity_both"]
    text = safety_report.morphing_table()
    assert f"morphing: mid-points taken for both parents (below {SAME_PERSON:g} from each)" in text
    assert f"| {results.model} | {100 * figure.mean:.1f} [" in text
