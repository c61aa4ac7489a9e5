import cv2
import numpy as np
import pytest
from strangers import LANDMARKS, SIDE, Fading, Halved, photographs
from tiny import tiny_checkpoint

from facemix.errors import CheckpointCorrupt, DatasetError
from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.sharp import LARGE, Photographs, View, carry_maker, measure_sharp, views
from facemix.evaluation.ways import Parents
from facemix.faces.align import Alignment
from facemix.faces.types import Face
from facemix.mixing.carry import Carry
from facemix.vae.geometry import GEOMETRY_FILE, GeometryNet, save_geometry
from facemix.vae.geometry import SIDE as GEOMETRY_SIDE

FEW = {"own": View(128), "textured": View(128, textured=True)}


class Sure:
    def detect(self, image):
        return [Face((0.0, 0.0, *image.shape[1::-1]), LANDMARKS.astype(np.float32), 0.9)]


class Points:
    """Embeds a face as its mean colour."""

    name = "mean colours"

    def embed(self, crops):
        return crops.mean((1, 2)) / 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strangers")
    return folder, photographs(folder, 6)


@pytest.fixture(scope="module")
def taken(folder):
    return Photographs(*folder)


class FirstAlone:
    def __init__(self, parents, fields):
        assert [field.shape for field in fields] == [(128, 128, 2)] * 2
        self._cuts = parents.cuts

    def frame(self, share):
        return self._cuts[0]

    def warped(self, share):
        return tuple(self._cuts)


def measured(taken, **options):
    return measure_sharp(
        Halved(), taken, Fading, Bootstrap(resamples=20), Sure(), crop_size=32, chosen=lambda *_: FEW, **options
    )


@pytest.fixture(scope="module")
def sharp(taken):
    return measured(taken, embedder=Points(), rivals={"first": FirstAlone})


def test_every_way_is_measured_in_every_view(sharp):
    assert (sharp.pairs, list(sharp.views)) == (3, ["own", "textured"])
    for name, view in sharp.views.items():
        assert list(view.ways) == ["carry", "vae", "cross-fade", "first"]
        assert list(view.margins) == ["vae", "cross-fade", "first"]
        assert (view.side, view.textured) == (128, name == "textured")
        for way, figures in view.ways.items():
            still = {one for one in figures if one.startswith("flicker")} if way == "first" else set()
            assert {figure.n for one, figure in figures.items() if one not in still} == {3}


def test_ways_that_are_one_have_one_figure(sharp):
    own = sharp.views["own"]
    assert own.ways["carry"] == own.ways["cross-fade"]
    assert {(margin.mean, margin.low, margin.high) for margin in own.margins["cross-fade"].values()} == {(0, 0, 0)}


def test_figures_tell_the_ways_apart(sharp):
    ways = sharp.views["own"].ways
    assert ways["cross-fade"]["sharpness"].mean == pytest.approx(0.5, abs=0.1)
    assert ways["first"]["sharpness"].mean == pytest.approx(1, abs=0.1)
    assert ways["vae"]["sharpness"].mean < 0.2
    assert ways["cross-fade"]["ghosts"].mean == pytest.approx(1)
    assert ways["first"]["ghosts"].mean == pytest.approx(0, abs=1e-3)
    # Points are means, so the cross-fade's middle is in the middle, and the first parent nowhere else.
    assert ways["cross-fade"]["identity_imbalance"].mean == pytest.approx(0, abs=0.01)
    assert ways["cross-fade"]["identity_monotone"].mean == 1
    assert ways["first"]["identity_imbalance"].mean > 0.05
    assert ways["first"]["identity_monotone"].mean == 0


def test_texture_is_known_and_of_the_photographs_alone(sharp):
    textured = sharp.views["textured"].ways
    assert textured["cross-fade"]["texture_kept"].mean == pytest.approx(0.5, abs=0.05)
    assert textured["first"]["texture_kept"].mean == pytest.approx(1, abs=0.05)
    assert textured["vae"]["texture_kept"].mean == 0
    assert "texture_kept" not in sharp.views["own"].ways["carry"]
    assert "identity_monotone" not in textured["carry"]


def test_without_an_embedder_the_rest_is_as_it_was(sharp, taken):
    bare = measured(taken).views["own"].ways["carry"]
    whole = sharp.views["own"].ways["carry"]
    assert bare == {name: figure for name, figure in whole.items() if not name.startswith("identity")}


def test_the_same_again_is_the_same(taken):
    assert measured(taken, pairs=1, seed=3) == measured(taken, pairs=1, seed=3)
    assert measured(taken, pairs=1, seed=3) != measured(taken, pairs=1, seed=4)


def test_what_is_about_to_be_measured_is_said(taken):
    said = []
    measured(taken, pairs=2, say=said.append)
    assert said == ["results at the photographs' size: 2 pairs; own (128 px), textured (128 px)"]


def test_the_photographs_own_side_is_that_of_the_faces_in_them(taken):
    assert taken.side(0) == pytest.approx(SIDE)
    found = views(taken, range(6))
    assert found == {"own": View(152), "large": View(LARGE), "textured": View(LARGE, textured=True)}


def test_a_cut_is_the_aligned_photograph(folder, taken):
    photograph = cv2.imread(str(folder[0] / "2.png"))[..., ::-1]
    for side in (64, SIDE):
        expected = Alignment.from_landmarks(LANDMARKS, side).crop(photograph)
        assert np.abs(taken.cut(2, side).astype(int) - expected).max() <= 1


def test_photographs_that_are_not_those_are_refused(folder, tmp_path):
    rows = folder[1]
    with pytest.raises(DatasetError, match=r"0\.png cannot be read") as refused:
        Photographs(tmp_path, rows).cut(0, 32)
    assert "facemix prepare" in refused.value.hint
    (tmp_path / "0.png").write_bytes((folder[0] / "1.png").read_bytes())
    with pytest.raises(DatasetError, match="not the photograph that was prepared"):
        Photographs(tmp_path, rows).cut(0, 32)
    with pytest.raises(DatasetError, match="does not say where the face"):
        Photographs(folder[0], [{"source": "0.png", "sha256": rows[0]["sha256"]}]).cut(0, 32)
    with pytest.raises(DatasetError, match="one photograph is too few"):
        measured(Photographs(folder[0], rows[:1]))


def test_a_carry_is_made_where_there_is_a_geometry(tmp_path, taken):
    folder = tiny_checkpoint(tmp_path / "checkpoint")
    assert carry_maker(folder) is None
    save_geometry(folder, GeometryNet(), {})
    make = carry_maker(folder)
    crops, cuts = (np.stack([taken.cut(index, side) for index in (0, 1)]) for side in (GEOMETRY_SIDE, 160))
    carry = make(Parents(cuts, crops, crops))
    assert isinstance(carry, Carry)
    assert np.array_equal(carry.frame(crops[0], (1.0, 0.0)), cuts[0])
    assert np.array_equal(carry.frame(crops[1], (0.0, 1.0)), cuts[1])
    assert [field.shape for field in carry.fields((0.5, 0.5))] == [(160, 160, 2)] * 2
    (folder / GEOMETRY_FILE).write_bytes(b"no geometry")
    with pytest.raises(CheckpointCorrupt):
        carry_maker(folder)
