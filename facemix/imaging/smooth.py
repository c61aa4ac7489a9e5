"""From one value to another without a corner."""

from __future__ import annotations

from typing import Any

import numpy as np


def rise(value: Any, low: float, high: float) -> Any:
    """From 0 at `low` smoothly to 1 at `high`, which may be the smaller one: Hermite's cubic, "smoothstep".

    value: a number or an array, of any shape; so is what comes back.
    """
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
