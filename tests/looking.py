"""Who looks at photographs in tests: threads of this process, with the caller's finder."""

from __future__ import annotations

from facemix.faces.finder import FaceFinder
from facemix.imaging.decode import WORKING_SIDE, DecodeLimits
from facemix.serving.lookers import ThreadLookers


def here(finder: FaceFinder, limits: DecodeLimits | None = None, *, threads: int = 1) -> ThreadLookers:
    return ThreadLookers(finder, limits or DecodeLimits(max_side=WORKING_SIDE), threads)
