"""No command writes a face that a server in the same data folder would hold for the likeness guard."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from facemix.governance.review import Reviews
from facemix.mixing.recipe import Recipe
from facemix.settings import load_settings
from facemix.storage.engine import DATABASE_FILE
from facemix.web.judging import hash_of
from facemix.web.run import open_database

CONSENT = "asked by letter of 3 May, signed"
PAIR = ("sample:1", "sample:2")


class Lookalikes:
    """Takes everybody for one person; from the call on which `strange` says so for somebody far away."""

    name = "lookalikes@1"
    calls = 0

    @staticmethod
    def strange(call):
        return False

    def embed(self, crops):
        kind = type(self)
        kind.calls += 1
        return np.full((len(crops), 3), 100 * kind.strange(kind.calls), np.float32)


@pytest.fixture
def embedder(monkeypatch):
    """Counts its calls from the enrolment on."""
    kind = type("Lookalikes", (Lookalikes,), {})
    monkeypatch.setattr("facemix.faces.embedder.load_embedder", kind)
    return kind


@pytest.fixture
def enrolled(run, embedder, photos):
    status, out, _ = run("guard", "add", photos / "a.png", "--label", "the mayor", "--consent", CONSENT)
    assert status == 0
    embedder.calls = 0
    return out.strip()


def refused(answer, person):
    status, out, err = answer
    assert (status, out) == (12, "")
    assert len([line for line in err.splitlines() if not line.startswith("frames ")]) == 1, err
    assert "the result resembles a protected person: a server would hold it" in err
    assert person not in err
    assert "mayor" not in err


@pytest.mark.parametrize(
    "command",
    [
        ("mix", "{a}", "-o", "{out}.png", "--recipe", "{out}.json"),
        ("mix", *PAIR, "-o", "{out}.png", "--recipe", "{out}.json", "--portable"),
        ("mix", *PAIR, "-o", "{out}.png", "--onto", "plain"),
        ("mix", *PAIR, "--steps", "3", "-o", "{out}.png"),
        ("replay", "{recipe}", "-o", "{out}.png"),
        ("grid", *PAIR, "-o", "{out}.png", "--recipes", "{out}.json"),
        ("animate", *PAIR, "--seconds", "0.3", "-o", "{out}.gif", "--size", "128"),
        ("explain", *PAIR, "--out", "{out}"),
    ],
    ids=lambda words: "-".join(word for word in words[:4] if "{" not in word),
)
def test_what_resembles_somebody_is_not_written(run, photos, tmp_path, enrolled, command):
    recipe = tmp_path / "before.json"
    run("guard", "remove", "--", enrolled)
    assert run("mix", *PAIR, "-o", tmp_path / "before.png", "--recipe", recipe)[0] == 0
    person = run("guard", "add", photos / "a.png", "--label", "the mayor", "--consent", CONSENT)[1].strip()
    (tmp_path / "new").mkdir()
    places = {"a": photos / "a.png", "out": tmp_path / "new" / "out", "recipe": recipe}
    refused(run(*(word.format(**places) for word in command)), person)
    assert list((tmp_path / "new").iterdir()) == []
    assert run("guard", "remove", "--", person)[0] == 0
    status, _, err = run(*(word.format(**places) for word in command))
    assert status == 0, err
    assert list((tmp_path / "new").iterdir()) != []


def test_what_resembles_nobody_is_written(run, tmp_path, enrolled, embedder):
    embedder.strange = staticmethod(lambda call: True)
    assert run("mix", *PAIR, "-o", tmp_path / "o.png")[::2] == (0, "")
    assert embedder.calls == 1


def test_a_film_is_looked_at_between_its_stops_too(run, tmp_path, enrolled, embedder):
    embedder.strange = staticmethod(lambda call: call == 1)  # the stops
    refused(run("animate", *PAIR, "--seconds", "0.3", "-o", tmp_path / "o.webp", "--size", "128"), enrolled)
    assert embedder.calls == 2
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_resembles_somebody_fails_alone(run, tmp_path, enrolled, embedder):
    embedder.strange = staticmethod(lambda call: call != 2)
    out, table = tmp_path / "out", tmp_path / "pairs.csv"
    table.write_text("a,b\nsample:1,sample:2\nsample:3,sample:4\nsample:5,sample:6\n")
    status, said, err = run("batch", table, "--out", out, "--workers", 1)
    assert (status, said) == (10, f"{out}: 2 made, 0 made before, 1 failed\n")
    assert "row 2 (sample3-sample4): the result resembles a protected person" in err
    items = json.loads((out / "manifest.json").read_text())["items"]
    assert [item.get("problem", {}).get("code") for item in items] == [None, "held_for_review", None]
    assert len(list(out.glob("*.png"))) == 2


@pytest.mark.parametrize("steps", [(), ("--steps", "3")], ids=["a mix", "a strip"])
def test_what_a_reviewer_has_decided_holds_here(run, tmp_path, enrolled, embedder, steps):
    target, recipes = tmp_path / "o.png", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("facemix.cli.likeness.Likeness.check", lambda self, frames, made, **_: recipes.extend(made))
        assert run("mix", *PAIR, *steps, "-o", target)[0] == 0
    target.unlink()
    whole = hash_of([one.hash for one in recipes])

    def decided(decision, subject):
        with open_database(load_settings()) as database:
            reviews = Reviews.open(load_settings(), database)
            held, _ = reviews.hold("r-1", "guard", "near", recipe_hash=whole, subject=subject)
            decide, reason = (reviews.approve, "no_match") if decision == "approve" else (reviews.reject, "likeness")
            decide(held.id, held.version, actor="r", reason=reason)

    decided("approve", "somebody-else-xx")
    refused(run("mix", *PAIR, *steps, "-o", target), enrolled)
    decided("approve", enrolled)
    assert run("mix", *PAIR, *steps, "-o", target)[0] == 0
    assert run("mix", *reversed(PAIR), *steps, "-o", target)[0] == 12, "another recipe"
    decided("reject", enrolled)
    target.unlink()
    status, _, err = run("mix", *PAIR, *steps, "-o", target)
    assert status == 11
    assert "a person has looked at this result before" in err
    assert not target.exists()


@pytest.mark.parametrize("trigger", ["margin", "guard"])
def test_what_a_reviewer_has_rejected_is_not_written_whomever_it_resembles(run, tmp_path, enrolled, embedder, trigger):
    embedder.strange = staticmethod(lambda call: True)
    target = tmp_path / "o.png"
    status, _, _ = run("mix", *PAIR, "-o", target, "--recipe", tmp_path / "recipe.json")
    assert status == 0
    target.unlink()
    recipe = Recipe.from_json((tmp_path / "recipe.json").read_text())
    with open_database(load_settings()) as database:
        reviews = Reviews.open(load_settings(), database)
        subject = "somebody-else-xx" if trigger == "guard" else None
        held, _ = reviews.hold("r-1", trigger, "near", recipe_hash=hash_of([recipe.hash]), subject=subject)
        reviews.reject(held.id, held.version, actor="r", reason="degrading")
    assert run("mix", *PAIR, "-o", target)[0] == 11
    assert not target.exists()


def test_who_cannot_be_compared_with_is_said_once(run, tmp_path, enrolled, monkeypatch):
    monkeypatch.setattr("facemix.faces.embedder.load_embedder", lambda: None)
    said = "note: not everybody who is protected is compared with: the face embedder is not installed: pip install"
    status, _, err = run("animate", *PAIR, "--seconds", "0.3", "-o", tmp_path / "o.gif", "--size", "128")
    assert status == 0
    assert [line for line in err.splitlines() if "protected" in line] == [f"{said} 'facemix[identity]'"]
    run("guard", "remove", "--", enrolled)
    assert run("mix", *PAIR, "-o", tmp_path / "o.png")[::2] == (0, "")


def test_people_of_another_embedder_are_said(run, tmp_path, enrolled, embedder):
    embedder.name = "another@1"
    status, _, err = run("mix", *PAIR, "-o", tmp_path / "o.png")
    assert status == 0
    assert err.startswith("note: not everybody who is protected is compared with: 1 of 1 people cannot be compared")


def test_where_nobody_is_enrolled_nothing_is_loaded_or_made(run, tmp_path, monkeypatch):
    def loaded():
        raise AssertionError("the embedder is loaded")

    monkeypatch.setattr("facemix.faces.embedder.load_embedder", loaded)
    data = Path(os.environ["FACEMIX_DATA_DIR"])
    assert run("mix", *PAIR, "-o", tmp_path / "o.png")[::2] == (0, "")
    assert list(data.iterdir()) == []
    monkeypatch.setenv("FACEMIX_DATABASE_URL", f"sqlite:///{tmp_path}/gone/x.sqlite3")
    assert run("mix", *PAIR, "-o", tmp_path / "o.png")[::2] == (0, "")
    assert not (tmp_path / "gone").exists()
    monkeypatch.delenv("FACEMIX_DATABASE_URL")
    run("guard", "list")  # makes the tables
    opened = []
    monkeypatch.setattr("facemix.storage.database.Database.open", lambda url: opened.append(url))
    assert run("mix", *PAIR, "-o", tmp_path / "o.png")[::2] == (0, "")
    assert opened == [], "a glance into the file is enough"


def test_a_gallery_elsewhere_is_asked_too(run, photos, embedder, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEMIX_DATABASE_URL", f"sqlite:///{tmp_path}/elsewhere.sqlite3")
    person = run("guard", "add", photos / "a.png", "--label", "the mayor", "--consent", CONSENT)[1].strip()
    refused(run("mix", *PAIR, "-o", tmp_path / "o.png"), person)
    assert not (Path(os.environ["FACEMIX_DATA_DIR"]) / DATABASE_FILE).exists()


def test_a_database_that_cannot_be_read_lets_nothing_out(run, tmp_path):
    (Path(os.environ["FACEMIX_DATA_DIR"]) / DATABASE_FILE).write_bytes(b"no database" * 100)
    assert run("mix", *PAIR, "-o", tmp_path / "o.png")[0] == 9
    assert list(tmp_path.iterdir()) == []


def test_what_is_around_a_face_in_a_photograph_is_not_compared(run, photos, tmp_path, enrolled, embedder, monkeypatch):
    seen = []
    embed = embedder.embed
    monkeypatch.setattr(embedder, "embed", lambda self, crops: seen.append(crops.shape) or embed(self, crops))
    status, _, _ = run("mix", photos / "crowd.png", photos / "b.jpg", "--onto", "photo:a", "-o", tmp_path / "o.png")
    assert status == 12
    ((count, height, width, _),) = seen
    assert count == 1
    assert height == width
