"""The shell of the operators' console: who is signed in, whose form it is, and the page around each part.

The parts are modules ``console_*.py``, each with its own router and templates under ``templates/console``. Every form
is a POST with the session's word in the field ``csrf`` and is answered by a redirect, 303.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from facemix.errors import FacemixError, FormStale, MediaTypeUnsupported, RequestInvalid, RoleMissing, SignInRequired
from facemix.web.governed import Governed
from facemix.web.origins import SESSION_COOKIE, same_origin
from facemix.web.pages import render

if TYPE_CHECKING:
    from facemix.governance.sessions import Session

HOME = "/console"
SIGN_IN = "/console/sign-in"
ACCOUNT = "/console/account"
MOST_FIELDS = 200
# Path, name and the least role that may open it.
NAVIGATION: tuple[tuple[str, str, Literal["reviewer", "operator"]], ...] = (
    ("/console", "Health", "operator"),
    ("/console/review", "Review", "reviewer"),
    ("/console/spend", "Spend", "operator"),
    ("/console/models", "Models", "operator"),
    ("/console/keys", "Keys", "operator"),
    ("/console/people", "People", "operator"),
    ("/console/audit", "Audit", "operator"),
    ("/console/stop", "Stop", "operator"),
)
_FORM = "application/x-www-form-urlencoded"
_LOCAL = re.compile(r"/(?![/\\])[A-Za-z0-9/_.~?=&%+-]{0,500}\Z")


async def session_of(request: Request) -> Session | None:
    """Who is signed in, None if nobody is.

    Raises:
        NotFound: the application has no database.
        StorageUnavailable: the database refused.
    """
    governed, token = Governed.of(request), request.cookies.get(SESSION_COOKIE, "")
    return await governed.session(token) if token else None


async def signed_in(request: Request, role: Literal["member", "reviewer", "operator"] = "operator") -> Session:
    """Who is signed in and may do what `role` may.

    Raises:
        SignInRequired: nobody is; a browser is sent to sign in first and comes back.
        RoleMissing: the person may not.
        NotFound, StorageUnavailable: see `session_of`.
    """
    from facemix.governance.operators import may

    session = await session_of(request)
    if session is None:
        raise SignInRequired("nobody is signed in here", hint=f"sign in at {SIGN_IN}")
    if not may(session.role, role):
        raise RoleMissing(
            f"this is for {role}s, and {session.operator} is a {session.role}",
            hint="ask an operator, who can change roles",
            role=session.role,
        )
    return session


async def checked_form(request: Request, session: Session, *, most_bytes: int = 65536) -> dict[str, str]:
    """The fields of a form that a page of this session has sent, ``csrf`` not among them.

    Raises:
        FormStale: it comes from another site, or from a page of another session.
        MediaTypeUnsupported, RequestInvalid: see `read_fields`.
    """
    fields = await read_fields(request, most_bytes=most_bytes)
    given = fields.pop("csrf", "")
    known = hmac.compare_digest(given.encode("utf-8", "surrogatepass"), session.csrf.encode())
    if not known or not same_origin(request, Governed.of(request).settings):
        raise FormStale(
            "the form does not belong to this sign-in", hint="open the page again, and send its form once more"
        )
    return fields


async def read_fields(request: Request, *, most_bytes: int = 65536) -> dict[str, str]:
    """The fields of a small form, each once.

    Raises:
        MediaTypeUnsupported: the body is no form.
        RequestInvalid: it is too large, no UTF-8, or has a field twice.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise MediaTypeUnsupported(
            f"the body is {kind[:100]!r}" if kind else "the request has no Content-Type",
            hint="use the form of the page",
        )
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise RequestInvalid(f"the form has more than {most_bytes} bytes", hint="write less in it")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:  # not text of either kind, or too many fields
        raise RequestInvalid("the form cannot be read", hint="use the form of the page") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise RequestInvalid("the form has a field twice", hint="use the form of the page")
    return fields


def console_page(
    request: Request, session: Session | None, template: str, status: int = 200, **context: Any
) -> Response:
    """``templates/console/<template>.html``, which extends ``console/base.html``.

    Args:
        session: None only where nobody has signed in yet.
        context: what the template shows; ``session``, ``csrf``, ``page`` and ``navigation`` are there already.
    """
    from facemix.governance.operators import may

    return render(
        request,
        f"console/{template}.html",
        status,
        session=session,
        csrf="" if session is None else session.csrf,
        page=_page(request),
        navigation=[(path, name) for path, name, role in NAVIGATION if session is not None and may(session.role, role)],
        **context,
    )


def redirected(request: Request, path: str) -> Response:
    """The answer to a form: the browser goes on to `path` of this server with a GET."""
    return RedirectResponse(request.scope.get("root_path", "") + path, 303)


def to_sign_in(request: Request) -> Response:
    """Sends a browser to sign in; afterwards it comes back to the page it asked for."""
    asked = request.url.path.removeprefix(request.scope.get("root_path", ""))
    if request.url.query:
        asked += f"?{request.url.query}"
    back = request.method in ("GET", "HEAD") and local_path(asked) == asked and asked != HOME
    return redirected(request, f"{SIGN_IN}?next={quote(asked, safe='/')}" if back else SIGN_IN)


def local_path(text: str) -> str:
    """`text` where it is a path of this server, else that of the console: nobody is led to another site."""
    return text if _LOCAL.match(text) and not text.startswith(SIGN_IN) else HOME


def ways_back(request: Request, error: FacemixError) -> list[tuple[str, str]]:
    """Where whoever meets an error in the console can go back to: paths and names, the list that the thing belongs to
    first. Empty elsewhere."""
    from facemix.governance.operators import may

    asked = request.url.path.removeprefix(request.scope.get("root_path", ""))
    if asked != HOME and not asked.startswith(f"{HOME}/"):
        return []
    role = error.details.get("role") if isinstance(error, RoleMissing) else None
    if role is None:
        return [
            *((path, name) for path, name, _ in NAVIGATION if path == _page(request) != HOME),
            (HOME, "the console"),
        ]
    allowed = [(path, name) for path, name, least in NAVIGATION if may(role, least)]
    return allowed[:1] or [(ACCOUNT, "your account")]


def _page(request: Request) -> str:
    """Which entry of the navigation a page belongs to."""
    asked = request.url.path.removeprefix(request.scope.get("root_path", ""))
    paths = [path for path, _, _ in NAVIGATION if asked == path or (path != HOME and asked.startswith(f"{path}/"))]
    return paths[0] if paths else ""
