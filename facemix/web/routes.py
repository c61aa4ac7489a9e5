"""What a request may be called in metrics, traces and logs: the address as the application wrote it, not as the
client did. Read once the request has been routed."""

from __future__ import annotations

import re

from starlette.types import Scope

OTHER = "other"
CLIENT_LEFT = 499  # stands for the status of an answer that nobody waited for
PROBES = frozenset(("/healthz", "/readyz", "/metrics"))  # asked for every few seconds, by programs
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_LONGEST_PATH = 200
# What follows these is known to its owner alone, and opens what it names. Where no route matched, as in a front that
# forwards everything, there is no template that would hide it.
_NAMED = re.compile(r"(/r/|/held/|/api/v1/(?:recipes|faces|jobs|reviews|records)/)[^/]+")


def route_template(scope: Scope) -> str:
    """The route's template, as ``/api/v1/samples/{number}``; of a mounted folder its prefix; ``other`` where no
    route matched. There are only as many as the application has routes."""
    template = getattr(scope.get("route"), "path", None)
    if isinstance(template, str):
        return template or OTHER
    # A match may leave no route in the scope: a mount, which moves the root, or a route whose path is no pattern.
    if "app_root_path" in scope:
        return scope["root_path"].removeprefix(scope["app_root_path"]) or OTHER
    return OTHER if "endpoint" not in scope or scope.get("path_params") else scope["path"]


def known_method(scope: Scope) -> str:
    """The method, or ``other``: a client may send any word."""
    return scope["method"] if scope["method"] in _METHODS else OTHER


def loggable_path(scope: Scope) -> str:
    """The path as it may stand in a log line: the template where a part of the path names something (a recipe, a
    face), otherwise what was asked for, as ASCII without line breaks and cut short."""
    template = getattr(scope.get("route"), "path", None)
    if isinstance(template, str) and scope.get("path_params"):
        return template
    return ascii(_NAMED.sub(r"\g<1>*", scope["path"]))[1:-1][:_LONGEST_PATH]
