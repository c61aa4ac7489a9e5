"""Moving latents along attribute directions: what a slider does."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from facemix.errors import RecipeInvalid
from facemix.vae.directions import AttributeDirections

# In standard deviations of the data set. Beyond three hardly any photograph was seen, and the decoder invents.
LIMIT = 3.0


def apply(
    z: torch.Tensor, values: Mapping[str, float], directions: AttributeDirections, *, where: str = "attributes"
) -> torch.Tensor:
    """Moves latents along directions.

    Args:
        z: (..., Z) latents of the directions' model; all are moved alike.
        values: by attribute, in standard deviations of the data set along its direction, from -`LIMIT` to `LIMIT`.
            Zero, for all of them, returns z bit for bit.
        where: what an error calls the values' place.

    Returns:
        (..., Z), of the type and on the device of z.

    Raises:
        RecipeInvalid: an unknown name (the hint lists those there are), or a value that is not finite or out of range.
    """
    check(values, directions, where=where)
    shift = torch.zeros(directions.directions.shape[1], dtype=torch.float64)
    # In the order of the card, so that equal edits give equal bits however they were written down.
    for attribute, direction in zip(directions.card.attributes, directions.directions, strict=True):
        shift += values.get(attribute.name, 0.0) * attribute.deviation * direction.double()
    if not shift.any():
        return z.clone()
    return (z.double() + shift.to(z.device)).to(z.dtype)


def check(values: Mapping[str, float], directions: AttributeDirections, *, where: str = "attributes") -> None:
    """Refuses what `apply` would refuse, before any work was done.

    Raises:
        RecipeInvalid: as `apply`.
    """
    for name, value in values.items():
        if name not in directions.names:
            raise RecipeInvalid(
                f"there is no attribute {name!r} in {directions.card.model}",
                hint=f"the attributes are {', '.join(directions.names)}",
                where=where,
            )
        if not (math.isfinite(value) and abs(value) <= LIMIT):
            raise RecipeInvalid(
                f"{name} is {value}",
                hint=f"values are standard deviations of the data set, from {-LIMIT:g} to {LIMIT:g}",
                where=where,
            )
