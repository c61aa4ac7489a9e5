import sys

import cv2
import numpy as np
import pytest
import torch
from prepared import smooth_crops

from benchmarks import sharp, sharp_sheets
from benchmarks.record import RESULTS
from facemix.resources import resource_dir
from facemix.training.dataset import FaceSet
from facemix.vae.checkpoint import newest_checkpoint

FIGURE = {"mean": 0.95, "low": 0.9, "high": 1.0, "n": 3}
FOUND = {
    "model": "tiny@0123",
    "data": {"name": "faces", "split": "test", "faces": 6, "seed": 0},
    "sharp": {
        "pairs": 3,
        "views": {
            "own": {"side": 200, "textured": False, "ways": {"carry": {"sharpness": FIGURE}}, "margins": {}},
        },
    },
}


def test_the_page_is_what_the_file_gives():
    page = sharp.PAGE.read_text()
    assert page == sharp.written(page, RESULTS), "run `python -m benchmarks.sharp`"


def test_without_a_file_the_page_says_so_and_the_rest_stays(tmp_path):
    page = sharp.PAGE.read_text()
    bare = sharp.written(page, tmp_path)
    assert "\nNot measured.\n" in bare
    assert sharp.written(bare, RESULTS) == page
    with pytest.raises(ValueError, match="no place"):
        sharp.written(page.replace("<!-- sharp -->", ""), RESULTS)


def test_tables_say_where_their_figures_come_from():
    said = sharp.text(FOUND)
    assert said.startswith("`tiny@0123`, the test split of faces")
    assert "| sharpness over the photographs' | 0.95 [0.90, 1.00] |" in said


@pytest.mark.parametrize("file", ["docs/pictures/people.png", "people.png", "docs/../benchmarks/people.png"])
def test_photographs_of_people_stay_out_of_the_repository(file, tmp_path):
    with pytest.raises(SystemExit, match="photographs of people"):
        sharp.check_outside(sharp.ROOT / file)
    sharp.check_outside(tmp_path / "people.png")


@pytest.mark.parametrize("name", ["--sheet", "--failures-sheet"])
def test_a_sheet_with_photographs_is_refused_before_any_work(name, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sharp", "data", "--photos", "photos", name, str(sharp.ROOT / "docs/people.png")])
    with pytest.raises(SystemExit, match="photographs of people"):
        sharp.main()


@pytest.mark.parametrize("words", [["data"], ["--failures", "x.png"], ["data", "--sheet", "/tmp/x.png"]])
def test_photographs_have_to_be_named(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sharp", *words])
    with pytest.raises(SystemExit):
        sharp.main()
    assert "name the data set and, with --photos" in capsys.readouterr().err


@pytest.fixture
def middle():
    pictures = smooth_crops(8, 64)
    ways = dict(zip(sharp_sheets.WAYS, pictures[4:], strict=True))
    confidence = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(64, 0)
    return sharp_sheets.Middle(pictures[:2], pictures[2:4], ways, confidence)


def shows(sheet, picture):
    return cv2.matchTemplate(sheet, picture, cv2.TM_SQDIFF).min() < 4 * picture.size


def test_what_the_model_draws_is_shown_without_the_photographs(middle):
    sheet = sharp_sheets.failures([("hard", middle)], photographed=False)
    # A mix with detail shows their skin, too.
    photographs = [*middle.ends, *(middle.ways[way] for way in ("cross-fade", "morph", "facemix"))]
    assert not any(shows(sheet, one) for one in photographs)
    assert all(shows(sheet, one) for one in (*middle.reconstructions, middle.ways["VAE alone"]))


def test_the_whole_sheet_shows_parents_and_every_way(middle):
    sheet = sharp_sheets.with_parents([middle, middle])
    assert all(shows(sheet, one) for one in (*middle.ends, *middle.ways.values()))
    assert all(shows(sharp_sheets.failures([("hard", middle)], photographed=True), one) for one in middle.ends)


def test_confidence_is_seen_as_colour():
    picture = np.full((64, 64, 3), 128, np.uint8)
    trusted, not_trusted = (sharp_sheets.heat(picture, np.full((8, 8), level)) for level in (1.0, 0.0))
    assert trusted[0, 0].tolist() > [180, 0, 0]
    assert trusted[0, 0, 2] < 100 < trusted[0, 0, 0]  # yellow
    assert not_trusted[0, 0, 2] > not_trusted[0, 0, 1]  # dark blue


@pytest.fixture(scope="module")
def studio():
    return sharp_sheets.Studio(newest_checkpoint(resource_dir("checkpoints")))


def test_hard_pairs_are_the_extremes_of_the_sharper_half_and_show_nobody_twice():
    count = 32
    rows = tuple({"quality": {"yaw": number / count, "sharpness": number % 2}} for number in range(count))
    faces = FaceSet(torch.from_numpy(smooth_crops(count, 128)), rows)
    found = sharp_sheets.hard_pairs(faces)
    kinds = ["profile and frontal", "open and closed mouth", "glasses in one"]
    assert [name for name, _ in found] == [kind for kind in kinds for _ in range(sharp_sheets.PER_KIND)]
    shown = [index for _, pair in found for index in pair]
    assert len(set(shown)) == len(shown)
    # Even ones are blurred.
    assert found[0][1] == (31, 1)
    assert found[1][1] == (29, 3)
    assert all(index % 2 for index in shown)


def test_a_photograph_of_nobody_is_mixed_with_a_sample(studio):
    crop = smooth_crops(1, studio.crop_size)[0]
    person = studio.person(crop, cv2.resize(crop, (160, 160)))
    middle = studio.middle(person, studio.sample(3), 160)
    assert np.array_equal(middle.ends[0], person.cut)
    assert list(middle.ways) == list(sharp_sheets.WAYS)
    assert {picture.shape for picture in (*middle.ends, *middle.ways.values())} == {(160, 160, 3)}
    assert 0 <= middle.confidence.min() <= middle.confidence.max() <= 1 + 1e-6
