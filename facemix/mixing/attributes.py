"""Moving latents along attribute directions, which is what a slider does, and reading where they stand."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from facemix.errors import RecipeInvalid
from facemix.mixing.recipe import MOST_MOVED
from facemix.vae.directions import AttributeDirections
from facemix.vae.prior import LatentPrior

LIMIT = MOST_MOVED


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


class AttributeReader:
    """Reads attributes, and how usual a face is, from its latent by the model's own prior N(m, S).

    With D, the steps side by side, a reading is the best linear estimate of how many of each lead from m to z:

        v = (D^T S^-1 D)^-1 D^T S^-1 (z - m)

    generalised least squares (A. Aitken, "On Least Squares and Linear Combination of Observations", 1935). A step
    raises its own reading by 1 and leaves all others. For D = S W (W^T S W)^-1, as the directions are fitted, the
    readings are those of the probes W that have a direction, less what the held probes (`AttributesCard.held`) predict
    of them: a label that no direction may move explains nothing of a reading either.

    Attributes:
        card: what the directions are.
    """

    def __init__(self, directions: AttributeDirections, prior: LatentPrior) -> None:
        """prior: that of the model; its detail, where it has any, must be 0 (`LatentPrior.without_detail`).

        Raises:
            ValueError: directions and prior are of different sizes, or no reading can tell the attributes apart.
        """
        if directions.directions.shape[1] != len(prior.mean):
            raise ValueError(f"directions of {directions.directions.shape[1]} and a prior of {len(prior.mean)} numbers")
        self.card = directions.card
        # Detail has no spread in the prior: it is not looked at.
        self._size = int((prior.scale.diagonal() > 0).sum())
        self._mean = prior.mean[: self._size].double()
        self._scale = prior.scale[: self._size, : self._size].double()
        deviations = torch.tensor([one.deviation for one in directions.card.attributes], dtype=torch.float64)
        steps = self._white(directions.directions[:, : self._size].double() * deviations[:, None])
        self._gram = steps @ steps.T
        if float(torch.linalg.eigvalsh(self._gram)[0]) <= 1e-9 * float(self._gram.diagonal().max()):
            raise ValueError("one attribute's direction follows from the others'")
        self._filters = torch.linalg.solve(self._gram, steps)

    def read(self, z: torch.Tensor) -> torch.Tensor:
        """The attributes of latents: (..., Z) to (..., K) float64, in steps from the mean face, in the card's order."""
        return self._white(z[..., : self._size].double() - self._mean) @ self._filters.T

    def share_beyond(self, z: torch.Tensor) -> torch.Tensor:
        """How unusual latents are in their attributes, (..., Z) to (...) float64: the share of the faces that the prior
        knows whose attributes, taken together, lie further from the mean face. 1 at the mean, near 0 far out.

        In Mahalanobis distance; its square is chi-squared with K degrees of freedom over the prior's own draws.
        """
        values = self.read(z)
        squares = ((values @ self._gram) * values).sum(-1)
        return torch.special.gammaincc(torch.full_like(squares, values.shape[-1] / 2), squares / 2)

    def typicality(self, z: torch.Tensor) -> torch.Tensor:
        """How far latents lie from the mean face in all they say, (..., Z) to (...) float64: the Mahalanobis length
        over the square root of the dimensions.

        Of draws from the prior itself 98 % lie between 0.89 and 1.11 with the shipped model. Sample faces, whose noise
        is shortened, lie between 0.4 and 0.6, photographs between 0.55 and 1.5, mixes of two about 0.7: what one step
        of one attribute changes is lost in so many dimensions, see `share_beyond` for that.
        """
        return self._white(z[..., : self._size].double() - self._mean).norm(dim=-1) / math.sqrt(self._size)

    def _white(self, rows: torch.Tensor) -> torch.Tensor:
        """L^-1 of each row, with the prior's L L^T = S: (..., size) to the same."""
        flat = rows.reshape(-1, self._size)
        return torch.linalg.solve_triangular(self._scale.T, flat, upper=True, left=False).reshape(rows.shape)
