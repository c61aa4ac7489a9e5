"""Ghosts: contours of a mid-point that are not one parent's, but both parents' at once, laid over each other."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from facemix.evaluation import metrics
from facemix.evaluation.ways import faded

# Half a pixel of the model's 128: finer lines lie apart in two people whatever is done, and are skin.
_CONTOUR = 1 / 256  # sigma, as a share of the side
# Both copies of a double contour have to lie in one window, or each by itself would be one parent's.
_WINDOW = 1 / 24  # sigma, likewise
_PLACES = 96  # rows and columns of windows
_LEAST = 1e-12  # energy that counts as none
_APART = 1e-6  # share of the cross-fade's contours that two parents who differ at all leave


class Ghosts:
    """Looks for the contours of two parents in what lies between them.

    Contours are the gradient of brightness after a Gaussian of 1/256 of the side. In a Gaussian window of 1/24 of the
    side about each place (wide enough to hold both copies of a double contour) a mid-point's are fitted by least
    squares with those of one parent, and with those of both, at whatever strength from 0 up: light and contrast differ
    from place to place.

    A mid-point's geometry is not its parents', so they are brought there first. No way is judged by another's notion of
    that: several geometries are tried, and at each place the one that explains most counts.

    Args:
        parents: (2, S, S, 3) uint8, the aligned photographs.
        geometries: the same two as somebody has brought them to the middle, (S, S, 3) uint8 each. That they have not
            been moved at all is always tried, for so a cross-fade has them.
    """

    def __init__(self, parents: np.ndarray, geometries: Sequence[Sequence[np.ndarray]]) -> None:
        self._pairs = [[_contours(one) for one in pair] for pair in (parents, *geometries)]
        self._fade = self._shares(faded(parents)(0.5))

    def figures(self, middle: np.ndarray) -> dict[str, float]:
        """Of a mid-point, (S, S, 3) uint8.

        Returns:
            ``ghosts``: of the energy of its contours, the share that *two* parents together explain and the better one
            alone does not, over the same share of the cross-fade. 1 is a cross-fade, at whatever contrast, warped or
            not; 0 has one parent's contour at each place, not necessarily the same one's.
            ``own_contours``: the share that not even two explain: nobody's. Nothing is gained for `ghosts` by them but
            that they dilute it, so read the two together, or
            ``not_one_parents``: both, that is, what the better parent leaves, over the same of the cross-fade.
            NaN where the parents are equal, or the mid-point has no contours.
        """
        doubled, own = self._shares(middle)
        of_fade, own_of_fade = self._fade
        if not of_fade > _APART:
            return dict.fromkeys(("ghosts", "own_contours", "not_one_parents"), np.nan)
        return {
            "ghosts": doubled / of_fade,
            "own_contours": own,
            "not_one_parents": (doubled + own) / (of_fade + own_of_fade),
        }

    def _shares(self, middle: np.ndarray) -> tuple[float, float]:
        """Of a mid-point's energy, what takes two parents, and what even two leave."""
        contours = _contours(middle)
        energy = _windowed(contours, contours)
        whole = float(energy.sum())
        if whole < _LEAST:
            return np.nan, np.nan
        explained = [_explained(contours, *pair) for pair in self._pairs]
        alone, together = (np.maximum.reduce(one) for one in zip(*explained, strict=True))
        return float((together - alone).sum()) / whole, float((energy - together).sum()) / whole


def _contours(picture: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8 to the gradient of its smoothed brightness, (2, S, S) float64."""
    light = cv2.GaussianBlur(metrics.brightness(picture), (0, 0), _CONTOUR * picture.shape[0])
    return np.stack([cv2.Sobel(light, cv2.CV_64F, 1, 0), cv2.Sobel(light, cv2.CV_64F, 0, 1)])


def _explained(middle: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mid-point's windowed energy that the better of two explains, and that both together do."""
    aa, bb, ab, ma, mb = (_windowed(*pair) for pair in ((a, a), (b, b), (a, b), (middle, a), (middle, b)))
    # Dark on light does not explain light on dark.
    alone = np.maximum(np.maximum(ma, 0) ** 2 / (aa + _LEAST), np.maximum(mb, 0) ** 2 / (bb + _LEAST))
    determinant = aa * bb - ab**2
    share_a, share_b = bb * ma - ab * mb, aa * mb - ab * ma
    inside = (determinant > 1e-6 * aa * bb) & (share_a > 0) & (share_b > 0)
    together = np.where(inside, (share_a * ma + share_b * mb) / np.where(inside, determinant, 1), alone)
    return alone, np.maximum(together, alone)


def _windowed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sums of products about each place: windows are wide, so that some places tell as much as all."""
    products = (a * b).sum(0)
    side = min(len(products), _PLACES)
    products = cv2.resize(products, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(products, (0, 0), _WINDOW * side, borderType=cv2.BORDER_REFLECT)
