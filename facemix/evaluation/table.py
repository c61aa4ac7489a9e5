"""Results as a table to read: subjects side by side, a line per figure."""

from __future__ import annotations

from collections.abc import Callable

from facemix.evaluation import sharp_table
from facemix.evaluation.results import Figure, Gates, Results, Subject
from facemix.faces.embedder import SAME_PERSON

# A portrait that passes for two people: the abuse that face mixing is known for.
MORPHING = "morphing: mid-points taken for both parents"
_NONE = "–"


def _of(part: str, name: str) -> Callable[[Subject], Figure | None]:
    return lambda subject: (getattr(subject, part) or {}).get(name)


def _worst_to_best(label: str, name: str = "worst_to_best") -> Callable[[Subject], Figure | None]:
    def find(subject: Subject) -> Figure | None:
        grouping = (subject.groups or {}).get(label)
        return grouping and getattr(grouping, name)

    return find


# Label, digits after the point, where the figure lies.
_FIGURES: tuple[tuple[str, int, Callable[[Subject], Figure | None]], ...] = (
    ("reconstruction: PSNR, dB", 2, _of("reconstruction", "psnr")),
    ("SSIM", 3, _of("reconstruction", "ssim")),
    ("MS-SSIM", 3, _of("reconstruction", "ms_ssim")),
    ("sharpness kept", 2, _of("reconstruction", "sharpness")),
    ("sharpness kept, pooled", 2, _of("reconstruction", "sharpness_pooled")),
    ("colour shift, Delta E", 2, _of("reconstruction", "colour_shift")),
    ("left-right asymmetry kept", 2, _of("reconstruction", "asymmetry")),
    ("variance across faces kept", 2, _of("reconstruction", "variance")),
    ("wrinkle band kept, 60 and over", 2, _of("wrinkles", "60_and_over")),
    ("wrinkle band kept, under 30", 2, _of("wrinkles", "under_30")),
    ("identity distance, median", 3, _of("reconstruction", "identity_distance")),
    ("taken for the same person, share", 3, _of("reconstruction", "same_person")),
    ("samples: SWD", 1, _of("samples", "swd")),
    ("samples: detector's confidence", 3, _of("samples", "confidence")),
    ("mid-points: SWD", 1, _of("midpoints", "swd")),
    ("mid-points: sharpness over their ends'", 2, _of("midpoints", "sharpness")),
    ("mid-points: sharpness over the photographs'", 2, _of("midpoints", "sharpness_to_photographs")),
    ("ghost index, 0 is a cross-fade", 3, _of("midpoints", "ghost")),
    ("double edges, 1 is a cross-fade", 3, _of("midpoints", "double_edges")),
    ("mid-points: detector's confidence", 3, _of("midpoints", "confidence")),
    ("their ends: detector's confidence", 3, _of("midpoints", "ends_confidence")),
    ("mid-points: seen as a face, share", 3, _of("midpoints", "found")),
    ("landmarks off the middle of their ends'", 3, _of("midpoints", "landmark_offset")),
    ("mid-points: identity distance to the parents", 3, _of("midpoints", "identity_to_parents")),
    ("nearer to one parent by", 3, _of("midpoints", "identity_imbalance")),
    (f"{MORPHING} (below {SAME_PERSON:g}), share", 3, _of("midpoints", "identity_both")),
    ("path: largest over mean step", 2, _of("midpoints", "smoothness")),
    ("worst to best group, age: MSE", 2, _worst_to_best("age")),
    ("worst to best group, gender: MSE", 2, _worst_to_best("gender")),
    ("worst to best group, ethnicity: MSE", 2, _worst_to_best("ethnicity")),
    ("worst to best group, age: identity", 2, _worst_to_best("age", "worst_to_best_identity")),
    ("worst to best group, gender: identity", 2, _worst_to_best("gender", "worst_to_best_identity")),
    ("worst to best group, ethnicity: identity", 2, _worst_to_best("ethnicity", "worst_to_best_identity")),
    ("KL divergence, nats per face", 0, lambda subject: subject.latent and subject.latent.kl),
)
# Lines beside whose label the photographs' own figure stands: of which lines, its name, its words.
_REFERENCES = (
    (("samples: SWD", "mid-points: SWD"), 1, "swd", "training faces"),
    (("mid-points: identity distance to the parents",), 3, "identity_between_parents", "one parent to the other"),
)
# What has no interval.
_FACTS: tuple[tuple[str, Callable[[Subject], str | None]], ...] = (
    ("latent dimensions", lambda one: str(one.latent_size) if one.latent_size else None),
    ("active dimensions", lambda one: str(one.latent.active_units) if one.latent else None),
    ("parameters, millions", lambda one: f"{one.cost.parameters / 1e6:.1f}" if one.cost else None),
    (
        "GFLOPs per encode + decode",
        lambda one: f"{(one.cost.encode_flops + one.cost.decode_flops) / 1e9:.2f}" if one.cost else None,
    ),
    (
        "training, device-hours",
        lambda one: f"{one.cost.training_seconds / 3600:.1f}" if one.cost and one.cost.training_seconds else None,
    ),
)


# Words, digits, figure.
_GROUP_COLUMNS = (
    ("PSNR, dB", 2, "psnr"),
    ("SSIM", 3, "ssim"),
    ("sharpness kept", 2, "sharpness"),
    ("identity distance", 3, "identity_distance"),
    ("between strangers", 3, "strangers"),
)


def markdown(results: Results) -> str:
    """A Markdown table, intervals in brackets, ending in a line break. Lines that no subject has are left out."""
    lines = _lines(results)
    rows = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([rows[0], "|---" * len(lines[0]) + "|", *rows[1:]]) + "\n"


def text(results: Results) -> str:
    """The same table in columns, below it the figures of every group, results at the photographs' size, whom the
    gates refused, and times, for a terminal."""
    data = results.data
    part = f"{data.faces:,} of {data.split_faces:,}" if data.faces < data.split_faces else f"{data.faces:,}"
    head = f"{data.name}, {data.split} split: {part} faces, {data.pairs:,} mid-points; 95 % intervals in brackets"
    blocks = [head, _columns(_lines(results))]
    for name, subject in results.subjects.items():
        for label, grouping in (subject.groups or {}).items():
            columns = [
                column for column in _GROUP_COLUMNS if any(column[2] in one.figures for one in grouping.groups.values())
            ]
            lines = [[f"{name} by {label}", "faces", *(words for words, _, _ in columns)]]
            for group_name, group in grouping.groups.items():
                cells = [_cell(group.figures.get(figure), digits) for _, digits, figure in columns]
                lines.append([group_name, str(group.count), *cells])
            blocks.append(_columns(lines))
    if results.sharp is not None:
        for name, title in sharp_table.titles(results.sharp).items():
            blocks += [title, _columns(sharp_table.lines(results.sharp.views[name]))]
    if results.gates is not None:
        blocks += _gates(results.gates)
    for name, times in results.timing.get("per_face", {}).items():
        blocks.append(f"{name}: {_times(times)}")
    return "\n\n".join(blocks) + "\n"


def _gates(gates: Gates) -> list[str]:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in gates.reasons.items())
    blocks = [f"refused by `facemix prepare`: {gates.refused:,} of {gates.photographs:,} faces ({reasons or 'none'})"]
    for label, grouping in gates.groups.items():
        lines = [[f"refused by {label}", "photographs", "share, %"]]
        for name, group in grouping.groups.items():
            share = group.figures["refused"]
            percent = Figure(mean=100 * share.mean, low=100 * share.low, high=100 * share.high, n=share.n)
            lines.append([name, f"{group.count:,}", _cell(percent, 2)])
        lines.append(["worst to best", "", _cell(grouping.worst_to_best, 1)])
        blocks.append(_columns(lines))
    return blocks


def _times(times: dict[str, float | None]) -> str:
    gpu = "no GPU seen"
    if times.get("gpu_encode_ms") is not None:
        gpu = f"GPU {times['gpu_encode_ms']} and {times['gpu_decode_ms']}"
    return f"milliseconds per encode and decode: CPU {times['encode_ms']} and {times['decode_ms']}, {gpu}"


def _lines(results: Results) -> list[list[str]]:
    # The file sorts its keys; in the table the model that the run is about comes first and the cross-fade last.
    kinds = ("vae", "pca", "cross-fade")
    order = sorted(results.subjects, key=lambda name: (name != results.model, kinds.index(results.subjects[name].kind)))
    subjects = {name: results.subjects[name] for name in order}
    lines = [["", *subjects]]
    for label, digits, find in _FIGURES:
        figures = [find(subject) for subject in subjects.values()]
        if any(figure and figure.n for figure in figures):
            lines.append([label + _beside(label, results), *(_cell(figure, digits) for figure in figures)])
    for label, describe in _FACTS:
        facts = [describe(subject) for subject in subjects.values()]
        if any(facts):
            lines.append([label, *(fact or _NONE for fact in facts)])
    return lines


def _beside(label: str, results: Results) -> str:
    for labels, digits, name, words in _REFERENCES:
        figure = results.reference.get(name)
        if label in labels and figure is not None and figure.mean is not None:
            return f" ({words}: {figure.mean:.{digits}f})"
    return ""


def _cell(figure: Figure | None, digits: int) -> str:
    if figure is None or figure.mean is None:
        return _NONE
    if figure.low is None or figure.high is None:
        return f"{figure.mean:.{digits}f}"
    return f"{figure.mean:.{digits}f} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"


def _columns(lines: list[list[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
