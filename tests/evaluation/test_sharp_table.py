import pytest

from facemix.evaluation.results import Figure, Sharp, SharpView
from facemix.evaluation.sharp_table import lines, markdown


def figure(mean):
    return Figure(mean=mean, low=mean - 0.1, high=mean + 0.1, n=4)


@pytest.fixture
def sharp():
    ways = {
        "carry": {"sharpness": figure(0.95), "ghosts": figure(0.45)},
        "morph": {"sharpness": figure(0.52), "ghosts": Figure(mean=None, low=None, high=None, n=0)},
    }
    view = SharpView(side=200, textured=False, ways=ways, margins={})
    return Sharp(pairs=4, views={"own": view, "other": view})


def test_a_table_for_every_view_under_its_title(sharp):
    page = markdown(sharp)
    assert "**At the photographs' own size (200 pixels; 4 pairs)**" in page
    assert "**other (200 pixels; 4 pairs)**" in page
    assert page.count("|  | carry | morph |\n|---|---|---|\n") == 2
    assert page.endswith("|\n")


def test_figures_stand_with_their_intervals_and_nothing_stands_for_what_is_not_measured(sharp):
    assert lines(sharp.views["own"]) == [
        ["", "carry", "morph"],
        ["sharpness over the photographs'", "0.95 [0.85, 1.05]", "0.52 [0.42, 0.62]"],
        ["ghosts, 1 is a cross-fade", "0.45 [0.35, 0.55]", "–"],
    ]
