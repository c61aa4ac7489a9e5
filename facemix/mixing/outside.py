"""Latents that come from outside: are they where the model's faces are?"""

from __future__ import annotations

import numpy as np
import torch

from facemix.errors import LatentRefused
from facemix.vae.prior import LatentPrior

# Root mean squares. Of 976 unseen faces the shipped model's coarse codes, whitened by its prior, have .38 to 1.85 and
# its details .41 to 2.54; every attribute at its limit leads a face to 1.77 and 1.95.
MOST_COARSE = 4.0
MOST_DETAIL = 4.0
_LEAST_SCALE = 1e-6


class OutsideCheck:
    """Refuses what no face of the model can be.

    The coarse part is whitened by the prior that was fitted to the codes of real faces: its root mean square is the
    Mahalanobis distance (P. C. Mahalanobis, 1936) over the root of the number of dimensions, about 1 for a face. Detail
    has no fitted density; training pulls it to N(0, 1), whose root mean square is 1, too. This finds numbers that are
    no face at all; it cannot tell a made-up latent near a face from that of a photograph.

    Args:
        coarse_size: how many of the dimensions are coarse; 0 means all.
    """

    def __init__(self, prior: LatentPrior, coarse_size: int) -> None:
        self._coarse = coarse_size or len(prior.mean)
        self._mean = prior.mean.double()
        scale = prior.scale[: self._coarse, : self._coarse].double()
        self._scale = scale + torch.eye(self._coarse, dtype=torch.float64) * _LEAST_SCALE

    def distances(self, z: np.ndarray) -> tuple[float, float]:
        """Root mean squares of the whitened coarse part and of the detail of (Z,) numbers; 0 where there is none."""
        offset = torch.from_numpy(np.asarray(z, np.float64)) - self._mean
        white = torch.linalg.solve_triangular(self._scale, offset[: self._coarse, None], upper=False)
        detail = offset[self._coarse :]
        return float(white.square().mean().sqrt()), float(detail.square().mean().sqrt()) if len(detail) else 0.0

    def check(self, z: np.ndarray, *, where: str | None = None) -> None:
        """Raises `LatentRefused` for (Z,) numbers too far out."""
        coarse, detail = self.distances(z)
        if coarse <= MOST_COARSE and detail <= MOST_DETAIL:
            return
        raise LatentRefused(
            f"the latent lies {max(coarse / MOST_COARSE, detail / MOST_DETAIL):.3g} times as far out as any face may",
            hint="send a latent as it was given out, for the model that made it",
            where=where,
            coarse=round(coarse, 3),
            detail=round(detail, 3),
        )
