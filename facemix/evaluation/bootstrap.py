"""How far a mean would move if other faces had been drawn: percentile bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from facemix.evaluation.results import Figure

CONFIDENCE = 0.95


class Bootstrap:
    """Percentile intervals (B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).

    The same number of faces always gets the same resamples, so that figures of two models are resampled alike.

    Args:
        resamples: how many times the set is drawn anew, with replacement.
        seed: of the draws.
    """

    def __init__(self, *, resamples: int = 1000, seed: int = 0) -> None:
        self.resamples = resamples
        self.seed = seed

    def counts(self, n: int) -> np.ndarray:
        """(resamples, n) int64: how often each of n faces is drawn; every row sums to n."""
        generator = np.random.default_rng((self.seed, n))
        return generator.multinomial(n, np.full(n, 1 / n), size=self.resamples)

    def mean(self, values: np.ndarray) -> Figure:
        """Mean of (N,) values with its interval. NaN is a value that could not be measured, and is left out."""
        values = np.asarray(values, np.float64)
        values = values[~np.isnan(values)]
        if not len(values):
            return Figure(mean=None, low=None, high=None, n=0)
        return self.interval(float(values.mean()), self.counts(len(values)) @ values / len(values), len(values))

    def median(self, values: np.ndarray) -> Figure:
        """Median of (N,) values with its interval, under the name that all figures have. NaN is left out."""
        values = np.asarray(values, np.float64)
        values = values[~np.isnan(values)]
        if not len(values):
            return Figure(mean=None, low=None, high=None, n=0)
        rising = np.argsort(values, kind="stable")
        drawn = self.counts(len(values))[:, rising].cumsum(1)
        # The place of the k-th drawn value is how many of the rising sums stay below k; an even set has two middles.
        middles = [(drawn < k).sum(1) for k in ((len(values) + 1) // 2, len(values) // 2 + 1)]
        return self.interval(float(np.median(values)), values[rising][np.stack(middles)].mean(0), len(values))

    def statistic(self, n: int, compute: Callable[[np.ndarray], np.ndarray]) -> Figure:
        """Any figure of n faces.

        Args:
            compute: takes (R, n) counts and returns the figure of each of the R resamples, (R,); NaN where it is not
                defined.
        """
        return self.interval(float(compute(np.ones((1, n), np.int64))[0]), compute(self.counts(n)), n)

    @staticmethod
    def interval(value: float, resampled: np.ndarray, n: int) -> Figure:
        """The figure, from its own value and those of its resamples."""
        tail = 100 * (1 - CONFIDENCE) / 2
        low, high = np.nanpercentile(resampled, [tail, 100 - tail])
        return Figure(mean=value, low=float(low), high=float(high), n=n)
