"""Linear probes of latents, and the directions that follow from them.

A probe is a ridge regression from latents to one attribute. Its weights w are a *filter*: they also lean against
whatever disturbs the reading, so that moving along w leaves the latents that faces have. The *pattern* Sigma w, with
the latents' covariance Sigma, is how latents change where the attribute does (S. Haufe et al., "On the interpretation
of weight vectors of linear models in multivariate neuroimaging", 2014). It is also the shortest way, in the
Mahalanobis distance of the latents, to a given change of the reading.

With all probes W together the pattern is D = Sigma W (W^T Sigma W)^-1. W^T D = I: along each column one reading
changes by 1 and every other stays, at the least Mahalanobis distance that allows. This is the conditional manipulation
of Y. Shen et al. ("Interpreting the Latent Space of GANs for Semantic Face Editing", 2020), made in the space where
the latents are white instead of in the raw one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FOLDS = 5
# Ridge penalties tried, in units of the mean variance of a latent dimension.
_PENALTIES = 10.0 ** np.arange(-4, 1.5, 0.5)


@dataclass(frozen=True)
class Probe:
    """reading = offset + weights . z, in the attribute's own unit.

    Attributes:
        weights: (Z,) float64.
        offset: the reading at the origin.
        mean, spread: of the attribute over the faces it was fitted to.
        penalty: the ridge penalty that cross-validation chose, in units of the mean variance of a dimension.
    """

    weights: np.ndarray
    offset: float
    mean: float
    spread: float
    penalty: float

    def read(self, z: np.ndarray) -> np.ndarray:
        """(N, Z) to (N,)."""
        return self.offset + z @ self.weights

    def r2(self, z: np.ndarray, values: np.ndarray) -> float:
        """Share of the variance of `values` explained; NaN among them is left out. At most 1, below 0 is worse than
        their mean; NaN where fewer than two are left."""
        known = ~np.isnan(values)
        if known.sum() < 2 or np.ptp(values[known]) == 0:
            return float("nan")
        left = values[known] - self.read(z[known])
        return float(1 - np.mean(left**2) / np.var(values[known]))


def fit_probe(z: np.ndarray, values: np.ndarray, groups: np.ndarray) -> Probe:
    """Ridge regression with the penalty of the least error in 5-fold cross-validation.

    Args:
        z: (N, Z) float64.
        values: (N,), NaN where unknown.
        groups: (N,) int; faces of one group (a photograph and its mirror image) are never on both sides of a fold.

    Raises:
        ValueError: fewer than `FOLDS` groups have a value, or all values are the same.
    """
    known = ~np.isnan(values)
    z, values, groups = z[known], values[known], groups[known]
    names, fold = np.unique(groups, return_inverse=True)
    if len(names) < FOLDS:
        raise ValueError(f"it is known of {len(names)} faces; {FOLDS} are the least")
    if np.ptp(values) == 0:
        raise ValueError(f"it is {values[0]:g} for every face")
    mean, spread = float(values.mean()), float(values.std())
    center = z.mean(0)
    x, y = z - center, (values - mean) / spread
    gram, moment = x.T @ x, x.T @ y
    scale = max(float(np.trace(gram)) / gram.shape[0], 1e-300)
    errors = np.zeros(len(_PENALTIES))
    for number in range(FOLDS):
        out = fold % FOLDS == number
        rest = len(x) / (~out).sum()  # so that a penalty means the same with fewer faces
        found = _ridge(rest * (gram - x[out].T @ x[out]), rest * (moment - x[out].T @ y[out]), scale)
        errors += ((y[out, None] - x[out] @ found) ** 2).sum(0)
    best = int(np.argmin(errors))
    weights = _ridge(gram, moment, scale)[:, best] * spread
    return Probe(weights, mean - float(center @ weights), mean, spread, float(_PENALTIES[best]))


def directions(
    covariance: np.ndarray, probes: Sequence[Probe], held: Sequence[np.ndarray] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """The shortest steps that change each probe's reading by its standard deviation over the faces, and no other's.

    Args:
        covariance: (Z, Z) of the latents.
        probes: K of them.
        held: (Z,) weights of further probes whose readings stay, too.

    Returns:
        (K, Z), whose rows are steps, and their Mahalanobis lengths, (K,): 1 where keeping the others still costs
        nothing. Held probes that others already determine are dropped from the conditions.

    Raises:
        ValueError: a probe's reading is the same for every face, or follows from the others'.
    """
    weights = np.stack([probe.weights for probe in probes])
    readings = np.sqrt(np.einsum("kz,zy,ky->k", weights, covariance, weights))
    if not (readings > 0).all():
        raise ValueError("a probe reads the same from every face")
    weights = weights / readings[:, None]  # now every reading has a variance of 1
    for further in held:
        spread = float(np.sqrt(max(further @ covariance @ further, 0.0)))
        if spread > 0:
            longer = np.vstack([weights, further / spread])
            if np.linalg.eigvalsh(longer @ covariance @ longer.T)[0] > 1e-6:
                weights = longer
    inner = weights @ covariance @ weights.T
    if np.linalg.eigvalsh(inner)[0] <= 1e-9:
        raise ValueError("one attribute follows from the others")
    # D^T Sigma^-1 D = (W^T Sigma W)^-1, so the lengths need no inverse of Sigma, which may have none.
    inverse = np.linalg.inv(inner)
    return (inverse @ weights @ covariance)[: len(probes)], np.sqrt(np.diag(inverse)[: len(probes)])


def _ridge(gram: np.ndarray, moment: np.ndarray, scale: float) -> np.ndarray:
    """Solutions for every penalty, (Z, penalties)."""
    values, vectors = np.linalg.eigh(gram)
    turned = vectors.T @ moment
    return vectors @ (turned[:, None] / (np.maximum(values, 0)[:, None] + scale * _PENALTIES[None]))
