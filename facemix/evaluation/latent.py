"""How the latents of real faces lie, against the prior N(0, I)."""

from __future__ import annotations

import numpy as np

from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.results import Latent
from facemix.vae.posterior import Posterior

ACTIVE_VARIANCE = 0.01


def latent_figures(posterior: Posterior, bootstrap: Bootstrap) -> Latent:
    """Summaries of N posteriors.

    A dimension is active when its mean varies by more than .01 over the faces (Y. Burda, R. Grosse, R. Salakhutdinov,
    "Importance Weighted Autoencoders", 2016, section 5.2). The aggregate posterior is the mixture of all N: in every
    dimension its variance is that of the means plus the mean of the variances. Under the prior its mean is 0, its
    variance 1 and its dimensions uncorrelated; N faces alone would leave a mean of about 1 / sqrt(N) and correlations
    of about as much.
    """
    means = posterior.mean.double().numpy()
    variances = posterior.logvar.double().exp().numpy()
    kl = posterior.kl().double().numpy()
    spread = means.var(0)
    total = spread + variances.mean(0)
    covariance = np.cov(means.T, bias=True) + np.diag(variances.mean(0))
    correlation = covariance / np.sqrt(np.outer(total, total))
    off = correlation[~np.eye(len(total), dtype=bool)]
    return Latent(
        kl=bootstrap.mean(kl.sum(1)),
        kl_per_dimension=_summary(kl.mean(0)),
        active_units=int((spread > ACTIVE_VARIANCE).sum()),
        aggregate_mean=_summary(means.mean(0)) | {"rms": float(np.sqrt(np.mean(means.mean(0) ** 2)))},
        aggregate_variance=_summary(total),
        correlation_rms=float(np.sqrt(np.mean(off**2))),
    )


def _summary(values: np.ndarray) -> dict[str, float]:
    return {
        "min": float(values.min()),
        "median": float(np.median(values)),
        "mean": float(values.mean()),
        "max": float(values.max()),
    }
