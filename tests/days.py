"""Days end while tests run."""

import time

DAY = 24 * 3600


def well_within_a_day(seconds: float) -> None:
    """Waits for the next day (UTC), if this one ends within `seconds`: what is spent today is none of tomorrow's."""
    left = DAY - time.time() % DAY
    if left < seconds:
        time.sleep(left + 0.1)
