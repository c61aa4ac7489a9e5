import dataclasses
import json

import numpy as np
import pytest
from identity_extra import embedder_or_skip
from prepared import prepared_set
from strangers import Fading, photographs
from tiny import TINY, tiny_checkpoint

from facemix.errors import CheckpointCorrupt, CheckpointMissing, ConfigError, DatasetError
from facemix.evaluation.evaluate import Options, evaluate
from facemix.evaluation.identity import ABSENT
from facemix.evaluation.results import read_results, write_results
from facemix.evaluation.sharp import NO_GEOMETRY
from facemix.evaluation.table import text
from facemix.training.dataset import load_split, read_summary
from facemix.vae.checkpoint import read_card

QUICK = Options(resamples=40)
IDENTITY_OF_PAIRS = ("identity_to_parents", "identity_imbalance", "identity_both")
LANDMARKS = ("landmark_offset", "landmarks_apart")  # the blotches have none


@pytest.fixture(scope="module")
def results(checkpoint, data, tmp_path_factory):
    embedder_or_skip()
    older = tiny_checkpoint(tmp_path_factory.mktemp("older") / "checkpoint", seed=1)
    return evaluate(checkpoint, data, dataclasses.replace(QUICK, compare={"older": older}))


def test_every_subject_is_measured_on_the_same_faces(results):
    assert list(results.subjects) == ["tiny", "older", "pca-8", "cross-fade"]
    assert [subject.kind for subject in results.subjects.values()] == ["vae", "vae", "pca", "cross-fade"]
    assert (results.data.faces, results.data.split_faces, results.data.pairs) == (10, 10, 5)
    for name in ("tiny", "older", "pca-8"):
        subject = results.subjects[name]
        assert {figure.n for figure in subject.reconstruction.values()} == {10}
        assert {figure.n for name, figure in subject.midpoints.items() if name not in LANDMARKS} == {5}
        assert {figure.n for figure in subject.samples.values()} == {5}
        assert set(subject.groups) == {"age", "gender", "ethnicity"}
        assert subject.latent_size == TINY.latent_size


def test_the_model_and_the_data_are_named(results, checkpoint, data):
    card = read_card(checkpoint)
    identity = results.subjects[results.model].identity
    assert (identity.name, identity.weights_sha256) == (card.name, card.weights_sha256)
    assert identity.same_manifest is None  # the tiny card names no manifest
    assert results.data.manifest_sha256 == read_summary(data)["manifest_sha256"]
    assert results.subjects["older"].identity.weights_sha256 != card.weights_sha256


def test_principal_components_beat_a_network_that_was_never_trained(results):
    tiny, pca = results.subjects["tiny"].reconstruction, results.subjects["pca-8"].reconstruction
    assert pca["psnr"].low > tiny["psnr"].high
    assert results.subjects["pca-8"].fitted_images == 24
    margin = results.margins["pca-8"].reconstruction["psnr"]
    assert margin.high < 0
    assert margin.mean == pytest.approx(tiny["psnr"].mean - pca["psnr"].mean, abs=1e-3)


def test_cross_fades_are_ghosts(results):
    fade = results.subjects["cross-fade"]
    assert fade.reconstruction is None
    assert fade.midpoints["ghost"].mean < 0.01
    assert results.subjects["pca-8"].midpoints["ghost"].mean < 0.05
    assert results.margins["cross-fade"].reconstruction == {}
    # The crops are so smooth that rounding to 8 bits is much of what edges they have.
    assert fade.midpoints["double_edges"].mean > 0.7


def test_margins_of_faces_and_of_pairs_are_kept_apart(results):
    tiny, other = results.subjects["tiny"], results.subjects["pca-8"]
    margins = results.margins["pca-8"]
    for name in ("sharpness", "asymmetry"):  # both have figures of these names
        for part, count in (("reconstruction", 10), ("midpoints", 5)):
            margin = getattr(margins, part)[name]
            expected = getattr(tiny, part)[name].mean - getattr(other, part)[name].mean
            assert (margin.mean, margin.n) == (pytest.approx(expected, rel=1e-3), count)


def test_real_faces_are_nearer_to_one_another_than_blotches_to_them(results):
    floor = results.reference["swd"]
    assert (floor.low, floor.high, floor.n) == (None, None, 5)
    assert results.subjects["tiny"].samples["swd"].mean > floor.mean
    assert set(results.subjects["cross-fade"].midpoints) >= {"swd", "swd_32", "swd_16"}


def test_the_gates_are_read_from_the_manifest(results):
    assert (results.gates.photographs, results.gates.reasons) == (36, {"image_empty": 1})
    assert results.gates.groups["gender"].worst_to_best is None


def test_identity_is_measured_by_a_named_embedder(results):
    assert results.embedder.startswith("dlib_face_recognition_resnet_model_v1@")
    assert results.reference["identity_between_parents"].n == 5
    tiny = results.subjects["tiny"]
    assert tiny.reconstruction["identity_distance"].mean > 0
    assert tiny.groups["gender"].groups["female"].figures["strangers"].mean > 0
    apart = results.subjects["cross-fade"].midpoints["identity_to_parents"].mean
    assert 0 < apart < tiny.midpoints["identity_to_parents"].mean


def test_without_the_extra_identity_is_null_and_the_rest_as_it_was(results, checkpoint, data, monkeypatch):
    monkeypatch.setattr("facemix.evaluation.evaluate.load_embedder", lambda: None)
    said = []
    found = evaluate(checkpoint, data, dataclasses.replace(QUICK, baselines=False), say=said.append)
    assert said[0] == ABSENT
    assert found.embedder is None
    tiny, measured = found.subjects["tiny"], results.subjects["tiny"]
    for part, names in (("reconstruction", ("identity_distance", "same_person")), ("midpoints", IDENTITY_OF_PAIRS)):
        mine, theirs = dict(getattr(tiny, part)), dict(getattr(measured, part))
        assert {(mine.pop(name).mean, theirs.pop(name).n > 0) for name in names} == {(None, True)}
        assert mine == theirs


def test_groups_are_counted(results):
    groups = results.subjects["tiny"].groups
    assert sum(group.count for group in groups["gender"].groups.values()) + groups["gender"].unlabelled == 10
    assert set(groups["gender"].groups) == {"female", "male"}
    assert set(groups["gender"].too_few) == {"female", "male"}  # ten faces are not many
    assert groups["gender"].worst_to_best is None


def test_the_same_again_gives_the_same_file_but_for_timing(results, checkpoint, data, tmp_path):
    written = []
    for name in ("first", "second"):
        write_results(tmp_path / name, evaluate(checkpoint, data, QUICK))
        written.append(json.loads((tmp_path / name).read_text()))
        del written[-1]["timing"]
    assert written[0] == written[1]
    # Another checkpoint beside it changes nothing of what is said of this one.
    assert written[0]["subjects"]["tiny"] == json.loads(results.model_dump_json())["subjects"]["tiny"]


def test_another_seed_draws_other_pairs(results, checkpoint, data):
    other = evaluate(checkpoint, data, dataclasses.replace(QUICK, seed=1, baselines=False))
    mine, theirs = results.subjects["tiny"], other.subjects["tiny"]
    assert mine.midpoints["ghost"].mean != theirs.midpoints["ghost"].mean
    assert mine.reconstruction["psnr"].mean == theirs.reconstruction["psnr"].mean
    assert mine.reconstruction["psnr"].low != theirs.reconstruction["psnr"].low


def test_a_limit_draws_some_of_the_faces(checkpoint, data):
    found = evaluate(checkpoint, data, dataclasses.replace(QUICK, limit=4, baselines=False))
    assert (found.data.faces, found.data.split_faces, found.data.pairs) == (4, 10, 2)
    assert list(found.subjects) == ["tiny"]
    assert found.margins == {}


def test_without_labels_there_are_no_groups(checkpoint, tmp_path):
    bare = prepared_set(tmp_path / "bare", train=4, validation=1, test=3)
    subject = evaluate(checkpoint, bare, dataclasses.replace(QUICK, baselines=False)).subjects["tiny"]
    assert subject.groups == {}
    assert subject.wrinkles["60_and_over"].n == 0


def test_it_says_whether_it_was_trained_on_this_manifest(data, tmp_path):
    digest = read_summary(data)["manifest_sha256"]
    options = dataclasses.replace(QUICK, baselines=False)
    for manifest, expected in ((digest, True), ("0" * 64, False)):
        folder = tiny_checkpoint(tmp_path / str(expected), data={"manifest_sha256": manifest})
        assert evaluate(folder, data, options).subjects["tiny"].identity.same_manifest is expected


def test_results_at_the_photographs_size_are_measured_where_there_is_a_geometry(data, tmp_path, monkeypatch):
    folder = tiny_checkpoint(tmp_path / "checkpoint")
    options = dataclasses.replace(QUICK, baselines=False, photos=tmp_path, sharp_pairs=1)
    said = []
    assert evaluate(folder, data, options, say=said.append).sharp is None
    assert said[-1] == NO_GEOMETRY
    monkeypatch.setattr("facemix.evaluation.evaluate.carry_maker", lambda folder: Fading)
    with pytest.raises(DatasetError, match="does not say where the face"):
        evaluate(folder, data, options)
    rows = iter(photographs(tmp_path, 10))
    monkeypatch.setattr("facemix.evaluation.evaluate.load_split", with_rows(lambda: next(rows)))
    found = evaluate(folder, data, options)
    assert (found.sharp.pairs, list(found.sharp.views)) == (1, ["own", "large", "textured"])
    assert set(found.sharp.views["large"].ways) == {"carry", "vae", "cross-fade"}
    assert "At the photographs' own size" in text(found)
    write_results(tmp_path / "results.json", found)
    assert read_results(tmp_path / "results.json").sharp == found.sharp


def with_rows(row):
    """A split whose faces are said to come from other photographs."""

    def load(folder, split):
        faces = load_split(folder, split)
        return dataclasses.replace(faces, rows=tuple(old | row() for old in faces.rows))

    return load


def test_refusals(checkpoint, data, tmp_path):
    with pytest.raises(DatasetError, match="no prepared data set"):
        evaluate(checkpoint, tmp_path, QUICK)
    with pytest.raises(CheckpointMissing):
        evaluate(tmp_path, data, QUICK)
    with pytest.raises(DatasetError, match="the split 'other' of"):
        evaluate(checkpoint, data, dataclasses.replace(QUICK, split="other"))
    with pytest.raises(DatasetError, match="1 face is too few"):
        evaluate(checkpoint, data, dataclasses.replace(QUICK, limit=1))


def test_a_damaged_checkpoint_is_refused(data, tmp_path):
    folder = tiny_checkpoint(tmp_path / "damaged")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointCorrupt):
        evaluate(folder, data, QUICK)


def test_crops_of_another_size_are_refused_by_name(checkpoint, data, tmp_path):
    larger = tiny_checkpoint(tmp_path / "larger", config=TINY.model_copy(update={"crop_size": 64}))
    with pytest.raises(DatasetError, match="32 pixels wide, the model larger takes 64") as refused:
        evaluate(checkpoint, data, dataclasses.replace(QUICK, compare={"larger": larger}))
    assert "--size 64" in refused.value.hint


@pytest.mark.parametrize("name", ["tiny", "cross-fade", "pca-8", "Two Words", ""])
def test_a_name_that_cannot_be_given_is_refused(name, checkpoint, data):
    with pytest.raises(ConfigError, match="name"):
        evaluate(checkpoint, data, dataclasses.replace(QUICK, compare={name: checkpoint}))


def test_a_model_called_as_a_baseline_is_refused_beside_it(data, tmp_path):
    folder = tiny_checkpoint(tmp_path / "checkpoint", name="pca-8")
    with pytest.raises(ConfigError, match="'pca-8', as a baseline is"):
        evaluate(folder, data, QUICK)
    alone = evaluate(folder, data, dataclasses.replace(QUICK, baselines=False))
    assert list(alone.subjects) == ["pca-8"]


def test_every_long_step_is_announced(checkpoint, data):
    embedder_or_skip()
    said = []
    evaluate(checkpoint, data, QUICK, say=said.append)
    assert said == ["tiny: 10 faces, 5 mid-points", "pca: 8 components of 24 training faces"]


def test_every_number_of_the_results_is_finite(results):
    def numbers(value):
        if isinstance(value, dict):
            for inner in value.values():
                yield from numbers(inner)
        elif isinstance(value, float):
            yield value

    found = list(numbers(results.model_dump(mode="json")))
    assert len(found) > 100
    assert np.isfinite(found).all()
