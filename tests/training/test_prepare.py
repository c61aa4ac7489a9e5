import hashlib
import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from facemix.errors import DatasetError
from facemix.faces.align import TEMPLATE, Alignment
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.training import prepare as module
from facemix.training.config import preset
from facemix.training.dataset import load_split, read_summary
from facemix.training.prepare import PrepareOptions, labels_from_name, prepare
from facemix.training.split import assign_splits
from facemix.training.trainer import train

OPTIONS = PrepareOptions(crop_size=64, name="one astronaut", licence="public domain")


def write_photographs(folder: Path) -> None:
    """Eight pictures of one astronaut and five files without a face, in two folders."""
    astronaut = Image.fromarray(photographs.astronaut()[:300, :400])
    (folder / "more").mkdir(parents=True)
    astronaut.save(folder / "a.png")
    astronaut.save(folder / "b-small.JPG", "JPEG", quality=95)
    astronaut.save(folder / "c-worse.jpg", quality=60)
    astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "31_1_0_2017.jpg")
    astronaut.rotate(15, resample=Image.Resampling.BICUBIC).save(folder / "more" / "d-leaning.png")
    astronaut.transpose(Image.Transpose.ROTATE_90).save(folder / "more" / "e-turned.png")
    astronaut.point([level * 3 // 5 for level in range(256)] * 3).save(folder / "more" / "f-darker.webp", quality=90)
    turned = Image.Exif()
    turned[0x0112] = 6
    astronaut.transpose(Image.Transpose.ROTATE_90).save(folder / "g-exif.jpg", exif=turned, quality=95)
    Image.fromarray(photographs.chelsea()).save(folder / "cat.png")
    (folder / "text.jpg").write_text("I am not a photograph.")
    (folder / "empty.jpeg").touch()
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:5000])
    (folder / "notes.txt").write_text("not even looked at")


@pytest.fixture(scope="module", autouse=True)
def small_shards():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHARD_SIZE", 5)
        patch.setattr(module, "_finder", None)  # and the next test begins with its own
        yield


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder)
    return folder


@pytest.fixture(scope="module")
def prepared(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared")
    calls = []
    summary = prepare(source, out, OPTIONS, workers=0, on_progress=lambda *at: calls.append(at))
    return out, summary, calls


def rows_of(out):
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def stored_crop(out, row):
    with (
        tarfile.open(out / f"shard-{row['shard']:05d}.tar") as shard,
        Image.open(shard.extractfile(f"{row['sha256']}.jpg")) as crop,
    ):
        return np.asarray(crop)


def files_of(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_the_counts_add_up(prepared):
    out, summary, calls = prepared
    assert (summary["photographs"], summary["kept"], summary["shards"]) == (12, 8, 3)
    assert summary["refused"] == {"face_not_found": 1, "image_empty": 1, "image_unsupported": 1, "image_corrupt": 1}
    assert sum(summary["splits"].values()) == 8
    assert (summary["name"], summary["licence"]) == ("one astronaut", "public domain")
    assert calls == [(0, 12), (5, 12), (10, 12), (12, 12)]
    assert read_summary(out) == summary


def test_every_photograph_has_a_row_in_sorted_order(prepared, source):
    rows = rows_of(prepared[0])
    expected = sorted(path for path in source.rglob("*") if path.suffix != ".txt" and path.is_file())
    assert [row["source"] for row in rows] == [path.relative_to(source).as_posix() for path in expected]
    assert [row["sha256"] for row in rows] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in expected]
    refused = {row["source"]: row["refused"] for row in rows if "refused" in row}
    assert refused == {
        "cat.png": "face_not_found",
        "cut.png": "image_corrupt",
        "empty.jpeg": "image_empty",
        "text.jpg": "image_unsupported",
    }
    assert all(("split" in row) == ("refused" not in row) for row in rows)


def test_labels_come_from_the_name(prepared):
    labels = {row["source"]: row["labels"] for row in rows_of(prepared[0])}
    assert labels["31_1_0_2017.jpg"] == {"age": 31, "gender": "female", "ethnicity": "White"}
    assert labels["a.png"] == {}


def test_the_same_picture_under_three_names_stays_on_one_side(prepared):
    _, summary, _ = prepared
    splits = {row["source"]: row.get("split") for row in rows_of(prepared[0])}
    same = [splits[name] for name in ("a.png", "b-small.JPG", "c-worse.jpg", "g-exif.jpg")]
    assert len(set(same)) == 1
    assert summary["near_duplicates"] >= 3


def test_shards_hold_the_aligned_crops(prepared, source):
    out, _, _ = prepared
    kept = [row for row in rows_of(out) if "refused" not in row]
    for number in range(3):
        with tarfile.open(out / f"shard-{number:05d}.tar") as shard:
            assert shard.getnames() == [f"{row['sha256']}.jpg" for row in kept if row["shard"] == number]
            for member in shard:
                with Image.open(io.BytesIO(shard.extractfile(member).read())) as crop:
                    assert (crop.size, crop.format) == ((64, 64), "JPEG")


def test_a_crop_is_the_one_that_serving_would_make(prepared):
    """The whole way once more, by hand, compared with what lies in the shard."""
    out, _, _ = prepared
    row = next(row for row in rows_of(out) if row["source"] == "a.png")
    image = photographs.astronaut()[:300, :400]
    face = FaceFinder(CenterFace(threads=1)).find(image)[0]
    np.testing.assert_allclose(row["landmarks"], face.landmarks, atol=0.02)
    expected = Alignment.from_landmarks(face.landmarks, 64).crop(image)
    assert np.abs(stored_crop(out, row).astype(int) - expected).mean() < 2


def test_turned_photographs_give_the_same_crop(prepared):
    out, _, _ = prepared
    crops = {}
    for row in rows_of(out):
        if "refused" not in row:
            crops[row["source"]] = stored_crop(out, row).astype(float)
    for name in ("more/e-turned.png", "g-exif.jpg", "more/d-leaning.png"):
        assert np.abs(crops[name] - crops["a.png"]).mean() < 12, name
    assert np.abs(crops["31_1_0_2017.jpg"][:, ::-1] - crops["a.png"]).mean() < 12
    assert np.abs(crops["31_1_0_2017.jpg"] - crops["a.png"]).mean() > 20


def test_running_again_does_no_work_and_changes_nothing(prepared, source, monkeypatch):
    out, summary, _ = prepared
    before = files_of(out)
    monkeypatch.setattr(module, "_prepare_one", pytest.fail)
    assert prepare(source, out, OPTIONS, workers=0) == summary
    assert files_of(out) == before


def test_a_lost_shard_is_made_again_and_nothing_else(prepared, source, monkeypatch):
    out, _, _ = prepared
    before = files_of(out)
    (out / "shard-00001.tar").unlink()
    made = []
    original = module._prepare_one
    monkeypatch.setattr(
        module, "_prepare_one", lambda path, name, options: made.append(name) or original(path, name, options)
    )
    prepare(source, out, OPTIONS, workers=0)
    assert made == [json.loads(line)["source"] for line in before["shard-00001.jsonl"].splitlines()]
    assert files_of(out) == before


def test_an_interrupted_run_goes_on_where_it_stopped(prepared, source, tmp_path, monkeypatch):
    out, _, _ = prepared
    original, seen = module._prepare_one, []

    def interrupted(path, name, options):
        seen.append(name)
        if len(seen) == 8:
            raise KeyboardInterrupt
        return original(path, name, options)

    monkeypatch.setattr(module, "_prepare_one", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path, OPTIONS, workers=0)
    assert (tmp_path / "shard-00000.tar").exists()
    assert not (tmp_path / "shard-00001.tar").exists()
    with pytest.raises(DatasetError, match="no prepared data set"):
        load_split(tmp_path, "train")

    del seen[:]
    seen.extend(["counted from here"] * 8)
    prepare(source, tmp_path, OPTIONS, workers=0)
    assert len(seen) - 8 == 7  # the five of the first shard were finished
    assert files_of(tmp_path) == files_of(out)


def test_the_splits_are_those_of_the_rule(prepared):
    rows = {row["sha256"]: row for row in rows_of(prepared[0]) if "refused" not in row}
    assert [row["split"] for row in rows.values()] == assign_splits(
        list(rows), np.array([np.frombuffer(bytes.fromhex(text), np.uint8) for text in thumbnails(prepared[0])])
    )[0]


def thumbnails(out):
    for number in range(3):
        for line in (out / f"shard-{number:05d}.jsonl").read_text().splitlines():
            if "thumbnail" in (row := json.loads(line)):
                yield row["thumbnail"]


def test_a_folder_made_with_other_options_is_refused(prepared, source):
    out, _, _ = prepared
    before = files_of(out)
    with pytest.raises(DatasetError, match="other options"):
        prepare(source, out, PrepareOptions(crop_size=32), workers=0)
    assert files_of(out) == before


def test_the_key_of_the_options_follows_what_is_stored():
    assert PrepareOptions(crop_size=32).key != PrepareOptions(crop_size=64).key
    assert PrepareOptions(name="a", licence="b").key == PrepareOptions().key


def test_the_key_of_the_options_follows_the_alignment(monkeypatch):
    before = PrepareOptions().key
    monkeypatch.setattr(module, "TEMPLATE", TEMPLATE + 0.001)
    assert PrepareOptions().key != before


def test_a_folder_without_photographs_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "notes.txt").write_text("none here")
    with pytest.raises(DatasetError, match="holds no photographs") as refused:
        prepare(tmp_path / "photos", tmp_path / "out", workers=0)
    assert ".jpg" in refused.value.hint
    assert not (tmp_path / "out").exists()
    with pytest.raises(DatasetError):
        prepare(tmp_path / "not there", tmp_path / "out", workers=0)


def test_a_folder_where_every_photograph_is_refused_is_no_data_set(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "empty.jpg").touch()
    with pytest.raises(DatasetError, match="every photograph was refused"):
        prepare(tmp_path / "photos", tmp_path / "out", workers=0)


def test_a_file_that_vanished_is_a_row(tmp_path):
    row, jpeg = module._prepare_one(tmp_path / "gone.jpg", "gone.jpg", OPTIONS)
    assert jpeg is None
    assert row == {"source": "gone.jpg", "labels": {}, "refused": "unreadable: No such file or directory"}


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("26_0_2_20170116184024662.jpg.chip.jpg", {"age": 26, "gender": "male", "ethnicity": "Asian"}),
        ("105_1_4_20170112213001988.jpg", {"age": 105, "gender": "female", "ethnicity": "other"}),
        ("1_0_1_1.png", {"age": 1, "gender": "male", "ethnicity": "Black"}),
        ("39_1_20170116174525125.jpg", {}),  # the ethnicity is missing, as in a few files of the data set
        ("61_3_1_20170109150557335.jpg", {}),  # there is no gender 3
        ("20_0_5_1.jpg", {}),
        ("1000_0_0_1.jpg", {}),
        ("holiday.jpg", {}),
        ("", {}),
    ],
)
def test_labels_of_names(name, labels):
    assert labels_from_name(name) == labels


@pytest.mark.slow
def test_processes_prepare_the_same_data_set(prepared, source, tmp_path):
    # The shard size is a property of the program, so the workers do not know the one of this test.
    few = tmp_path / "few"
    few.mkdir()
    for name in ("a.png", "text.jpg", "31_1_0_2017.jpg"):
        (few / name).write_bytes((source / name).read_bytes())
    one, two = tmp_path / "one", tmp_path / "two"
    summaries = [prepare(few, one, OPTIONS, workers=0), prepare(few, two, OPTIONS, workers=2)]
    assert summaries[0] == summaries[1]
    assert files_of(one) == files_of(two)


def test_what_was_prepared_can_be_trained_on(source, tmp_path, monkeypatch):
    # With so few photographs every one may fall into the same split; the rule is not what is tested here.
    def by_turns(hashes, thumbnails):
        return [("train", "validation")[index % 2] for index in range(len(hashes))], len(hashes)

    monkeypatch.setattr(module, "assign_splits", by_turns)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    prepare(source, tmp_path / "set", PrepareOptions(crop_size=32), workers=0)
    config = preset("tiny", images=32, device="cpu", precision="fp32")
    folder = train(config, tmp_path / "set", tmp_path / "run", say=lambda line: None)
    assert (folder / "model.safetensors").stat().st_size > 0


def test_a_photograph_that_changed_under_its_name_is_prepared_again(source, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "data"
    shutil.copytree(source, photos)
    prepare(photos, out, workers=0)
    before = {row["source"]: row.get("sha256") for row in rows_of(out)}
    changed = sorted(name for name, digest in before.items() if digest)[0]
    with (photos / changed).open("ab") as file:
        file.write(b"\0")
    prepare(photos, out, workers=0)
    after = {row["source"]: row.get("sha256") for row in rows_of(out)}
    assert [name for name in before if before[name] != after[name]] == [changed]
