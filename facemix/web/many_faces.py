"""What cannot be asked for where several faces are drawn: a placement, and more pixels than memory is meant for."""

from __future__ import annotations

from facemix.errors import RequestInvalid
from facemix.mixing.recipe import USUAL_SIDE, Edits

# Of all frames of an answer: the longest strip that an operator may allow, at the usual side; 202 MB.
MOST_PIXELS = 257 * USUAL_SIDE**2


def check_alone(edits: Edits, what: str, *, where: str = "placement") -> None:
    """Refuses a placement: only a single mix is put onto something.

    Args:
        what: is drawn in its place, as in ``a strip``.

    Raises:
        RequestInvalid: there is one.
    """
    if edits.placement is not None:
        raise RequestInvalid(
            f"a placement was given for {what}",
            hint="leave it out: only a single mix (POST /api/v1/mix, facemix mix) is put onto something",
            where=where,
        )


def check_frames(edits: Edits, count: int, what: str) -> None:
    """The same, and refuses frames that are too large together. Without size and detail they are as large as the
    model draws them, of which as many may be asked for as the operator allows.

    Raises:
        RequestInvalid: a placement, or `count` frames have more than `MOST_PIXELS`.
    """
    check_alone(edits, what)
    side = edits.size or (USUAL_SIDE if edits.detail else 0)
    if count * side**2 > MOST_PIXELS:
        raise RequestInvalid(
            f"{count} frames of {side} x {side} pixels were asked for",
            hint=f"ask for fewer, or for a size of at most {int((MOST_PIXELS / count) ** 0.5)}",
            where="size",
        )
