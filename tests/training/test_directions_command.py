import json
import sys

import numpy as np
import pytest
from prepared import prepared_set
from tiny import TINY, tiny_checkpoint

from facemix import cli
from facemix.training.directions import Options, fit_directions
from facemix.vae.checkpoint import read_card
from facemix.vae.directions import load_directions


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepared_set(tmp_path_factory.mktemp("directions") / "data", train=160, validation=40)


@pytest.fixture
def checkpoint(tmp_path):
    return tiny_checkpoint(tmp_path / "tiny")


@pytest.fixture
def run(monkeypatch, capsys):
    monkeypatch.setattr("facemix.faces.embedder.load_embedder", lambda: None)

    def invoke(*arguments):
        monkeypatch.setattr(sys, "argv", ["facemix", "directions", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return stopped.value.code, said.out, said.err

    return invoke


def test_the_whole_command(run, checkpoint, data):
    status, out, err = run(checkpoint, data, "--faces", 6)
    assert status == 0, err
    assert "brightness" in out
    assert "age: no direction, it is known of 0 faces" in out
    assert "smile: no direction" in out  # the set has no landmarks
    assert "facemix[identity]" in err
    found = load_directions(checkpoint, read_card(checkpoint))
    assert "brightness" in found.names
    np.testing.assert_allclose(found.directions.norm(dim=1), 1, atol=1e-6)
    brightness = found.card.attributes[found.names.index("brightness")]
    assert brightness.faces == 160
    assert brightness.r2 > 0.2
    assert brightness.effect.picture is not None
    assert set(brightness.side_effects) == set(found.names) - {"brightness"}
    assert brightness.identity is None
    assert found.card.fitting["effects_measured_on"] == 6


def test_the_same_seed_writes_the_same_files(run, checkpoint, data, tmp_path):
    for name in ("a", "b", "c"):
        seed = 1 if name == "c" else 0
        status, _, err = run(
            checkpoint, data, "--out", tmp_path / name, "--limit", 60, "--faces", 4, "--min-r2", 0, "--seed", seed
        )
        assert status == 0, err
    a, b, c = (
        [(tmp_path / name / file).read_bytes() for file in ("attributes.json", "attributes.safetensors")]
        for name in ("a", "b", "c")
    )
    assert a == b
    assert a[1] != c[1]
    assert json.loads(a[0])["fitting"]["photographs"] == 60
    assert not (checkpoint / "attributes.json").exists()


def test_the_embedder_says_how_far_a_step_moves_a_person(checkpoint, data):
    options = Options(faces=3)
    flat = fit_directions(checkpoint, data, options, embed=lambda crops: np.zeros((len(crops), 2)))
    assert [attribute.identity for attribute in flat.card.attributes] == [0.0] * len(flat.names)
    seen = fit_directions(checkpoint, data, options, embed=lambda crops: crops.mean((1, 2)))
    assert all(attribute.identity > 0 for attribute in seen.card.attributes)


def test_of_a_latent_of_two_levels_the_coarse_one_is_moved(data, tmp_path):
    config = TINY.model_copy(update={"coarse_size": 6})
    found = fit_directions(tiny_checkpoint(tmp_path / "two", config=config), data, Options(faces=2, min_r2=-1))
    assert found.directions.shape[1] == TINY.latent_size
    assert not found.directions[:, 6:].any()
    assert found.directions[:, :6].any(dim=1).all()


def test_progress_ends_where_it_said(checkpoint, data):
    seen = []
    fit_directions(checkpoint, data, Options(faces=3), on_progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    assert len({total for _, total in seen}) <= 2  # known better once it is known which attributes are kept


@pytest.mark.parametrize(
    ("arguments", "expected", "said"),
    [
        (["--limit", "1"], 2, "--limit"),
        (["--min-r2", "1"], 7, "its probe has R2"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(run, checkpoint, data, arguments, expected, said):
    status, out, err = run(checkpoint, data, "--faces", 2, *arguments)
    assert (status, out) == (expected, "")
    assert said in err
    assert "attributes.json" not in [path.name for path in checkpoint.iterdir()]


def test_a_model_of_another_size(run, data, tmp_path):
    larger = tiny_checkpoint(tmp_path / "larger", config=TINY.model_copy(update={"crop_size": 64}))
    status, _, err = run(larger, data)
    assert status == 7
    assert "the model tiny takes 64" in err


def test_no_model_no_data_and_a_file_for_a_folder(run, checkpoint, data, tmp_path):
    assert run(tmp_path / "nothing", data)[0] == 5
    assert run(checkpoint, tmp_path)[0] == 7
    (tmp_path / "file").touch()
    status, _, err = run(checkpoint, data, "--out", tmp_path / "file")
    assert status == 2
    assert "not a folder" in err
