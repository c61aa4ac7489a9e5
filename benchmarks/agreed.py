"""A browser whose person has stated consent already, so that no dialog stands before the page."""

from __future__ import annotations

import json

from facemix.safety.terms import VERSION


def agreed() -> str:
    """The script that notes it, before any of the page's own; some documents have no storage."""
    return f"try {{ localStorage.setItem('facemix.consent', {json.dumps(VERSION)}) }} catch {{}}"
