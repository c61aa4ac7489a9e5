"""The pages about the models, from the folders of checkpoints."""

import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from fake_mixer import FakeMixer
from PIL import Image
from web_client import running

from benchmarks import curve, pictures
from facemix.evaluation.results import Figure, Group, Grouping
from facemix.mixing.recipe import ModelIdentity
from facemix.resources import resource_dir
from facemix.settings import Settings
from facemix.vae.checkpoint import newest_checkpoint, read_card
from facemix.web import model_views
from facemix.web.catalogue import PICTURES, PICTURES_FILE, Pictures, catalogue
from facemix.web.model_views import cell, model_view

SHIPPED = newest_checkpoint(resource_dir("checkpoints"))
CARD = read_card(SHIPPED)
SHIPPED_ID = f"{CARD.name}@{CARD.weights_sha256[:12]}"
HTML = {"Accept": "text/html"}


class Text(HTMLParser):
    """What a page says, without its markup, and where its pictures and links lead."""

    def __init__(self, text):
        super().__init__()
        self.said, self.pictures, self.links = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "img":
            self.pictures.append(attrs)
        if tag == "a":
            self.links.append(attrs["href"])

    def handle_data(self, data):
        self.said.append(data)

    def __str__(self):
        return " ".join(" ".join(self.said).split())


class Live(FakeMixer):
    """Answers with the shipped model's name."""

    def __init__(self):
        super().__init__()
        self.model = ModelIdentity(name=CARD.name, weights=CARD.weights_sha256, latent_schema=CARD.latent_schema)
        self.card = CARD.model_dump(mode="json")


@pytest.fixture(scope="module")
def client():
    with running(Live) as made:
        yield made


@pytest.fixture(scope="module")
def page(client):
    return Text(client.get("/models", headers=HTML).text)


@pytest.fixture
def folder(tmp_path):
    """A copy of the shipped checkpoint without its weights, as a model of its own."""
    made = tmp_path / "other"
    shutil.copytree(SHIPPED, made, ignore=shutil.ignore_patterns("*.safetensors"))
    return made


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# What is shown


def test_the_live_model_comes_with_its_whole_card(page):
    said = str(page)
    for words in (SHIPPED_ID, CARD.weights_sha256, CARD.data["name"], "Whom it serves worse", "What it cannot do"):
        assert words in said
    assert CARD.limitations[0][1:] in said
    assert "non-commercial research only" in said.lower()


def test_figures_are_those_of_the_results_file(page):
    results = json.loads((SHIPPED / "results.json").read_text())
    model = results["subjects"][results["model"]]
    for part, name, digits in (
        ("reconstruction", "psnr", 2),
        ("reconstruction", "identity_distance", 3),
        ("midpoints", "double_edges", 2),
        ("midpoints", "identity_both", 3),
    ):
        figure = model[part][name]
        shown = f"{figure['mean']:.{digits}f} {figure['low']:.{digits}f} to {figure['high']:.{digits}f}"
        assert shown in str(page), (part, name)
    for grouping in model["groups"].values():
        ratio = grouping["worst_to_best"]
        assert f"{ratio['mean']:.2f} times as large for people labelled" in str(page)
        for name, group in grouping["groups"].items():
            assert f"{name} {group['count']:,}" in str(page)


def test_shares_of_the_training_are_those_that_were_counted(page):
    counts = json.loads((SHIPPED / "dataset.json").read_text())
    for groups in counts["groups"].values():
        for name, one in groups.items():
            assert f"{name} {100 * one['train'] / counts['splits']['train']:.0f} %" in str(page)


def test_every_picture_is_there_as_large_as_it_is_said_to_be(client, page, tmp_path):
    assert len(page.pictures) >= 5
    for picture in page.pictures:
        answer = client.get(picture["src"])
        assert answer.status_code == 200
        assert picture["alt"]
        if picture["src"].endswith(".webp"):
            assert answer.headers["content-type"] == "image/webp"
            (tmp_path / "picture").write_bytes(answer.content)
            with Image.open(tmp_path / "picture") as image:
                assert image.size == (int(picture["width"]), int(picture["height"]))
        else:
            assert answer.headers["content-type"].startswith("image/svg+xml")
        assert "max-age" in answer.headers["cache-control"]


def test_documents_are_given_out_as_they_are(client, page):
    links = [link for link in page.links if link.startswith(f"/models/{SHIPPED_ID}/")]
    assert len(links) == 5
    for link in links:
        answer = client.get(link)
        assert answer.content == (SHIPPED / link.rpartition("/")[2]).read_bytes()
        assert answer.headers["content-type"].startswith(("text/plain", "application/json"))
    assert client.get("/models/terms").content == (SHIPPED.parent / "LICENSE-WEIGHTS.md").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "card.json",
        "..%2fLICENSE-WEIGHTS.md",
        "%2e%2e",
        "pictures",
        "pictures%2fmix.webp",
        "x.webp",
    ],
)
def test_nothing_else_of_the_folder_is_given_out(client, name):
    assert client.get(f"/models/{SHIPPED_ID}/{name}").status_code == 404


def test_a_model_has_an_address_of_its_own_and_an_unknown_one_is_a_page(client):
    own = client.get(f"/models/{SHIPPED_ID}", headers=HTML)
    assert own.status_code == 200
    assert CARD.weights_sha256 in own.text
    for other in ("nothing", "%00", "facemix-128@000000000000"):
        answer = client.get(f"/models/{other}", headers=HTML)
        assert answer.status_code == 404
        assert "there is no model" in answer.text.lower()


def test_the_former_address_leads_to_the_models(client):
    answer = client.get("/model")
    assert (answer.status_code, answer.headers["location"]) == (308, "/models")


def test_a_live_model_without_a_folder_shows_what_the_mixer_says():
    with running() as client:
        text = client.get("/models", headers=HTML).text
        assert "Hats are &lt;not&gt; kept." in text
        assert "ab" * 32 in text
        assert "discs" in text
        shown = Text(text)
        assert shown.pictures == []
        assert f"/models/{SHIPPED_ID}" in shown.links
        assert "not live" in str(shown).lower()
        assert "not live" in client.get(f"/models/{SHIPPED_ID}").text


# Which models there are


def entries(live=None, **settings):
    return catalogue(Settings(**settings), live)


def test_a_checkpoint_that_was_chosen_stands_beside_those_that_ship(folder):
    edit(folder / "card.json", name="mine", weights_sha256="1f" * 32, created="2030-01-01T00:00:00+00:00")
    found = entries(checkpoint=folder)
    assert [entry.model.name for entry in found][:2] == ["mine", CARD.name]
    assert not any(entry.live for entry in found)
    found = entries(Live(), checkpoint=folder)
    assert [(entry.model.name, entry.live) for entry in found][:2] == [(CARD.name, True), ("mine", False)]


def test_what_belongs_to_other_weights_is_left_out(folder):
    edit(folder / "card.json", name="mine", weights_sha256="1f" * 32)
    (mine, *_) = (entry for entry in entries(checkpoint=folder) if entry.model.name == "mine")
    assert mine.results is None
    assert mine.attributes is None
    assert mine.pictures == {}
    view = model_view(mine)
    assert (view.reconstruction, view.groups, view.attributes, view.measured) == (None, [], [], "")
    assert dict(view.data)["data set"] == CARD.data["name"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 3}', "\x00"])
def test_a_folder_without_a_card_is_no_model(folder, text, caplog):
    (folder / "card.json").write_text(text)
    assert [entry.model.name for entry in entries(checkpoint=folder)] == [CARD.name]
    assert "is no checkpoint's card" in caplog.text


@pytest.mark.parametrize("name", ["results.json", "dataset.json", "attributes.json", f"{PICTURES}/{PICTURES_FILE}"])
def test_damaged_files_leave_the_rest_of_the_page(folder, name):
    (folder / name).write_text("{")
    with running(Live, checkpoint=folder) as client:
        said = str(Text(client.get("/models", headers=HTML).text))
        assert CARD.weights_sha256 in said
        assert ("What was measured" in said) == (name != "results.json")


def test_a_file_that_changes_is_read_again(folder):
    edit(folder / "card.json", name="mine", weights_sha256="1f" * 32)
    assert entries(checkpoint=folder)[0].model.name in ("mine", CARD.name)
    edit(folder / "card.json", name="yours")
    assert "yours" in [entry.model.name for entry in entries(checkpoint=folder)]


# Words that depend on the figures


def figure(mean, spread=0.1):
    return Figure(mean=mean, low=mean - spread, high=mean + spread, n=10)


def grouping(ratio, too_few=(), **errors):
    groups = {name: Group(count=10, figures={"mse": figure(error)}) for name, error in errors.items()}
    return Grouping(groups=groups, unlabelled=0, too_few=too_few, worst_to_best=ratio)


def test_the_verdict_names_the_worst_and_the_best_that_have_a_say():
    view = model_views._group("hair_colour", grouping(figure(1.5), red=0.3, black=0.1, grey=0.2, few=0.9), None)
    assert view.verdict.startswith("The squared error is 1.50 times as large for people labelled few as")
    view = model_views._group("hair_colour", grouping(figure(1.5), ("few",), red=0.3, black=0.1, few=0.9), None)
    assert "labelled red as for those labelled black (95 % interval: 1.40 to 1.60)" in view.verdict
    assert view.label == "hair colour"
    assert {row.name: row.error for row in view.rows}["few"] == 1


@pytest.mark.parametrize("ratio", [None, Figure(mean=None, low=None, high=None, n=0)])
def test_without_a_ratio_there_is_no_verdict(ratio):
    assert model_views._group("age", grouping(ratio, young=0.1, old=0.2), None).verdict == ""


def test_cells():
    assert cell(None, 2).value == cell(Figure(mean=None, low=None, high=None, n=0), 2).value == "–"
    assert cell(Figure(mean=1.234, low=None, high=None, n=1), 1) == model_views.Cell("1.2")
    assert cell(figure(1.0), 1) == model_views.Cell("1.0", "0.9 to 1.1")


# What is committed


def test_the_committed_pictures_are_those_of_the_shipped_weights():
    about = Pictures.model_validate_json((SHIPPED / PICTURES / PICTURES_FILE).read_text())
    assert about.weights_sha256 == CARD.weights_sha256, "run `python -m benchmarks.pictures`"
    assert {one.name for one in about.pictures} | {PICTURES_FILE} == {
        path.name for path in (SHIPPED / PICTURES).iterdir()
    }
    assert (SHIPPED / PICTURES / "curve.svg").read_text() == curve.draw([curve.shipped_run(SHIPPED)])
    names = [one["name"] for one in json.loads((SHIPPED / "attributes.json").read_text())["attributes"]]
    assert {f"attribute-{name}.webp" for name in names} <= {one.name for one in about.pictures}


@pytest.mark.slow
def test_the_committed_pictures_are_what_the_shipped_weights_draw():
    from facemix.serving.engine import engine_from_settings

    engine = engine_from_settings(Settings(checkpoint=SHIPPED, backend="torch", device="cpu", precision="fp32"))
    try:
        drawn = pictures.drawn(engine)
    finally:
        engine.close()
    for name, (pixels, _) in drawn.items():
        with Image.open(SHIPPED / PICTURES / name) as image:
            committed = np.asarray(image.convert("RGB")).astype(int)
        assert committed.shape == pixels.shape
        assert np.abs(committed - pixels).mean() < 4, f"{name}: run `python -m benchmarks.pictures`"
