import json
import re
import shutil

import numpy as np
import pytest
from prepared import prepared_set

from facemix.training import geometry_config as configuration
from facemix.training.geometry import STATE_FILE
from facemix.vae.geometry import GEOMETRY_FILE, SIDE, load_geometry

ONE_LINE = re.compile(r"facemix: [^\n]+ \(hint: [^\n]+\)\n")


class FourPoints:
    def landmarks(self, crop):
        return len(crop) * np.array([[0.78, 0.3], [0.62, 0.31], [0.22, 0.3], [0.38, 0.31], [0.5, 0.6]])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepared_set(tmp_path_factory.mktemp("geometry") / "data", train=16, size=SIDE, landmarks=True)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    resolve = configuration.geometry_config
    fields = {"batch_size": 4, "components": 2, "subspace_faces": 8, "subspace_early": ()}
    monkeypatch.setattr(configuration, "geometry_config", lambda **changes: resolve(**fields, **changes))
    monkeypatch.setattr("facemix.faces.embedder.load_embedder", lambda: None)


def test_the_whole_command_with_an_interruption(run, monkeypatch, checkpoint, data, tmp_path):
    monkeypatch.setattr("facemix.faces.embedder.load_embedder", FourPoints)
    before, out = sorted(checkpoint.iterdir()), tmp_path / "made" / "here"
    arguments = ["geometry", data, checkpoint, "--out", out, "--steps", 2, "--limit", 10, "--pairs", 2]
    status, said, err = run(*arguments, "--time-limit", 0)
    assert status == 0, err
    assert f"the same command goes on in {out}" in said
    assert load_geometry(out) is None
    status, said, err = run(*arguments)
    assert status == 0, err
    assert "resumed at step 1" in said
    assert "no warp" in said
    assert f"{out / GEOMETRY_FILE}: " in said
    assert [path.name for path in out.iterdir()] == [GEOMETRY_FILE]
    assert sorted(checkpoint.iterdir()) == before
    facts = load_geometry(out).facts
    summary = json.loads((data / "dataset.json").read_text())
    assert (facts["data"], facts["manifest_sha256"]) == (summary["name"], summary["manifest_sha256"])
    assert (facts["faces"], facts["steps"]) == (10, 2)
    assert facts["landmarks_carried"]["shapes"]["mean"]["n"] == 2


def test_a_finer_fit_begins_beside_the_checkpoint_and_goes_on(run, checkpoint, data, tmp_path):
    coarse, fine = tmp_path / "coarse", tmp_path / "fine"
    shutil.copytree(checkpoint, coarse)
    arguments = ["geometry", data, coarse, "--limit", 10, "--finer", "--out", fine]
    status, said, err = run(*arguments, "--steps", 2)
    assert (status, said) == (5, "")
    assert ONE_LINE.fullmatch(err)
    assert f"no {GEOMETRY_FILE}" in err
    assert not fine.exists()
    assert run("geometry", data, coarse, "--limit", 10, "--steps", 3)[0] == 0
    first = load_geometry(coarse)
    assert run(*arguments, "--steps", 2, "--time-limit", 0)[0] == 0
    status, said, err = run(*arguments, "--steps", 2)
    assert status == 0, err
    assert "resumed at step 1" in said
    facts = load_geometry(fine).facts
    assert (facts["steps"], facts["config"]["gradients"]) == (2, 1)
    began = facts["began_with"]
    assert (began["weights_sha256"], began["steps"]) == (first.weights_sha256(), 3)
    assert began["seconds"] == first.facts["seconds"]
    assert load_geometry(coarse).weights_sha256() == first.weights_sha256()


def test_a_finer_fit_replaces_the_one_that_it_began_with(run, checkpoint, data, tmp_path):
    folder = tmp_path / "both"
    shutil.copytree(checkpoint, folder)
    assert run("geometry", data, folder, "--limit", 10, "--steps", 3)[0] == 0
    first = load_geometry(folder).weights_sha256()
    assert run("geometry", data, folder, "--limit", 10, "--steps", 2, "--finer", "--time-limit", 0)[0] == 0
    assert load_geometry(folder).weights_sha256() == first
    status, _, err = run("geometry", data, folder, "--limit", 10, "--steps", 2)
    assert (status, "another configuration" in err) == (5, True)
    assert run("geometry", data, folder, "--limit", 10, "--steps", 2, "--finer")[0] == 0
    assert load_geometry(folder).facts["began_with"]["weights_sha256"] == first
    assert not (folder / STATE_FILE).exists()


def test_without_the_extra_nothing_is_measured_and_that_is_said(run, checkpoint, data, tmp_path):
    status, said, err = run("geometry", data, checkpoint, "--out", tmp_path, "--steps", 1)
    assert status == 0
    assert "facemix[identity]" in err
    assert "no warp" not in said
    assert load_geometry(tmp_path).facts["landmarks_carried"] == {}


def test_it_resolves_its_configuration_without_touching_anything(run, checkpoint, tmp_path):
    status, out, _ = run("geometry", tmp_path / "data", checkpoint, "--steps", 70, "--seed", 5, "--dry-run")
    assert status == 0
    config = json.loads(out)
    assert (config["steps"], config["seed"], config["components"]) == (70, 5, 2)
    status, out, _ = run("geometry", tmp_path / "data", checkpoint, "--finer", "--dry-run")
    assert status == 0
    assert json.loads(out)["steps"] == 2500
    assert list(tmp_path.iterdir()) == []


def test_refusals_are_one_line_and_leave_nothing(run, checkpoint, data, tmp_path):
    status, out, err = run("geometry", data, tmp_path / "nothing", "--steps", 1)
    assert (status, out) == (5, "")
    assert ONE_LINE.fullmatch(err)
    status, _, err = run("geometry", tmp_path, checkpoint, "--steps", 1)
    assert status == 7
    assert "facemix prepare" in err
    (tmp_path / "file").touch()
    status, _, err = run("geometry", data, checkpoint, "--steps", 1, "--out", tmp_path / "file")
    assert status == 2
    assert "not a folder" in err
    assert run("geometry", data, checkpoint, "--steps", 0)[0] == 2
    small = prepared_set(tmp_path / "small", size=32, landmarks=True)
    status, _, err = run("geometry", small, checkpoint, "--steps", 1, "--out", tmp_path / "out")
    assert status == 7
    assert f"read from {SIDE}" in err
    assert list((tmp_path / "out").iterdir()) == []


def test_its_help_names_its_options(run):
    status, out, err = run("geometry", "--help")
    assert (status, err) == (0, "")
    for option in ("--out", "--finer", "--steps", "--limit", "--pairs", "--seed", "--time-limit", "--dry-run"):
        assert option in out
