"""What stands in the detail of a report that several people have made: how many, and what they wrote, within bounds.

The first line is the program's own, the reason's sentence or how many reports there are, so that nobody's words pass
for a count.
"""

from __future__ import annotations

import re

from facemix.governance.reasons import reasons_for

MOST_COUNTED = 999_999
_TIMES = re.compile(r"\AReported (\d{1,6}) times\.\n")
_COUNT_LENGTH = len(f"Reported {MOST_COUNTED} times.\n")


def report_reason(detail: str) -> str:
    """The sentence of the reason that the first of them gave."""
    return _split(detail)[1].partition("\n")[0]


def joined_detail(detail: str, further: str, most: int) -> str:
    """`detail`, with one report more counted in it.

    What `further` says stands there, too, if it is new and there is room: texts leave room for the sentence of every
    reason, so that what is written first does not keep a graver reason out.

    Args:
        most: characters.
    """
    times, said = _split(detail)
    sentence, _, text = further.partition("\n")
    lines = said.split("\n")
    spare = sum(len(reason.sentence) + 1 for reason in reasons_for("report")) + _COUNT_LENGTH
    if text and text not in said and len(said) + len(further) + 1 <= most - spare:
        said = f"{said}\n{further}"
    elif sentence not in lines:
        said = f"{said}\n{sentence}"
    return f"Reported {min(times + 1, MOST_COUNTED)} times.\n{said}"[:most]


def _split(detail: str) -> tuple[int, str]:
    """How many there are, and what they say."""
    found = _TIMES.match(detail)
    return (1, detail) if found is None else (int(found[1]), detail[found.end() :])
