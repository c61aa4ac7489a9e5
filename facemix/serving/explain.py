"""Why a face looks as it does: drawn again without each parent and each edit, and compared with the training faces."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from facemix.explaining.closeness import Closeness, ParentCode, closeness, letter
from facemix.explaining.index import NeighbourIndex
from facemix.explaining.influence import Influence, change, influence
from facemix.explaining.overlay import labelled
from facemix.mixing.omission import edits_without, without_parent
from facemix.mixing.recipe import REGIONS, Edits, Parent, PhotoParent, Recipe, Region, normalise_weights
from facemix.mixing.regions import masks
from facemix.serving.types import Cost, FrameSpec, FramesResult, MixResult, ParentFace, ParentInput

MOST_EDITS = 12
# Of the bar below an edit's heat map, in levels: more than the strongest edits change a smoothed place by.
_LEAST_FULL = 8.0
VIEWS = 2  # pictures that are encoded: the result and its mirror image


class Drawing(Protocol):
    """What is needed of a mixer."""

    neighbours: NeighbourIndex | None

    async def frames(
        self, parents: Sequence[ParentInput], specs: Sequence[FrameSpec], *, deadline: float | None = None
    ) -> FramesResult: ...

    async def encode(self, crops: np.ndarray, *, deadline: float | None = None) -> tuple[np.ndarray, Cost]: ...


@dataclass(frozen=True)
class EditEffect:
    """What one edit did.

    Attributes:
        name: of the attribute, or ``variation``.
        value: how far it was moved, or the variation's radius.
        moved: (S, S) float32, by how many levels of 255 each place changes where the edit is left out, smoothed.
        regions: the same on average over each region of the face.
    """

    name: str
    value: float
    moved: np.ndarray
    regions: dict[Region, float]

    @property
    def mean(self) -> float:
        """Levels, over the whole picture."""
        return float(self.moved.mean())

    @property
    def most(self) -> float:
        return float(self.moved.max())


@dataclass(frozen=True)
class Explained:
    """Why a face looks as it does.

    Attributes:
        image: (S, S, 3) uint8, the result itself, as the model draws it; `recipe` is of that.
        influence: what each parent drew.
        regions: each parent's share of each region.
        edits: what each edit did, the farthest moved first; at most `MOST_EDITS`.
        left_out: edits that were not looked at because there are more.
        closeness: the nearest training faces; None where the model has no index of them.
        latents, parents, recipe, stage_ms, cost, margin: as of a mix.
    """

    image: np.ndarray
    recipe: Recipe
    parents: tuple[ParentFace, ...]
    latents: np.ndarray
    influence: Influence
    regions: dict[Region, np.ndarray]
    edits: tuple[EditEffect, ...]
    left_out: tuple[str, ...]
    closeness: Closeness | None
    stage_ms: dict[str, float] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    margin: float = 1.0

    @property
    def result(self) -> MixResult:
        """The mix itself."""
        return MixResult(
            self.image,
            self.recipe,
            self.parents,
            self.latents,
            stage_ms=self.stage_ms,
            cost=self.cost,
            margin=self.margin,
        )


def frames_to_explain(parents: int, edits: int, pictures: int) -> int:
    """Frames that an explanation takes: so many parents and edits, each frame of so many pictures."""
    return pictures * (1 + (parents if parents > 1 else 0) + min(edits, MOST_EDITS)) + VIEWS


async def explain(
    mixer: Drawing, parents: Sequence[ParentInput], edits: Edits, *, deadline: float | None = None
) -> Explained:
    """Explains a mix: what the model draws of it, without what is done to that afterwards. Raises as `Mixer.mix`."""
    edits = edits.as_decoded()
    weights = normalise_weights(one.weight for one in parents)
    # A parent without weight takes part in regions and colour alone; without those, leaving it out changes nothing.
    alone = len(parents) == 1
    lesser = [] if alone else [without_parent(weights, edits, place) for place in range(len(parents))]
    fewer = edits_without(edits)
    looked = list(fewer)[:MOST_EDITS]
    specs = [
        FrameSpec(weights, edits),
        *(FrameSpec(rest, left) for rest, left in lesser),
        *(FrameSpec(weights, fewer[name]) for name in looked),
    ]
    made = await mixer.frames(parents, specs, deadline=deadline)
    cost, views = made.cost, None
    if mixer.neighbours is not None:
        frame = made.frames[0]
        views, encoding = await mixer.encode(np.stack([frame, frame[:, ::-1]]), deadline=deadline)
        cost += encoding
    # Some tens of milliseconds, which the event loop is not kept waiting for.
    return await asyncio.to_thread(_compared, made, len(lesser), fewer, mixer.neighbours, views, cost)


def _compared(
    made: FramesResult,
    parents: int,
    fewer: dict[str, Edits],
    index: NeighbourIndex | None,
    views: np.ndarray | None,
    cost: Cost,
) -> Explained:
    """Everything that is told of the frames.

    Args:
        made: the mix, then it without each of `parents`, then without each of the first of the edits of `fewer`.
        views: (2, Z) latents of the mix and its mirror image, where there is an index.
    """
    frame, recipe = made.frames[0], made.recipes[0]
    drew = influence(frame, made.frames[1 : 1 + parents], recipe.weights)
    near = None
    if index is not None and views is not None:
        codes = [_code(z, parent) for z, parent in zip(made.latents, recipe.parents, strict=True)]
        near = closeness(index, views, codes)
    where = dict(zip(REGIONS, masks(len(frame)), strict=True))
    names = list(fewer)
    return Explained(
        frame,
        recipe,
        made.parents,
        made.latents,
        drew,
        {name: drew.totals(mask) for name, mask in where.items()},
        tuple(
            _effect(name, recipe.edits, change(frame, other), where)
            for name, other in zip(names[:MOST_EDITS], made.frames[1 + parents :], strict=True)
        ),
        tuple(names[MOST_EDITS:]),
        near,
        made.stage_ms,
        cost,
        1.0 if made.margins is None else made.margins[0],
    )


def _code(z: np.ndarray, parent: Parent) -> ParentCode:
    return ParentCode(z, parent.kind, parent.weight, parent.sha256 if isinstance(parent, PhotoParent) else None)


def _effect(name: str, edits: Edits, moved: np.ndarray, where: dict[Any, np.ndarray]) -> EditEffect:
    variation = edits.variation
    value = variation.radius if variation is not None and name not in edits.attributes else edits.attributes[name]
    return EditEffect(
        name, value, moved, {region: float((mask * moved).sum() / mask.sum()) for region, mask in where.items()}
    )


def parent_picture(found: Explained, place: int, name: str) -> np.ndarray:
    """The heat map of one parent, labelled: (H, W, 3) uint8."""
    total = found.influence.totals()[place]
    title = f"Face {name} drew {100 * total:.0f} %"
    return labelled(found.image, found.influence.shares[place], title=title, low="0 % of a place", high="100 %")


def edit_picture(found: Explained, effect: EditEffect, title: str) -> np.ndarray:
    """The heat map of one edit, labelled: (H, W, 3) uint8. All edits of a face share one scale."""
    full = max(_LEAST_FULL, *(one.most for one in found.edits))
    return labelled(found.image, effect.moved / full, title=title, low="unchanged", high=f"{full:.0f} of 255 levels")


def told(found: Explained) -> dict[str, Any]:
    """The explanation without its pictures and its record, as JSON-serialisable data; `docs/explaining.md`."""
    totals = found.influence.totals()
    return {
        "recipe": found.recipe.model_dump(mode="json"),
        "parents": [
            {
                "name": letter(place),
                "weight": weight,
                "influence": float(totals[place]),
                "regions": {name: float(shares[place]) for name, shares in found.regions.items()},
            }
            for place, weight in enumerate(found.recipe.weights)
        ],
        "edits": [
            {"name": one.name, "value": one.value, "mean": one.mean, "most": one.most, "regions": one.regions}
            for one in found.edits
        ],
        "edits_left_out": list(found.left_out),
        "closeness": None if found.closeness is None else _near(found.closeness),
    }


def _near(near: Closeness) -> dict[str, Any]:
    return {
        "alarm": near.alarm,
        "near": near.near,
        "because": None if near.because is None else letter(near.because),
        "words": near.words,
        "limit": near.limit,
        "typical": near.typical,
        "faces": near.faces,
        "neighbours": [asdict(one) for one in near.neighbours],
    }
