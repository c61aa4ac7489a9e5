"""Results as a table to read: subjects side by side, a line per figure."""

from __future__ import annotations

from collections.abc import Callable

from facemix.evaluation.results import Figure, Results, Subject

_NONE = "–"


def _of(part: str, name: str) -> Callable[[Subject], Figure | None]:
    return lambda subject: (getattr(subject, part) or {}).get(name)


def _worst_to_best(label: str) -> Callable[[Subject], Figure | None]:
    def find(subject: Subject) -> Figure | None:
        grouping = (subject.groups or {}).get(label)
        return grouping and grouping.worst_to_best

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
    ("mid-points: sharpness over their ends'", 2, _of("midpoints", "sharpness")),
    ("mid-points: sharpness over the photographs'", 2, _of("midpoints", "sharpness_to_photographs")),
    ("ghost index, 0 is a cross-fade", 3, _of("midpoints", "ghost")),
    ("mid-points: detector's confidence", 3, _of("midpoints", "confidence")),
    ("their ends: detector's confidence", 3, _of("midpoints", "ends_confidence")),
    ("path: largest over mean step", 2, _of("midpoints", "smoothness")),
    ("worst to best group, age: MSE", 2, _worst_to_best("age")),
    ("worst to best group, gender: MSE", 2, _worst_to_best("gender")),
    ("worst to best group, ethnicity: MSE", 2, _worst_to_best("ethnicity")),
    ("KL divergence, nats per face", 0, lambda subject: subject.latent and subject.latent.kl),
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


def markdown(results: Results) -> str:
    """A Markdown table, intervals in brackets, ending in a line break. Lines that no subject has are left out."""
    lines = _lines(results)
    rows = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([rows[0], "|---" * len(lines[0]) + "|", *rows[1:]]) + "\n"


def text(results: Results) -> str:
    """The same table in columns, and below it the figures of every group, for a terminal."""
    data = results.data
    part = f"{data.faces:,} of {data.split_faces:,}" if data.faces < data.split_faces else f"{data.faces:,}"
    head = f"{data.name}, {data.split} split: {part} faces, {data.pairs:,} mid-points; 95 % intervals in brackets"
    blocks = [head, _columns(_lines(results))]
    for name, subject in results.subjects.items():
        for label, grouping in (subject.groups or {}).items():
            lines = [[f"{name} by {label}", "faces", "PSNR, dB", "SSIM", "sharpness kept"]]
            for group_name, group in grouping.groups.items():
                figures = group.figures
                cells = [_cell(figures["psnr"], 2), _cell(figures["ssim"], 3), _cell(figures["sharpness"], 2)]
                lines.append([group_name, str(group.count), *cells])
            blocks.append(_columns(lines))
    return "\n\n".join(blocks) + "\n"


def _lines(results: Results) -> list[list[str]]:
    # The file sorts its keys; in the table the model that the run is about comes first and the cross-fade last.
    kinds = ("vae", "pca", "cross-fade")
    order = sorted(results.subjects, key=lambda name: (name != results.model, kinds.index(results.subjects[name].kind)))
    subjects = {name: results.subjects[name] for name in order}
    lines = [["", *subjects]]
    for label, digits, find in _FIGURES:
        figures = [find(subject) for subject in subjects.values()]
        if any(figure and figure.n for figure in figures):
            lines.append([label, *(_cell(figure, digits) for figure in figures)])
    for label, describe in _FACTS:
        facts = [describe(subject) for subject in subjects.values()]
        if any(facts):
            lines.append([label, *(fact or _NONE for fact in facts)])
    return lines


def _cell(figure: Figure | None, digits: int) -> str:
    if figure is None or figure.mean is None:
        return _NONE
    return f"{figure.mean:.{digits}f} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"


def _columns(lines: list[list[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
