"""The model card, the data sheet and their pictures say what the JSON files beside the weights say."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from benchmarks import cards, curve, dataset, failures
from facemix.resources import resource_dir
from facemix.training.dataset import FaceSet
from facemix.vae.checkpoint import newest_checkpoint, read_card

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = newest_checkpoint(resource_dir("checkpoints"))
FILES = (cards.MODEL_CARD, cards.DATASHEET)


@pytest.fixture
def folder(tmp_path):
    """A copy of the shipped checkpoint's folder that may be edited, without its weights."""
    for name in ("card.json", cards.RESULTS, dataset.FILE, cards.ATTRIBUTES, *curve.LOGS):
        if (SHIPPED / name).exists():
            shutil.copy(SHIPPED / name, tmp_path / name)
    return tmp_path


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_model(folder: Path, **parts) -> None:
    """Replaces parts of the model's results."""
    edit(folder / cards.RESULTS, lambda results: results["subjects"][results["model"]].update(parts))


def figure(mean, spread=0.01, n=100):
    return {"mean": mean, "low": mean - spread, "high": mean + spread, "n": n}


def grouping(**means):
    return {
        "groups": {name: {"count": 100, "figures": {"mse": figure(mean)}} for name, mean in means.items()},
        "unlabelled": 0,
        "too_few": [],
        "worst_to_best": figure(1.5),
    }


# What is committed


@pytest.mark.parametrize("name", FILES)
def test_the_committed_cards_are_what_the_figures_say(name):
    assert (SHIPPED / name).read_text() == cards.render(SHIPPED)[name], "run `python -m benchmarks.cards`"


@pytest.mark.parametrize("name", FILES)
def test_every_link_of_the_cards_leads_somewhere(name):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", (SHIPPED / name).read_text())
    assert targets
    assert [target for target in targets if not (SHIPPED / target).exists()] == []


def test_the_committed_curve_is_that_of_the_committed_log():
    assert curve.OUT.read_text() == curve.draw([curve.shipped_run(SHIPPED)]), "run `python -m benchmarks.curve`"


def test_the_pictured_failures_are_those_of_the_shipped_weights():
    with Image.open(failures.OUT) as picture:
        drawn_by = picture.info[failures.WEIGHTS_KEY]
    assert drawn_by == read_card(SHIPPED).weights_sha256, "run `python -m benchmarks.failures DATA`"


def test_the_counts_are_those_that_the_checkpoint_was_trained_on():
    counts, data = json.loads((SHIPPED / dataset.FILE).read_text()), read_card(SHIPPED).data
    assert {name: counts[name] for name in ("kept", "splits")} == {name: data[name] for name in ("kept", "splits")}


def test_the_counts_name_no_photograph():
    text = (SHIPPED / dataset.FILE).read_text()
    assert re.findall(r"[\w-]+\.(?:jpe?g|png|webp)", text, re.I) == []
    assert set(re.findall(r"[0-9a-f]{64}", text)) == {json.loads(text)["manifest_sha256"]}


@pytest.mark.parametrize(
    ("name", "sections"),
    [
        (
            cards.MODEL_CARD,
            "Model details, Intended use, Factors, Metrics, Evaluation data, Training data, Quantitative analyses, "
            "Ethical considerations, Caveats and recommendations",
        ),
        (
            cards.DATASHEET,
            "Motivation, Composition, Collection process, Preprocessing, cleaning and labelling, Uses, Distribution, "
            "Maintenance",
        ),
    ],
)
def test_the_cards_have_the_sections_that_their_readers_look_for(name, sections):
    found = re.findall(r"^## (.+)$", (SHIPPED / name).read_text(), re.M)
    assert ", ".join(found) == sections


# Figures decide

# What a card says of parts that its files do not have.
ABSENT = (
    "Identity was not measured",
    "Figures by group were not measured",
    "Figures by intersection (older women, for instance) were not measured",
    "Refusals by group were not measured",
    "takes a mid-point for both of its parents was not measured",
    "Whether a reconstruction is still the same person was not measured",
    "How good faces drawn from the prior are was not measured",
    "(double edges) was not measured",
    "between their parents' was not measured",
    "No attribute directions ship",
)


def test_a_changed_figure_changes_the_model_card(folder):
    before = cards.render(folder)
    edit_model(folder, reconstruction={"psnr": figure(12.34)})
    after = cards.render(folder)
    assert "12.34 [12.33, 12.35]" in after[cards.MODEL_CARD]
    assert "12.34 [12.33, 12.35]" not in before[cards.MODEL_CARD]
    assert before[cards.DATASHEET] == after[cards.DATASHEET]


def test_a_changed_count_changes_the_data_sheet(folder):
    edit(folder / dataset.FILE, lambda counts: counts["refused"].update(face_too_turned=4321))
    assert "4,321 face too turned" in cards.render(folder)[cards.DATASHEET]


@pytest.mark.parametrize(
    ("name", "change", "remedy"),
    [
        (
            cards.RESULTS,
            lambda one: one["subjects"][one["model"]]["identity"].update(weights_sha256="0" * 64),
            "facemix evaluate",
        ),
        (dataset.FILE, lambda one: one.update(manifest_sha256="0" * 64), "benchmarks.dataset"),
        (dataset.FILE, lambda one: one.update(name="my photographs"), "template"),
    ],
)
def test_files_of_another_checkpoint_or_data_set_are_refused(folder, name, change, remedy):
    edit(folder / name, change)
    with pytest.raises(SystemExit, match=remedy):
        cards.render(folder)


def test_directions_of_another_checkpoint_are_refused(folder):
    one = {
        "name": "age",
        "title": "",
        "low": "",
        "high": "",
        "source": "label",
        "definition": "",
        "unit": "",
        "faces": 9,
    }
    one |= dict.fromkeys(("mean", "spread", "r2", "step", "deviation", "distance"), 1)
    card = {"model": "m", "weights_sha256": "0" * 64, "tensors_sha256": "0" * 64, "attributes": [one]}
    (folder / cards.ATTRIBUTES).write_text(json.dumps(card))
    with pytest.raises(SystemExit, match="facemix directions"):
        cards.render(folder)


def test_what_was_not_measured_is_said_to_be_so(folder):
    def strip(results):
        model = results["subjects"][results["model"]]
        for part in ("reconstruction", "latent", "samples", "midpoints", "wrinkles", "groups", "cost"):
            model[part] = None
        results.update(subjects={results["model"]: model}, margins={}, timing={}, embedder=None, reference={})
        results["gates"] = None

    edit(folder / cards.RESULTS, strip)
    for name in (cards.ATTRIBUTES, *curve.LOGS):
        (folder / name).unlink(missing_ok=True)
    edit(folder / dataset.FILE, lambda counts: (counts.pop("ages"), counts.pop("photograph_sizes", None)))
    texts = cards.render(folder)
    text = texts[cards.MODEL_CARD]
    for sentence in (*ABSENT, "there is no training curve"):
        assert sentence in text
    assert "curve.svg" not in text
    assert "**no**" not in text
    assert "The youngest is labelled" not in texts[cards.DATASHEET]


def test_what_was_measured_is_shown(folder):
    card = read_card(folder)
    refused = {"count": 4000, "figures": {"refused": figure(0.025, 0.001)}}

    def add(results):
        model = results["subjects"][results["model"]]
        model["groups"] = {"age": grouping(young=0.001), "gender and age": grouping(older_women=0.04, others=0.01)}
        model["midpoints"] = {"identity_both": figure(0.432), "double_edges": figure(0.3), "landmark_offset": figure(0)}
        model["reconstruction"] = {"identity_distance": figure(0.47)}
        model["samples"] = {"swd": {"mean": 12.5, "low": None, "high": None, "n": 100}}
        results.update(embedder="recogniser@1234", schema_version=2)
        results["gates"] = {
            "photographs": 4000,
            "refused": 100,
            "reasons": {"face_too_blurred": 100},
            "groups": {"age": grouping() | {"groups": {"60+": refused}}},
        }

    edit(folder / cards.RESULTS, add)
    one = {
        "name": "smile", "title": "Smile", "low": "narrow", "high": "wide", "source": "landmarks", "unit": "",
        "definition": "mouth", "faces": 9, "mean": 1, "spread": 1, "r2": 0.61, "step": 1, "deviation": 1, "distance": 1,
        "effect": {"probe": 0.9}, "side_effects": {"age": {"probe": -0.25}, "warmth": {"probe": 0.1}},
        "identity": 0.123,
    }  # fmt: skip
    attributes = {"model": card.name, "weights_sha256": card.weights_sha256, "tensors_sha256": "0" * 64}
    attributes |= {"attributes": [one], "refused": {"glasses": "no labels"}, "held": ["ethnicity"]}
    (folder / cards.ATTRIBUTES).write_text(json.dumps(attributes))
    text = cards.render(folder)[cards.MODEL_CARD]
    assert "distances are those of `recogniser@1234`" in text
    assert "took 43.2 % of the mid-points for *both*" in text
    assert "**By gender and age**" in text
    assert "older_women has the largest, others the smallest" in text
    assert "refused 100 of 4,000 photographs, of all splits (2.50 %): 100 face too blurred" in text
    assert "| age | 60+ | 4,000 | 2.50 [2.40, 2.60] |" in text
    assert "| Smile: narrow to wide | landmarks: mouth | 0.61 | 0.90 | age -0.25 | 0.12 |" in text
    assert "Tried and not kept: glasses (no labels)." in text
    assert "no direction moves the label ethnicity" in text
    assert [sentence for sentence in ABSENT if sentence in text] == []


def test_sharpening_is_told_of_if_there_was_any(folder):
    sharpened = {"images_seen": 40_000, "seconds": 7200, "adversarial_weight": 0.05}
    edit(folder / "card.json", lambda card: card["training"].pop("sharpen", None))
    assert "discriminator" not in cards.render(folder)[cards.MODEL_CARD]
    edit(folder / "card.json", lambda card: card["training"].update(sharpen=sharpened))
    text = cards.render(folder)[cards.MODEL_CARD]
    assert "40,000 photographs in 2.0 hours, adversarial weight 0.05" in text
    assert "once more" not in text
    edit(folder / "card.json", lambda card: card["training"]["sharpen"].update(before=sharpened))
    assert "sharpened once more" in cards.render(folder)[cards.MODEL_CARD]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("coarse_size", 100, "Only the first 100"), ("linear_side", 32, "32 x 32 pixels; the")],
)
def test_the_parts_of_the_network_are_told_of_if_it_has_them(folder, field, value, words):
    edit(folder / "card.json", lambda card: card["config"].update({field: 0}))
    assert words not in cards.render(folder)[cards.MODEL_CARD]
    edit(folder / "card.json", lambda card: card["config"].update({field: value}))
    assert words in cards.render(folder)[cards.MODEL_CARD]


def test_the_card_calls_older_people_smoothed_only_if_they_are(folder):
    for kept, said in ((0.7, True), (1.2, False)):
        edit_model(folder, wrinkles={"60_and_over": figure(kept), "under_30": figure(0.9)})
        assert ("Older people come out smoother" in cards.render(folder)[cards.MODEL_CARD]) is said


# Comparisons and aims


def two(mine, theirs, margin=None, part="reconstruction", name="psnr"):
    return {
        "model": "m",
        "subjects": {"m": {"kind": "vae", part: {name: mine}}, "o": {"kind": "pca", part: {name: theirs}}},
        "margins": {"o": {part: {name: margin}}} if margin else {},
    }


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        (two(figure(26), figure(25)), "ahead"),
        (two(figure(25), figure(26)), "behind"),
        (two(figure(25.001), figure(25)), "level"),
        (two(figure(25.001), figure(25), figure(0.001, 0.0005)), "ahead"),
        (two(figure(26), figure(25), figure(1, 2)), "level"),
        (two(figure(0.2), figure(0.4), name="identity_distance"), "ahead"),
        (two(figure(0.5), figure(0.4), name="identity_distance"), "behind"),
        (two(figure(0.9), figure(0.5), name="sharpness"), "ahead"),
        (two(figure(1.9), figure(0.5), name="sharpness"), "behind"),
    ],
)
def test_figures_decide_who_is_ahead(results, verdict):
    found = cards.comparisons(results)["o"]
    assert [name for name, items in found.items() if items] == [verdict]


def test_what_only_one_of_two_has_is_not_compared():
    nothing = {"mean": None, "low": None, "high": None, "n": 0}
    assert not any(cards.comparisons(two(figure(26), nothing))["o"].values())
    assert not any(cards.comparisons(two(figure(26), None))["o"].values())


def test_aims_are_reached_missed_open_or_not_measured():
    results = two(figure(0.85, 0.1), figure(0.3), name="sharpness")
    results["subjects"]["m"] |= {"groups": {"age": {"worst_to_best": figure(1.3)}}, "midpoints": None}
    found = {one["words"]: (one["reached"], one["open"]) for one in cards.aims(results)}
    assert found["sharpness kept in reconstructions"] == (True, True)
    assert found["worst to best group by age, squared error"] == (False, False)
    assert found["worst to best group by gender, squared error"] == (None, False)
    assert found["PSNR above PCA of the same size, dB"] == (None, False)
    over = two(figure(30), figure(28), figure(2))
    over["subjects"]["m"]["groups"] = None
    assert cards.aims(over)[0]["reached"] is True


# Counting a data set


def prepared(folder: Path) -> Path:
    people = [
        ("train", {"age": 25, "gender": "female", "ethnicity": "Asian"}, 0.1),
        ("train", {"age": 64, "gender": "male", "ethnicity": "White"}, 0.2),
        ("test", {"age": 91, "gender": "male", "ethnicity": "White"}, 0.3),
        ("validation", {}, 0.6),
        (None, {"age": 18, "gender": "female", "ethnicity": "Asian"}, None),
    ]
    rows = []
    for number, (split, labels, yaw) in enumerate(people):
        digest = hashlib.sha256(bytes([number])).hexdigest()
        row = {"source": f"person-{number}.jpg", "sha256": digest, "labels": labels}
        quality = {"face_pixels": 80, "sharpness": 0.1, "yaw": yaw, "brightness": 0.5}
        rows.append(row | ({"split": split, "quality": quality} if split else {"refused": "face_not_found"}))
        Image.new("RGB", (200 if number else 100, 200)).save(folder / row["source"])
    manifest = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(manifest)
    (folder / "shard-00000.tar").write_bytes(bytes(1000))
    summary = {
        "name": "people",
        "licence": "CC0-1.0",
        "crop_size": 32,
        "facemix_version": "0",
        "manifest_sha256": hashlib.sha256(manifest.encode()).hexdigest(),
        "photographs": 5,
        "kept": 4,
        "splits": {"train": 2, "validation": 1, "test": 1},
        "split_rule": "by hand",
        "near_duplicates": 1,
        "refused": {"face_not_found": 1},
    }
    (folder / "dataset.json").write_text(json.dumps(summary))
    return folder


def test_photographs_are_counted_by_group_split_and_fate(tmp_path):
    found = dataset.describe(prepared(tmp_path), tmp_path)
    both = {"photographs": 2, "refused": 0, "train": 1, "validation": 0, "test": 1}
    assert found["groups"]["age"]["60+"] == found["groups"]["ethnicity"]["White"] == both
    assert found["groups"]["gender"]["female"]["refused"] == 1
    assert found["groups"]["gender"]["unlabelled"]["validation"] == 1
    assert {"age": "60+", "gender": "male", "ethnicity": "White"} | both in found["intersections"]
    assert sum(one["photographs"] for one in found["intersections"]) == found["photographs"]
    assert found["ages"] == {
        "youngest": 18, "oldest": 91, "decades": {"under 20": 1, "20-29": 1, "60-69": 1, "80+": 1}
    }  # fmt: skip
    assert found["near_duplicate_groups"] == 3
    assert found["crop_bytes"] == 1000
    assert found["quality"]["yaw"]["50"] == 0.25  # of the kept ones alone
    assert found["photograph_sizes"] == [
        {"width": 200, "height": 200, "count": 4},
        {"width": 100, "height": 200, "count": 1},
    ]


def test_the_counts_hold_no_file_name_and_no_hash_of_a_photograph(tmp_path):
    text = json.dumps(dataset.describe(prepared(tmp_path), tmp_path))
    assert "person-" not in text
    assert len(re.findall(r"[0-9a-f]{64}", text)) == 1


# The curve


def log(path: Path, *lines: dict) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_log_goes_on_where_the_one_before_it_ended(tmp_path):
    first = log(tmp_path / "a", {"images": 10, "validation/psnr": 20}, {"images": 30, "validation/psnr": 22})
    second = log(tmp_path / "b", {"images": 0, "validation/psnr": 22}, {"images": 5, "validation/sharpness_pooled": 1})
    run = curve.read_run("both", [first, second])
    assert run.figures == {"psnr": [(10, 20), (30, 22), (30, 22)], "sharpness_pooled": [(35, 1)]}
    assert run.joints == (30,)


def test_every_run_has_a_line_in_every_panel_that_it_has_figures_for():
    runs = [
        curve.Run("one", {"psnr": [(1000, 20), (2000, 25)], "kl": [(1000, 5)]}),
        curve.Run("<two>", {"psnr": [(3000, 22)]}),
    ]
    drawn = ElementTree.fromstring(curve.draw(runs))
    svg = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f".//{svg}polyline")) == 3
    words = [text.text for text in drawn.iter(f"{svg}text")]
    for wanted in ("one", "<two>", "PSNR, dB", "nats per face", "photographs seen, thousands"):
        assert wanted in words


def test_points_lie_where_the_axes_say():
    drawn = ElementTree.fromstring(curve.draw([curve.Run("one", {"psnr": [(0, 20), (10_000, 30)]})]))
    svg = "{http://www.w3.org/2000/svg}"
    (line,) = drawn.findall(f".//{svg}polyline")
    (first, last) = (tuple(map(float, point.split(","))) for point in line.get("points").split())
    rulers = {text.text: text for text in drawn.iter(f"{svg}text")}
    assert first[0] == float(rulers["0"].get("x"))
    assert last[0] == float(rulers["10"].get("x"))
    assert first[1] == float(rulers["20"].get("y")) - 4
    assert last[1] < first[1]


@pytest.mark.parametrize("runs", [[], [curve.Run("one", {})], [curve.Run("one", {"psnr": [(1, 2)]})] * 5])
def test_a_curve_that_cannot_be_read_is_not_drawn(runs):
    with pytest.raises(SystemExit):
        curve.draw(runs)


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
@example(0, 0)
@example(5e-324, 0)
@example(12.5, 1e-9)
def test_ticks_are_few_even_and_enclose_what_is_drawn(low, length):
    high = low + length
    found = curve.ticks(low, high)
    assert 2 <= len(found) <= 8
    tolerance = 1e-6 * max(abs(low), abs(high), 1e-6)
    assert found[0] <= low + tolerance
    assert found[-1] >= high - tolerance
    steps = np.diff(found)
    assert (steps > 0).all()
    assert np.allclose(steps, steps[0], rtol=1e-3)


# The failures


PHOTOGRAPH = (200, 90, 10)  # the colour of every photograph here


class Darker:
    """Draws every face less red by its latent; its mid-points lie between."""

    latent_size, coarse_size = 1, 0

    def __init__(self, errors):
        self._errors = errors

    def encode(self, faces):
        return torch.tensor(self._errors, dtype=torch.float32)[:, None]

    def decode(self, z):
        pictures = np.full((len(z), 32, 32, 3), PHOTOGRAPH, np.uint8)
        pictures[..., 0] -= z[:, :1, None].byte().numpy()
        return pictures


class NoFace:
    def detect(self, image):
        return []


def test_the_worst_are_taken_once_and_worst_first():
    badness, members = np.array([1.0, 5, 3, 5, 2]), np.array([True, True, False, True, True])
    assert failures.worst(badness, members, count=3) == [1, 3, 4]
    assert failures.worst(badness, members, {1}, count=3) == [3, 4, 0]


def test_failures_are_chosen_by_their_rule_and_show_what_the_model_drew():
    errors = list(range(0, 60, 3))
    rows = [{"labels": {"age": 70 if index in (2, 19) else 30}, "quality": {"yaw": 0.1}} for index in range(20)]
    rows[5]["quality"]["yaw"] = 0.5
    faces = FaceSet(torch.tensor(PHOTOGRAPH, dtype=torch.uint8).expand(20, 32, 32, 3), tuple(rows))
    everyone, old, turned, mixes = failures.failures(Darker(errors), faces, NoFace())
    assert [int(picture[0, 0, 0]) for picture in everyone.pictures] == [200 - error for error in errors[:11:-1]]
    assert [int(picture[0, 0, 0]) for picture in old.pictures] == [194]  # 19 is among the worst of all already
    assert [int(picture[0, 0, 0]) for picture in turned.pictures] == [185]
    assert len(mixes.pictures) == failures.PER_ROW
    assert set(mixes.labels) == {"0.00"}
    page = np.asarray(failures.drawn([everyone, old, turned, mixes]))
    for row in (everyone, old, turned, mixes):
        for picture in row.pictures:
            assert (page == picture[0, 0]).all(2).any()
    assert not (page == PHOTOGRAPH).all(2).any()


def test_a_row_without_members_is_left_out():
    faces = FaceSet(torch.tensor(PHOTOGRAPH, dtype=torch.uint8).expand(4, 32, 32, 3), tuple({} for _ in range(4)))
    rows = failures.failures(Darker([1, 2, 3, 4]), faces, NoFace())
    assert [row.title.split(",")[0] for row in rows] == ["Reconstructions", "Mid-points of two people"]
