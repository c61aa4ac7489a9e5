"""A model as its page shows it: facts, tables and pictures, each from a file beside the weights and none typed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from facemix.evaluation.results import Figure, Grouping, Results, Subject
from facemix.evaluation.table import MORPHING
from facemix.faces.embedder import SAME_PERSON
from facemix.web.card import card_licence, card_limitations, card_rows
from facemix.web.catalogue import Entry, Picture

_NONE = "–"
# What is shown of each part of the results: name, words, digits, what the figure means.
_RECONSTRUCTION = (
    ("psnr", "PSNR, dB", 2, "more is closer to the photograph"),
    ("ssim", "SSIM", 3, "1 is the photograph itself"),
    ("sharpness", "sharpness kept", 2, "1 is all of the photograph's"),
    ("sharpness_pooled", "sharpness kept, pooled", 2, "the same over all faces at once"),
    ("colour_shift", "colour shift, Delta E", 2, "less is better; nobody sees less than 1"),
    ("variance", "variety of faces kept", 2, "below 1, people come out more alike than they are"),
    ("asymmetry", "asymmetry kept", 2, "below 1, people come out more even than they are"),
    ("identity_distance", "identity distance", 3, "to a face recogniser; less is more alike"),
    ("same_person", "taken for the same person", 3, "share, by that recogniser"),
)
_MIDPOINTS = (
    ("sharpness", "sharpness, over their ends'", 2, "1 is as sharp as the two faces they lie between"),
    ("double_edges", "double edges", 2, "1 is two pictures laid over each other"),
    ("ghost", "distance from a cross-fade", 3, "0 is a cross-fade"),
    ("confidence", "confidence of a face detector", 3, "that this is a face"),
    ("landmark_offset", "landmarks beside the middle", 3, "of their ends'; less is better"),
    ("identity_to_parents", "identity distance to the parents", 3, "less is more alike"),
    ("identity_both", MORPHING, 3, f"share below {SAME_PERSON:g} from each, by a face recogniser"),
)
_GROUPS = (
    ("psnr", "PSNR, dB", 2),
    ("sharpness", "sharpness kept", 2),
    ("identity_distance", "identity distance", 2),
)
# Parts of the card that are shown as they are.
_SECTIONS = (
    ("metrics", "On the validation split, at the end of training (psnr in dB, kl in nats)"),
    ("config", "Built as"),
)
# Of a subject, beside its name.
_KINDS = {
    "pca": "the best linear code of the same size",
    "cross-fade": "the two photographs laid over each other",
    "vae": "another autoencoder, trained here for comparison",
}
_SPLITS = {"train": "to learn from", "validation": "to choose by", "test": "to be measured on"}
_ORDER = ("vae", "pca", "cross-fade")


@dataclass(frozen=True)
class Cell:
    """A figure as text, and its 95 % interval where it has one."""

    value: str
    interval: str = ""


@dataclass(frozen=True)
class Table:
    """rows: (words, what the figure means, a cell per column)."""

    columns: Sequence[str]
    rows: Sequence[tuple[str, str, Sequence[Cell]]]


@dataclass(frozen=True)
class GroupRow:
    """error: squared error as a share of the worst group's, 0 to 1; None where it was not measured."""

    name: str
    faces: int
    trained_on: str
    error: float | None
    cells: Sequence[Cell]


@dataclass(frozen=True)
class GroupTable:
    """One label of the data set: whom the model serves worse.

    Attributes:
        verdict: a sentence, empty where there is nothing to compare.
    """

    label: str
    columns: Sequence[str]
    rows: Sequence[GroupRow]
    verdict: str
    too_few: Sequence[str]


@dataclass(frozen=True)
class AttributeView:
    title: str
    low: str
    high: str
    definition: str
    source: str
    picture: Picture | None


@dataclass(frozen=True)
class ModelView:
    """Everything that the page of a model shows. Empty parts are left out of it."""

    id: str
    name: str
    live: bool
    created: str
    licence: str
    limitations: Sequence[str]
    identity: Sequence[tuple[str, str]]
    facts: Sequence[tuple[str, str]]
    data: Sequence[tuple[str, str]]
    trained_on: Mapping[str, Sequence[tuple[str, str]]]
    measured: str
    reconstruction: Table | None
    midpoints: Table | None
    others: Sequence[tuple[str, str]]
    groups: Sequence[GroupTable]
    refused: Sequence[tuple[str, str, str]]
    sections: Sequence[tuple[str, Sequence[tuple[str, str]]]] = ()
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    attributes: Sequence[AttributeView] = ()
    documents: Mapping[str, str] = field(default_factory=dict)


def model_view(entry: Entry) -> ModelView:
    """Reads the files beside the weights, so it runs in a thread."""
    card, results, counts, pictures = entry.card, entry.results, entry.counts, entry.pictures
    subjects = {} if results is None else _ordered(results)
    model = None if results is None else results.subjects[results.model]
    return ModelView(
        id=entry.id,
        name=entry.model.name,
        live=entry.live,
        created=str(card.get("created", ""))[:10],
        licence=card_licence(card),
        limitations=card_limitations(card),
        identity=[
            ("name", entry.model.name),
            ("weights, SHA-256", entry.model.weights),
            ("latent schema", str(entry.model.latent_schema)),
        ],
        facts=_facts(card, results, model),
        data=_data(card, counts),
        trained_on=_trained_on(counts),
        measured=_measured(results),
        reconstruction=_table(subjects, "reconstruction", _RECONSTRUCTION),
        midpoints=_table(subjects, "midpoints", _MIDPOINTS),
        others=[
            (name, _KINDS[one.kind]) for name, one in subjects.items() if results is not None and name != results.model
        ],
        groups=[] if model is None else [_group(*one, counts) for one in (model.groups or {}).items()],
        refused=_refused(results),
        sections=[(title, rows) for key, title in _SECTIONS if (rows := card_rows(card.get(key)))],
        pictures=pictures,
        attributes=_attributes(entry, pictures),
        documents=entry.documents,
    )


# --- facts -------------------------------------------------------------------------------------------------


def _facts(card: Mapping[str, Any], results: Results | None, model: Subject | None) -> list[tuple[str, str]]:
    config = card.get("config") or {}
    found = []
    if side := config.get("crop_size"):
        found.append(("takes and draws", f"{side} x {side} pixels around the face"))
    if size := config.get("latent_size"):
        words = f"{size:,} numbers for a face"
        if coarse := config.get("coarse_size"):
            words += f", of which {coarse:,} mix and the rest is detail"
        found.append(("latent", words))
    if model is not None and (cost := model.cost) is not None:
        found.append(("size", f"{cost.parameters / 1e6:.1f} million parameters"))
        found.append(("work", f"{(cost.encode_flops + cost.decode_flops) / 1e9:.2f} GFLOP to encode and decode a face"))
        if cost.training_images and cost.training_seconds:
            hours = f"{cost.training_seconds / 3600:.1f} device-hours"
            found.append(("training", f"{cost.training_images:,} photographs seen in {hours}"))
    if results is not None:
        times = results.timing.get("per_face", {}).get(results.model, {})
        if times.get("encode_ms") is not None and times.get("decode_ms") is not None:
            threads = results.timing.get("threads")
            found.append(
                ("time", f"{times['encode_ms']} ms to encode, {times['decode_ms']} ms to decode, {threads} CPU threads")
            )
    return found


def _data(card: Mapping[str, Any], counts: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    data = card.get("data") or {}
    found = [("data set", str(data["name"]))] if data.get("name") else []
    splits = data.get("splits")
    if isinstance(splits, Mapping):
        parts = [f"{splits[name]:,} {words}" for name, words in _SPLITS.items() if isinstance(splits.get(name), int)]
        found.append(("photographs", ", ".join(parts)))
    if counts is not None and (ages := counts.get("ages")):
        found.append(("ages, as labelled", f"{ages['youngest']} to {ages['oldest']}"))
    if counts is not None and counts.get("licence"):
        found.append(("terms", str(counts["licence"])))
    return found


def _trained_on(counts: Mapping[str, Any] | None) -> dict[str, list[tuple[str, str]]]:
    """By label: the groups and their shares of the training photographs."""
    if counts is None:
        return {}
    whole = counts["splits"]["train"]
    return {
        _words(label): [(name, f"{100 * one['train'] / whole:.0f} %") for name, one in groups.items()]
        for label, groups in counts["groups"].items()
        if whole
    }


def _measured(results: Results | None) -> str:
    if results is None:
        return ""
    data = results.data
    faces = f"{data.faces:,}" if data.faces == data.split_faces else f"{data.faces:,} of the {data.split_faces:,}"
    return f"{faces} faces of the {data.split} split of {data.name}, and {data.pairs:,} mid-points of random pairs"


# --- tables ------------------------------------------------------------------------------------------------


def _ordered(results: Results) -> dict[str, Subject]:
    """The model first, the cross-fade last."""
    names = sorted(
        results.subjects, key=lambda name: (name != results.model, _ORDER.index(results.subjects[name].kind), name)
    )
    return {name: results.subjects[name] for name in names}


def _table(subjects: Mapping[str, Subject], part: str, lines: Sequence[tuple[str, str, int, str]]) -> Table | None:
    """The lines that were measured of anybody, with a column for whoever has any of them."""
    shown = {name: getattr(one, part) for name, one in subjects.items() if getattr(one, part)}
    rows = []
    for name, words, digits, note in lines:
        figures = [one.get(name) for one in shown.values()]
        if any(figure is not None and figure.mean is not None for figure in figures):
            rows.append((words, note, [cell(figure, digits) for figure in figures]))
    return Table(list(shown), rows) if rows else None


def cell(figure: Figure | None, digits: int) -> Cell:
    """A dash where nothing was measured."""
    if figure is None or figure.mean is None:
        return Cell(_NONE)
    if figure.low is None or figure.high is None:
        return Cell(f"{figure.mean:.{digits}f}")
    return Cell(f"{figure.mean:.{digits}f}", f"{figure.low:.{digits}f} to {figure.high:.{digits}f}")


def _group(label: str, grouping: Grouping, counts: Mapping[str, Any] | None) -> GroupTable:
    columns = [
        (name, words, digits)
        for name, words, digits in _GROUPS
        if any(name in group.figures for group in grouping.groups.values())
    ]
    errors = {
        name: figure.mean
        for name, group in grouping.groups.items()
        if (figure := group.figures.get("mse")) is not None and figure.mean is not None
    }
    worst = max(errors.values(), default=0.0)
    shares = dict(_trained_on(counts).get(_words(label), ()))
    rows = [
        GroupRow(
            name=name,
            faces=group.count,
            trained_on=shares.get(name, _NONE),
            error=errors[name] / worst if worst and name in errors else None,
            cells=[cell(group.figures.get(figure), digits) for figure, _, digits in columns],
        )
        for name, group in grouping.groups.items()
    ]
    titles = [words for _, words, _ in columns]
    return GroupTable(_words(label), titles, rows, _verdict(grouping, errors), list(grouping.too_few))


def _verdict(grouping: Grouping, errors: Mapping[str, float]) -> str:
    """Whom it serves worse, in words; what chance may explain is said to be so."""
    ratio = grouping.worst_to_best
    compared = {name: error for name, error in errors.items() if name not in grouping.too_few}
    if ratio is None or ratio.mean is None or len(compared) < 2:
        return ""
    worst, best = max(compared, key=compared.__getitem__), min(compared, key=compared.__getitem__)
    sure = "" if ratio.low is None else f" (95 % interval: {ratio.low:.2f} to {ratio.high:.2f})"
    return (
        f"The squared error is {ratio.mean:.2f} times as large for people labelled {worst} as for those labelled "
        f"{best}{sure}."
    )


def _refused(results: Results | None) -> list[tuple[str, str, str]]:
    """Label, group and the share that the gates refused, in percent."""
    gates = None if results is None else results.gates
    found = []
    for label, grouping in ({} if gates is None else gates.groups).items():
        for name, group in grouping.groups.items():
            share = group.figures.get("refused")
            if share is not None and share.mean is not None:
                found.append((_words(label), name, f"{100 * share.mean:.2f} %"))
    return found


def _attributes(entry: Entry, pictures: Mapping[str, Picture]) -> list[AttributeView]:
    found = [] if entry.attributes is None else entry.attributes.get("attributes", [])
    return [
        AttributeView(
            title=one["title"],
            low=one["low"],
            high=one["high"],
            definition=one["definition"],
            source=one["source"],
            picture=pictures.get(f"attribute-{one['name']}.webp"),
        )
        for one in found
    ]


def _words(name: str) -> str:
    return name.replace("_", " ")
