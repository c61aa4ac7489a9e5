"""How a deletion is answered: with nothing, and a receipt."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

RECEIPT_HEADER = "X-Facemix-Receipt"


def receipt_of(request: Request, kind: str, identity: str) -> str | None:
    """A receipt for what is gone by now; None where the server has no secret to sign with.

    Args:
        kind: what it was, see `facemix.governance.receipts.Receipt`.
    """
    governed = getattr(request.app.state, "governed", None)
    if governed is None:
        return None
    from facemix.governance.receipts import Receipts

    return Receipts(governed.secrets).issue(kind, identity)


def gone(request: Request, kind: str, identity: str) -> Response:
    """204, with the receipt in `RECEIPT_HEADER`."""
    receipt = receipt_of(request, kind, identity)
    return Response(status_code=204, headers={} if receipt is None else {RECEIPT_HEADER: receipt})
