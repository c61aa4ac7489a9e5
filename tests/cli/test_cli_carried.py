"""Options about what is carried from the photographs, and what the result is put onto."""

import json
import re

import pytest

from facemix.mixing.recipe import OntoBlurred, OntoPhoto, OntoPlain, Recipe

ONE_LINE = re.compile(r"facemix: [^\n]+ \(hint: [^\n]+\)\n")


@pytest.fixture
def mixed(run, tmp_path):
    """The recipe of `facemix mix` with these arguments."""

    def mix(*arguments) -> Recipe:
        target = tmp_path / "r.json"
        status, _, err = run("mix", *arguments, "-o", tmp_path / "o.png", "--recipe", target)
        assert status == 0, err
        return Recipe.from_json(target.read_text())

    return mix


def test_photographs_are_mixed_with_their_detail_unless_told(mixed, photos):
    a, b = photos / "a.png", photos / "b.jpg"
    assert mixed(a, b).detail == 1
    assert mixed(a).detail == 1
    assert mixed(a, "sample:3").detail == 0
    assert mixed("sample:3", "sample:4").detail == 0
    assert mixed(a, b, "--detail", "0").detail == 0
    assert mixed(a, "sample:3", "--detail", "0.25").detail == 0.25
    assert mixed(a, b, "--steps", "3").detail == 1


def test_other_commands_carry_detail_only_when_told(run, photos, tmp_path):
    pair = [photos / "a.png", photos / "b.jpg"]
    for told, detail in (([], 0), (["--detail", "0.5", "--keep", "hair=b"], 0.5)):
        status, _, err = run("grid", *pair, "--columns", "2", *told, "--recipes", tmp_path / "r.json", "-o",
                             tmp_path / "grid.png")  # fmt: skip
        assert status == 0, err
        recipes = [Recipe.model_validate(one) for one in json.loads((tmp_path / "r.json").read_text())]
        assert {one.detail for one in recipes} == {detail}
        assert all(one.keep == ({"hair": 1} if told else {}) for one in recipes)


def test_what_is_kept_is_named_by_letters_or_numbers(mixed):
    pair = ["sample:1", "sample:2"]
    sharp = [*pair, "--detail", "1"]
    assert mixed(*sharp, "--keep", "hair=b", "--keep", "glasses=0").keep == {"hair": 1, "glasses": 0}
    assert mixed(*sharp, "--keep", "background=mixed", "--size", "256").keep == {"background": "mixed"}
    assert mixed(*pair, "--size", "256").size == 256


@pytest.mark.parametrize(
    ("text", "placement"),
    [
        ("photo:b", OntoPhoto(parent=1)),
        ("blurred:a", OntoBlurred()),
        ("plain", OntoPlain()),
        ("plain:#E8E4DA", OntoPlain(colour="#e8e4da")),
        ("crop", None),
    ],
)
def test_a_face_is_put_onto_something(mixed, photos, text, placement):
    assert mixed(photos / "a.png", photos / "b.jpg", "--onto", text).placement == placement


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        ("mix", ["--keep", "nose=a"], "--keep: 'nose=a' keeps nothing"),
        (
            "mix",
            ["--keep", "hair=c"],
            "--keep: it names parent 2 (c), and there are 2 (hint: parents are counted from 0; the last is 1 (b))",
        ),
        ("mix", ["--keep", "hair=a", "--keep", "hair=b"], "--keep: hair is given twice"),
        ("mix", ["--keep", "hair=a"], "--keep: nothing of the photographs is in a mix without their detail"),
        ("grid", ["--keep", "hair=a"], "--keep: nothing of the photographs is in a mix without their detail"),
        ("mix", ["--onto", "the sea"], "--onto: 'the sea' is nothing that a face is put onto"),
        ("mix", ["--onto", "photo:c"], "--onto: it names parent 2 (c), and there are 2"),
        ("mix", ["--onto", "photo:b"], "--onto: sample:2 is no photo"),
        ("mix", ["--onto", "plain", "--steps", "3"], "--onto: only a single mix is put onto something"),
        ("mix", ["--detail", "2"], "--detail"),
        ("mix", ["--detail", "nan"], "detail"),
        ("mix", ["--size", "32"], "--size"),
        ("grid", ["--onto", "plain"], "--onto"),
        ("animate", ["--onto", "plain"], "--onto"),
        ("explain", ["--onto", "plain"], "--onto"),
    ],
)
def test_what_cannot_be_is_refused_before_a_model_is_loaded(run, monkeypatch, tmp_path, command, arguments, said):
    monkeypatch.setenv("FACEMIX_CHECKPOINT", str(tmp_path / "nowhere"))
    out = ["--out" if command == "explain" else "-o", tmp_path / ("folder" if command == "explain" else "o.png")]
    status, _, err = run(command, "sample:1", "sample:2", *arguments, *out)
    assert status == 2
    assert ONE_LINE.fullmatch(err)
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_the_size_of_a_film_is_that_of_its_frames_where_they_have_detail(run, photos, tmp_path, monkeypatch):
    from facemix.web import animations

    asked = []
    monkeypatch.setattr(
        animations,
        "at_the_size_of",
        lambda side, edits, real=animations.at_the_size_of: asked.append(real(side, edits)) or asked[-1],
    )
    film = ["--seconds", "0.2", "--fps", "10", "-o", tmp_path / "film.gif", "--size", "128"]
    for told, expected in (([], (0, None)), (["--detail", "1"], (1, 128))):
        status, out, err = run("animate", photos / "a.png", photos / "b.jpg", *told, *film)
        assert status == 0, err
        assert "128 x 128 pixels" in out
        assert (asked[-1].detail, asked[-1].size) == expected


def test_a_table_has_columns_for_them(run, photos, tmp_path):
    table = "a,b,detail,keep:hair,size\na.png,b.jpg,0.5,b,200\na.png,b.jpg,,,\n"
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes((photos / name).read_bytes())
    (tmp_path / "carried.csv").write_text(table)
    status, _, err = run("batch", tmp_path / "carried.csv", "--out", tmp_path / "out")
    assert status == 0, err
    items = json.loads((tmp_path / "out" / "manifest.json").read_text())["items"]
    assert [(one["recipe"]["detail"], one["recipe"]["keep"], one["recipe"]["size"]) for one in items] == [
        (0.5, {"hair": 1}, 200),
        (0, {}, None),
    ]


@pytest.mark.parametrize(
    "command",
    [
        ("mix", "a.png"),
        ("mix", "a.png", "b.jpg", "--onto", "photo:a"),
        ("mix", "a.png", "b.jpg", "--steps", "3"),
        ("grid", "a.png", "b.jpg", "--columns", "2"),
    ],
    ids=["mix", "onto", "strip", "grid"],
)
def test_a_face_smaller_than_it_was_asked_for_is_said(run, photos, tmp_path, command):
    words = [photos / word if word in ("a.png", "b.jpg") else word for word in command]
    status, _, err = run(*words, "--size", "1024", "-o", tmp_path / "o.png")
    assert status == 0, err
    assert re.search(
        r"^note: The face is drawn \d+ pixels wide instead of 1024: the photographs have no more", err, re.M
    )
    assert "instead of" not in run(*words, "--size", "96", "-o", tmp_path / "o.png")[2]


def test_drawn_again_it_is_said_again_and_faces_of_nobody_have_any_size(run, photos, tmp_path):
    recipe, target = tmp_path / "r.json", tmp_path / "o.png"
    assert run("mix", photos / "a.png", "--size", "1024", "-o", target, "--recipe", recipe)[0] == 0
    assert "instead of 1024" in run("replay", recipe, photos / "a.png", "-o", target)[2]
    assert run("mix", "sample:1", "--size", "1024", "-o", target)[::2] == (0, "")
