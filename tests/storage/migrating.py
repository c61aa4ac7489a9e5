"""What a process does that starts beside another; at the top of a module, so that `spawn` finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facemix.storage.database import Database
from facemix.storage.migrate import upgrade


def upgrade_at_once(url: str, folder: Path, barrier: Any, answers: Any) -> None:
    """Waits for the other processes, upgrades, and answers with what `upgrade` returned or raised."""
    with Database.open(url) as database:
        barrier.wait(60)
        try:
            answers.put(upgrade(database.engine, folder))
        except Exception as error:
            answers.put(repr(error))
