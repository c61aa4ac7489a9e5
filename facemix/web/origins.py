"""Whether a request comes from a page of this server, and the cookies that tell a browser from another."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from facemix.settings import Settings

SESSION_COOKIE = "facemix_session"
FORM_COOKIE = "facemix_form"  # of a browser that is about to sign in
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


def same_origin(connection: HTTPConnection, settings: Settings) -> bool:
    """Whether a request was made by a page of this server, or by no page at all.

    A browser says so in ``Sec-Fetch-Site``, but only where the connection is trustworthy (HTTPS, loopback); otherwise
    ``Origin`` names the page's server in every request that may change something. Such a request without either is not
    believed; one that only reads is kept from other sites by the cookie's own SameSite=Strict.
    """
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        # "none" is a person's own doing: an address typed in, a bookmark. Such a request only reads.
        return site == "same-origin" or (site == "none" and _reads(connection))
    origin = connection.headers.get("origin")
    if origin is None:
        return _reads(connection)
    # The scheme is not compared: behind a proxy that ends TLS this server sees another one than the browser.
    return _host(origin) in {connection.headers.get("host", "").lower(), _host(settings.public_url or "")} - {""}


def is_foreign(connection: HTTPConnection, settings: Settings) -> bool:
    """Whether a browser sends this for a page of another site, and it may change something. Programs, which send
    neither of the headers, are nobody's page.

    An opaque ``Origin`` alone says nothing where pages give no referrer: their own forms have it, too. It counts as
    foreign only where pages do.
    """
    if _reads(connection):
        return False
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = connection.headers.get("origin")
    if origin is None:
        return False
    if origin == "null":
        path = connection.scope["path"].removeprefix(connection.scope.get("root_path", ""))
        return path == "/" or path.startswith(("/api/", "/console"))
    return not same_origin(connection, settings)


def is_secure(connection: HTTPConnection, settings: Settings) -> bool:
    """Whether the browser speaks HTTPS with whatever stands before this server."""
    return connection.scope.get("scheme") == "https" or (settings.public_url or "").startswith("https://")


def set_cookie(
    response: Response,
    connection: HTTPConnection,
    settings: Settings,
    name: str,
    value: str,
    *,
    seconds: int | None = None,
) -> None:
    """A cookie that no script reads and no other site sends along. It ends with the browser, or after `seconds`."""
    response.set_cookie(
        name, value, seconds, path="/", httponly=True, samesite="strict", secure=is_secure(connection, settings)
    )


def drop_cookie(response: Response, connection: HTTPConnection, settings: Settings, name: str) -> None:
    """Lets the browser forget a cookie."""
    response.delete_cookie(name, path="/", httponly=True, samesite="strict", secure=is_secure(connection, settings))


def _reads(connection: HTTPConnection) -> bool:
    return connection.scope.get("method", "GET") in _SAFE


def _host(url: str) -> str:
    """Host and port as ``Host`` has them; empty for what is no address, as the ``null`` of an opaque origin."""
    try:
        parts = urlsplit(url)
        return parts.netloc.rpartition("@")[2].lower() if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""
