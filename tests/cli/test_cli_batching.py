import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from facemix.mixing.recipe import Recipe


def opened(file) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


# --- batch -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(photos, tmp_path):
    made = tmp_path / "people"
    made.mkdir()
    for name in ("a.png", "b.jpg", "cat.jpg"):
        shutil.copy(photos / name, made / name)
    return made


def table(folder, *rows, head="a,b,weight,name,attr:smile"):
    path = folder / "pairs.csv"
    path.write_text("\n".join((head, *rows)) + "\n")
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.suffix == ".png"}


def test_rows_become_faces_and_a_manifest(move, folder, tmp_path):
    out = tmp_path / "out"
    rows = table(folder, "a.png,b.jpg,0.25,Both,1", "a.png,cat.jpg", "sample:1,sample:2", "a.png,../b.jpg")
    status, said, err = move("batch", rows, "--out", out)
    assert status == 10
    assert said == f"{out}: 2 made, 0 made before, 2 failed\n"
    assert "row 2 (a-cat): cat.jpg: no face was found" in err
    assert "row 4 (row 4): b: '../b.jpg' is not below" in err
    assert "2 of 4 rows failed" in err.splitlines()[-1]
    assert names(out) == ["0001-Both.png", "0003-sample1-sample2.png", "manifest.json"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["made"], manifest["failed"]) == (2, 2)
    first, second, third, _ = manifest["items"]
    assert second["problem"]["code"] == "face_not_found"
    assert first["sha256"] == hashlib.sha256((out / first["file"]).read_bytes()).hexdigest()
    recipe = Recipe.model_validate(first["recipe"])
    assert (recipe.weights, recipe.attributes) == ((0.75, 0.25), {"smile": 1.0})
    (tmp_path / "r.json").write_text(recipe.to_json())
    assert move("replay", tmp_path / "r.json", folder / "a.png", folder / "b.jpg", "-o", tmp_path / "o.png")[0] == 0
    assert np.abs(opened(tmp_path / "o.png").astype(int) - opened(out / first["file"])).max() <= 1
    assert third["file"] == "0003-sample1-sample2.png"


def test_what_is_done_is_not_done_again_and_what_changed_is(move, folder, tmp_path):
    out = tmp_path / "out"
    first, second, third = "a.png,b.jpg,0.25,one,", "a.png,sample:1,,two,", "sample:1,sample:2,,three,"
    rows = table(folder, first, second, third)
    assert move("batch", rows, "--out", out)[0] == 0
    before = times(out)
    assert move("batch", rows, "--out", out)[1] == f"{out}: 0 made, 3 made before, 0 failed\n"
    assert times(out) == before
    (out / "0002-two.png").write_bytes(b"damaged")
    table(folder, first, second, third.replace("three,", "three,1"))
    shutil.copy(folder / "b.jpg", folder / "keep.jpg")
    assert move("batch", rows, "--out", out)[1] == f"{out}: 2 made, 1 made before, 0 failed\n"
    assert times(out)["0001-one.png"] == before["0001-one.png"]
    assert opened(out / "0002-two.png").shape == (32, 32, 3)
    shutil.copy(folder / "a.png", folder / "b.jpg")  # the same name, another photograph
    assert move("batch", rows, "--out", out)[1] == f"{out}: 1 made, 2 made before, 0 failed\n"


def test_a_run_that_was_interrupted_goes_on(move, folder, tmp_path, monkeypatch):
    from facemix.web.release import Release

    out, picture, done = tmp_path / "out", Release.picture, []

    def interrupted(*arguments):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(arguments)
        return picture(*arguments)

    rows = table(folder, *(f"sample:{number},sample:9,,n{number}," for number in range(5)))
    with monkeypatch.context() as patch:
        patch.setattr(Release, "picture", interrupted)
        assert move("batch", rows, "--out", out, "--workers", 1)[:2] == (130, "")
    assert names(out) == ["0001-n0.png", "0002-n1.png", "manifest.jsonl"]
    with (out / "manifest.jsonl").open("a") as journal:
        journal.write('{"file": "0003-n2.png", "sh')  # cut off
    before = times(out)
    assert move("batch", rows, "--out", out)[1] == f"{out}: 3 made, 2 made before, 0 failed\n"
    assert before.items() <= times(out).items()
    assert len(json.loads((out / "manifest.json").read_text())["items"]) == 5
    assert "manifest.jsonl" not in names(out)


def test_a_defect_costs_its_own_row(move, folder, tmp_path, monkeypatch):
    from facemix.web.release import Release

    picture = Release.picture

    def broken(release, pixels, *rest):
        raise ZeroDivisionError("out of luck")

    rows = table(folder, "sample:1,sample:2,,,")
    monkeypatch.setattr(Release, "picture", broken)
    status, _, err = move("batch", rows, "--out", tmp_path / "out")
    assert status == 10
    assert "ZeroDivisionError: out of luck" in err
    monkeypatch.setattr(Release, "picture", picture)
    assert move("batch", rows, "--out", tmp_path / "out")[0] == 0


def test_a_link_out_of_the_folder_is_not_followed(move, folder, photos, tmp_path):
    (folder / "link.png").symlink_to(photos / "a.png")
    rows = table(folder, "link.png,sample:1,,,")
    status, _, err = move("batch", rows, "--out", tmp_path / "out")
    assert status == 10
    assert "a link leads out of the table's folder" in err


def test_a_result_never_takes_a_photos_place(move, folder):
    shutil.copy(folder / "a.png", folder / "0001-x.png")
    data = (folder / "0001-x.png").read_bytes()
    status, _, err = move("batch", table(folder, "0001-x.png,sample:1,,x,"), "--out", folder)
    assert status == 2
    assert "is one of the photos" in err
    assert (folder / "0001-x.png").read_bytes() == data


def test_a_batch_may_be_portable_and_in_another_format(move, folder, tmp_path):
    rows = table(folder, "a.png,1,b.jpg,1,sample:3,2", head="p1,w1,p2,w2,p3,w3")
    assert move("batch", rows, "--out", tmp_path / "out", "--portable", "--format", "webp")[0] == 0
    (item,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["items"]
    assert item["file"] == "0001-a-b-sample3.webp"
    assert [parent["kind"] for parent in item["recipe"]["parents"]] == ["latent", "latent", "sample"]


def test_what_is_kept_whole_needs_the_rows_own_detail(move, folder, tmp_path):
    out = tmp_path / "out"
    rows = table(
        folder,
        "a.png,b.jpg,,b,,",
        "a.png,b.jpg,0,,mixed,",
        "a.png,b.jpg,1,b,,96",
        "a.png,b.jpg,,,,96",
        "a.png,b.jpg,1,c,,",
        "gone.png,b.jpg,,,a,",
        head="a,b,detail,keep:hair,keep:glasses,size",
    )
    status, said, err = move("batch", rows, "--out", out)
    assert (status, said) == (10, f"{out}: 2 made, 0 made before, 4 failed\n")
    without = "nothing of the photographs is in a mix without their detail (write detail in the row, as in 1, or leave"
    lines = err.splitlines()
    assert f"row 1 (a-b): keep:hair: it names parent 1 (b), and {without} keep:hair empty)" in lines
    assert f"row 2 (a-b): keep:glasses: it is mixed, and {without} keep:glasses empty)" in lines
    assert any(line.startswith("row 5 (a-b): keep.hair: it names parent 2 (c), and there are 2") for line in lines)
    assert any(line.startswith("row 6 (gone-b): keep:glasses: it names parent 0 (a), ") for line in lines)
    items = json.loads((out / "manifest.json").read_text())["items"]
    assert (items[0]["problem"]["code"], items[0]["problem"]["where"]) == ("request_invalid", "keep:hair")
    assert [(one["recipe"]["keep"], one["recipe"]["size"]) for one in items if "recipe" in one] == [
        ({"hair": 1}, 96),
        ({}, 96),
    ]


def test_files_of_rows_that_are_gone_are_named_and_left(move, folder, tmp_path):
    out, rows = tmp_path / "out", table(folder, *(f"sample:{number},sample:9,,n{number}," for number in range(3)))
    assert "note" not in move("batch", rows, "--out", out)[2]
    (out / "2024-diary.txt").write_text("of somebody else")
    table(folder, "sample:0,sample:9,,n0,", "gone.png,sample:9,,n1,")
    for _ in range(2):
        status, _, err = move("batch", rows, "--out", out)
        assert status == 10
        assert f"{out}: note: in the folder, but of no row that was made: 0002-n1.png, 0003-n2.png\n" in err
    assert names(out) == ["0001-n0.png", "0002-n1.png", "0003-n2.png", "2024-diary.txt", "manifest.json"]
    for number in range(4, 26):
        (out / f"{number:04d}-x.png").touch()
    assert "0003-n2.png, 0004-x.png, " in (err := move("batch", rows, "--out", out)[2])
    assert "0021-x.png and 4 more\n" in err


def test_a_row_says_when_its_photographs_have_less_than_it_asks_for(move, folder, tmp_path):
    rows = table(folder, "a.png,1024", "sample:1,1024", head="p1,size")
    assert move("batch", rows, "--out", tmp_path / "out")[0] == 0
    first, second = json.loads((tmp_path / "out" / "manifest.json").read_text())["items"]
    assert [(note["code"], "instead of 1024" in note["message"]) for note in first["notes"]] == [("smaller", True)]
    assert second["notes"] == []


def test_rows_are_put_onto_nothing(move, folder, tmp_path):
    rows = table(folder, "a.png,b.jpg,photo:a", head="a,b,placement")
    status, _, err = move("batch", rows, "--out", tmp_path / "out")
    assert status == 2
    assert "the column 'placement' is not known" in err


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("a,b,colour\nx,y,z\n", [], "'colour' is not known"),
        ("a,b\n", [], "no rows"),
        ("a,b\nx,y\n", ["--format", "gif"], "'gif'"),
    ],
)
def test_a_table_or_format_that_is_not_known_is_refused(move, tmp_path, text, options, says):
    (tmp_path / "pairs.csv").write_text(text)
    status, _, err = move("batch", tmp_path / "pairs.csv", "--out", tmp_path / "out", *options)
    assert status == 2
    assert says in err
    assert not (tmp_path / "out").exists()


# --- sample ------------------------------------------------------------------------------------------------


def labels(out):
    with (out / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_samples_with_labels_a_manifest_and_their_terms(move, tmp_path, monkeypatch):
    monkeypatch.setattr("facemix.cli.sample_run.SHARD", 4)
    monkeypatch.setattr("facemix.cli.sample_run.CHUNK", 3)
    out = tmp_path / "out"
    status, said, err = move("sample", "--count", 10, "--labels", "--seed", 2, "--out", out)
    assert status == 0, err
    assert "10 faces, 10 of them new" in said
    assert names(out) == ["0000", "0001", "0002", "LICENCE-NOTE.md", "labels.csv", "manifest.json"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["complete"], manifest["count"], manifest["seed"], manifest["model"]["name"]) == (
        True,
        10,
        2,
        "tiny",
    )
    found = {path.relative_to(out).as_posix(): path for path in out.glob("0*/*.png")}
    assert manifest["files"] == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}
    rows = labels(out)
    assert [row["file"] for row in rows] == sorted(found)
    assert list(rows[0]) == ["file", "number", "typicality", "smile", "age"]
    assert len({row["age"] for row in rows}) == 10
    assert "CC0-1.0" in (out / "LICENCE-NOTE.md").read_text()
    assert move("mix", "sample:7", "--seed", 2, "-o", tmp_path / "seven.png")[0] == 0
    assert np.abs(opened(found["0001/0000007.png"]).astype(int) - opened(tmp_path / "seven.png")).max() <= 1


def test_samples_go_on_where_they_stopped(move, tmp_path):
    out = tmp_path / "out"
    assert move("sample", "--count", 5, "--labels", "--out", out)[0] == 0
    whole, before = labels(out), times(out / "0000")
    (out / "0000" / "0000003.png").unlink()
    assert "5 faces, 1 of them new" in move("sample", "--count", 5, "--labels", "--out", out)[1]
    assert labels(out) == whole
    assert {name for name, time in times(out / "0000").items() if before[name] != time} == {"0000003.png"}
    assert "8 faces, 3 of them new" in move("sample", "--count", 8, "--labels", "--out", out)[1]
    assert labels(out)[:5] == whole


@pytest.mark.parametrize("options", [["--seed", "1"], ["--format", "webp"]])
def test_samples_of_another_kind_are_not_mixed_with_those_that_are_there(move, tmp_path, options):
    assert move("sample", "--count", 2, "--out", tmp_path / "out")[0] == 0
    status, _, err = move("sample", "--count", 2, "--out", tmp_path / "out", *options)
    assert status == 2
    assert "something else" in err


def test_a_folder_of_other_things_is_left_alone(move, tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    status, _, err = move("sample", "--count", 2, "--out", tmp_path)
    assert status == 2
    assert "not empty" in err
    assert names(tmp_path) == ["diary.txt"]


def test_labels_need_a_model_that_has_attributes(run, tmp_path):
    status, _, err = run("sample", "--count", 2, "--labels", "--out", tmp_path / "out")
    assert status == 5
    assert "--labels: " in err
    assert run("sample", "--count", 2, "--out", tmp_path / "out")[0] == 0
    assert "labels.csv" not in names(tmp_path / "out")
