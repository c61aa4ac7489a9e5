"""`facemix gate`: fits the photograph gate of a checkpoint and measures what it refuses.

The network learns on the training split: photographs as they are and as people have them (`ordinary`), against what
code makes of them (`not_photographs.FITTED`). The threshold is set on the validation split, by how many photographs
may be refused; the rates that are told are those of the test split, of kinds that it was fitted to and of others.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from facemix import __version__
from facemix.errors import DatasetError
from facemix.evaluation.not_photographs import CLASS_OF, FITTED, HELD_OUT, made
from facemix.evaluation.ordinary import ORDINARY
from facemix.safety.photo_features import features
from facemix.safety.photo_gate import CLASSES, PhotoGate
from facemix.training.dataset import FaceSet, load_split, read_summary
from facemix.vae.checkpoint import Card

PLAIN = "as they are"
_CHUNK = 64
_AGES = ((0, 12), (13, 24), (25, 44), (45, 64), (65, 200))
_LEAST_OF_GROUP = 20  # photographs; of fewer no rate is said


@dataclass(frozen=True)
class Options:
    """What is fitted to, and how.

    Attributes:
        limit: training photographs; None takes all.
        refused: share of validation photographs that may be refused.
        hidden: width of the network.
        steps, batch: of the optimiser.
        caution: how much more a photograph counts in training than something else.
        seed: of every draw.
        workers: processes; 0 works in this one.
    """

    limit: int | None = 6000
    refused: float = 0.003
    hidden: int = 16
    steps: int = 3000
    batch: int = 512
    caution: float = 3.0
    seed: int = 0
    workers: int = 0


Sample = tuple[str, str, int]  # kind of sample (plain, ordinary, other), its name, which photograph


def fit_gate(
    card: Card, data: Path, options: Options, *, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[PhotoGate, dict[str, Any]]:
    """The gate of a checkpoint, and a report of what it refuses (`benchmarks.gate_report` renders it).

    Raises:
        DatasetError: see `load_split`; or the validation split is too small to set a threshold on.
    """
    train, validation, test = (load_split(data, split) for split in ("train", "validation", "test"))
    if len(validation) * options.refused < 1:
        raise DatasetError(
            f"{len(validation)} validation photographs cannot show a rate of {options.refused:g}",
            hint="prepare more photographs, or ask for a larger --refused",
        )
    chosen = np.random.default_rng(options.seed).permutation(len(train))[: options.limit]
    total = len(chosen) + len(validation) + len(test)
    count = 0

    def advance(done: int) -> None:
        nonlocal count
        count += done
        on_progress(count, total)

    measured = partial(_measured, options=options, advance=advance)
    x, told = measured(train.images.numpy()[chosen], draws="train")
    layers, mean, scale = _train(x, [_class(one) for one in told], options)
    said = {"model": card.name, "weights_sha256": card.weights_sha256}
    gate = PhotoGate.of(layers, mean, scale, threshold=0.5, **said)

    x, told = measured(validation.images.numpy(), draws="validation")
    threshold = _threshold(_likeness(gate, x), told, options.refused)
    summary = read_summary(data)
    fitting = {
        "data": summary["name"],
        "manifest_sha256": summary["manifest_sha256"],
        "photographs": len(chosen),
        "refused": options.refused,
        "seed": options.seed,
        "facemix_version": __version__,
    }
    gate = gate.model_copy(update={"threshold": threshold, "fitting": fitting})
    refused_validation = _rates(_likeness(gate, x) < threshold, told)

    x, told = measured(test.images.numpy(), draws="test")
    likeness = _likeness(gate, x)
    report = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **said,
        "fitting": fitting,
        "threshold": threshold,
        "bytes": len(gate.model_dump_json(indent=1)) + 1,
        "validation": {"photographs": len(validation), **refused_validation},
        "test": {"photographs": len(test), **_rates(likeness < threshold, told)},
        "groups": _groups(likeness < threshold, told, test),
    }
    return gate, report


def _measured(
    images: np.ndarray, *, draws: str, options: Options, advance: Callable[[int], None]
) -> tuple[np.ndarray, list[Sample]]:
    """Features, (N, F), of photographs and of what is made of them, and what each of them is."""
    work = [(images[at : at + _CHUNK], at, draws, options.seed) for at in range(0, len(images), _CHUNK)]
    parts: list[tuple[np.ndarray, list[Sample]]] = []
    if options.workers:
        with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
            for part in pool.imap(_make, work):
                parts.append(part)
                advance(min(_CHUNK, len(images)))
    else:
        for one in work:
            parts.append(_make(one))
            advance(len(one[0]))
    return np.concatenate([x for x, _ in parts]), [sample for _, told in parts for sample in told]


def _make(work: tuple[np.ndarray, int, str, int]) -> tuple[np.ndarray, list[Sample]]:
    cv2.setNumThreads(1)  # the processes are the parallelism
    images, first, draws, seed = work
    rng = np.random.default_rng([seed, first, len(draws)])
    rows, told = [], []
    for index, crop in enumerate(images, first):
        for kind, name, picture in _samples(crop, index, draws, rng):
            rows.append(features(picture))
            told.append((kind, name, index))
    return np.stack(rows), told


def _samples(crop: np.ndarray, index: int, draws: str, rng: np.random.Generator) -> list[tuple[str, str, np.ndarray]]:
    """In training a random few kinds of each photograph, changed twice now and then; else the kinds in turn."""
    kept = [("plain", PLAIN, crop)]
    if draws == "train":
        names = list(ORDINARY)
        for name in rng.choice(names, 2, replace=False):
            changed = ORDINARY[name](crop, rng)
            if rng.random() < 0.4:
                changed = ORDINARY[str(rng.choice(names))](changed, rng)
            kept.append(("ordinary", str(name), changed))
        for name in rng.choice(list(FITTED), 2, replace=False):
            before = ORDINARY[str(rng.choice(names))](crop, rng) if rng.random() < 0.3 else crop
            changed = made(FITTED[name], before, rng)
            if rng.random() < 0.2:
                changed = ORDINARY[str(rng.choice(names))](changed, rng)
            kept.append(("other", str(name), changed))
        return kept
    # Of photographs as many of each kind as of the others; of what is none, only for the test, where it is counted.
    for name in _in_turn(list(ORDINARY), index, 4):
        kept.append(("ordinary", name, ORDINARY[name](crop, rng)))
    if draws == "test":
        kinds = FITTED | HELD_OUT
        for name in _in_turn(list(kinds), index, 5):
            kept.append(("other", name, made(kinds[name], crop, rng)))
    return kept


def _in_turn(names: list[str], index: int, count: int) -> list[str]:
    return [names[(index * count + step) % len(names)] for step in range(count)]


def _class(sample: Sample) -> int:
    kind, name, _ = sample
    return CLASSES.index(CLASS_OF[name]) if kind == "other" else 0


Layers = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _train(x: np.ndarray, classes: Sequence[int], options: Options) -> tuple[Layers, np.ndarray, np.ndarray]:
    """A network with one hidden layer, and the features' mean and scale."""
    mean, scale = x.mean(0), x.std(0) + 0.01
    # Rounded as they are kept, so that what is learned fits what is read.
    mean, scale = mean.astype(np.float16).astype(np.float32), scale.astype(np.float16).astype(np.float32)
    inputs = torch.from_numpy(((x - mean) / scale).clip(-6, 6))
    wanted = torch.tensor(classes)
    generator = torch.Generator().manual_seed(options.seed)
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        network = torch.nn.Sequential(
            torch.nn.Linear(x.shape[1], options.hidden), torch.nn.SiLU(), torch.nn.Linear(options.hidden, len(CLASSES))
        )
    optimiser = torch.optim.AdamW(network.parameters(), 6e-3, weight_decay=0.1)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, options.steps)
    weight = torch.tensor([options.caution, *[1.0] * (len(CLASSES) - 1)])
    for _ in range(options.steps):
        batch = torch.randint(0, len(inputs), (options.batch,), generator=generator)
        loss = torch.nn.functional.cross_entropy(network(inputs[batch]), wanted[batch], weight=weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rates.step()
    first, last = network[0], network[2]
    layers = (first.weight.T, first.bias, last.weight.T, last.bias)  # type: ignore[union-attr, operator]
    return tuple(layer.detach().numpy() for layer in layers), mean, scale  # type: ignore[return-value, union-attr]


def _likeness(gate: PhotoGate, x: np.ndarray) -> np.ndarray:
    return gate.shares(x)[:, 0]


def _threshold(likeness: np.ndarray, told: Sequence[Sample], refused: float) -> float:
    """The highest likeness below which no more than the wanted share lies of the photographs as they are, and no more
    than three times it of the ordinary ones together: those are changed harder than most that people have."""
    plain = np.array([kind == "plain" for kind, _, _ in told])
    shares = ((likeness[plain], refused), (likeness[~plain], 3 * refused))
    limit = min(np.quantile(values, share, method="lower") for values, share in shares)
    return float(np.floor(limit * 1e9) / 1e9)


def _rates(below: np.ndarray, told: Sequence[Sample]) -> dict[str, Any]:
    """Shares refused, by kind."""

    def share(kind: str, name: str | None = None) -> float:
        wanted = [value for value, (k, n, _) in zip(below, told, strict=True) if k == kind and name in (None, n)]
        return round(float(np.mean(wanted)), 5) if wanted else 0.0

    return {
        "refused": share("plain"),
        "ordinary_refused": share("ordinary"),
        "ordinary": {name: share("ordinary", name) for name in ORDINARY},
        "fitted": {name: share("other", name) for name in FITTED},
        "held_out": {name: share("other", name) for name in HELD_OUT},
    }


def _groups(below: np.ndarray, told: Sequence[Sample], test: FaceSet) -> dict[str, Any]:
    """How often each group's photographs are refused, as they are and as people have them, and against the whole."""
    photos = [(value, index) for value, (kind, _, index) in zip(below, told, strict=True) if kind != "other"]
    overall = float(np.mean([value for value, _ in photos]))
    found: dict[str, Any] = {"overall": round(overall, 5), "rows": []}
    for label, name_of in (("age", _age), ("gender", _word("gender")), ("ethnicity", _word("ethnicity"))):
        names = [name_of(row["labels"]) for row in test.rows]
        for name in sorted({name for name in names if name is not None}, key=_natural):
            mine = [value for value, index in photos if names[index] == name]
            count = sum(one == name for one in names)
            if count >= _LEAST_OF_GROUP:
                rate = float(np.mean(mine))
                ratio = round(rate / overall, 2) if overall else None
                row = {"label": label, "group": name, "photographs": count, "refused": round(rate, 5), "ratio": ratio}
                found["rows"].append(row)
    return found


def _age(labels: dict[str, Any]) -> str | None:
    age = labels.get("age")
    for low, high in _AGES:
        if age is not None and low <= age <= high:
            return f"{low} to {high}" if high < 200 else f"{low} and older"
    return None


def _word(label: str) -> Callable[[dict[str, Any]], str | None]:
    return lambda labels: labels.get(label)


def _natural(name: str) -> tuple[int, str]:
    head = name.partition(" ")[0]
    return (int(head), "") if head.isdigit() else (-1, name)
