"""Requests that are sent again when the server is busy, and refusals as exceptions."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

try:
    import httpx
except ImportError as error:  # pragma: no cover
    raise ImportError("facemix.client needs httpx: pip install 'facemix[client]'") from error

LONGEST_WAIT = 60.0  # seconds before a request is sent again, whatever the server says
_BUSY = (429, 503)
_HALTED = "halted"  # for how long, nobody knows
_HELD = "held_for_review"
_IN_FLIGHT = "idempotency_in_flight"


class ApiError(Exception):
    """A refusal.

    Attributes:
        status: of HTTP.
        code: stable; programs may switch on it.
        title: what kind of problem it is.
        detail: what was wrong this time.
        hint: what to do about it.
        where: which input it concerns, or None.
        request_id: names the request in the server's log, or None.
        retry_after: seconds after which to try again, or None.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        hint: str,
        where: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        named = where is None or detail.startswith((f"{where} ", f"{where}: "))  # by the detail itself
        said = detail if named else f"{where}: {detail}"
        super().__init__(f"{said} (hint: {hint})" if hint else said)
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.hint, self.where, self.request_id, self.retry_after = hint, where, request_id, retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        told = (self.status, self.code, self.title, self.detail, self.hint, self.where)
        return type(self), (*told, self.request_id, self.retry_after)


class ResultHeld(ApiError):
    """A person looks at the result before it is given out: no failure, and nothing to send again. `Client.review` says
    later how it stands, `Client.collect` gives the result once it is approved.

    The addresses do not stand in the message, which may get into a log: whoever has one can fetch the result.

    Attributes:
        status_url: where a program asks how it stands; to be kept by whoever wants to ask later.
        page_url: the same for people.
        retry_after: seconds after which it may be worth to ask.
    """

    def __init__(self, *told: Any, status_url: str | None = None, page_url: str | None = None) -> None:
        super().__init__(*told)
        self.status_url, self.page_url = status_url, page_url

    @property
    def token(self) -> str | None:
        """What all the addresses end with; None where the answer named none."""
        return self.status_url.rpartition("/")[2] if self.status_url else None

    def __reduce__(self) -> tuple[Any, ...]:
        return (*super().__reduce__(), {"status_url": self.status_url, "page_url": self.page_url})


class Transport:
    """Sends requests to one server.

    Args:
        url: of the server, perhaps with a path under which it lies.
        key: an API key.
        consent: version of the server's terms to which the caller agrees.
        timeout: seconds without a sign of the server after which a request is given up.
        retries: how often a request is sent again.
        http: used in the place of a client of its own, and not closed.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        timeout: float,
        retries: int,
        http: httpx.Client | None,
        consent: str | None = None,
    ) -> None:
        self._url, self._retries = url.rstrip("/"), retries
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        if consent is not None:
            self._headers["X-Facemix-Consent"] = consent
        self._http, self._own = (httpx.Client(timeout=timeout), True) if http is None else (http, False)

    def close(self) -> None:
        if self._own:
            self._http.close()

    def json(self, method: str, path: str, **options: Any) -> Any:
        """A request whose answer is JSON. Raises as `send`."""
        return self.send(method, path, **options).json()

    def send(
        self, method: str, path: str, *, creates: bool = False, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """Sends a request, again where the server is busy or does not answer.

        Args:
            path: as ``/api/v1/mix``.
            creates: it must not be done twice: an ``Idempotency-Key`` goes with it.
            options: of `httpx.Client.build_request`.

        Raises:
            ResultHeld: a person looks at the result first.
            ApiError: it was refused.
            httpx.TransportError: the server cannot be reached, or did not answer in time.
        """
        whole = {**self._headers, **(headers or {})}
        if creates:
            whole["Idempotency-Key"] = uuid.uuid4().hex
        # Built once: the same bytes are sent again.
        request = self._http.build_request(method, self._url + path, headers=whole, **options)
        for left in range(self._retries, -1, -1):
            try:
                answer = self._http.send(request)
            except httpx.TransportError:
                if not left:
                    raise
                time.sleep(1)
                continue
            if answer.is_success:
                if answer.status_code == 202 and isinstance(held := _refusal(answer), ResultHeld):
                    raise held
                return answer
            error = _refusal(answer)
            passing = (error.status in _BUSY and error.code != _HALTED) or error.code == _IN_FLIGHT
            if not left or not passing:
                raise error
            time.sleep(min(LONGEST_WAIT, 1.0 if error.retry_after is None else error.retry_after))
        raise AssertionError("the last try answers or raises")


def _refusal(answer: httpx.Response) -> ApiError:
    try:
        said = answer.json()
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}  # a proxy, perhaps
    told = (
        answer.status_code,
        str(said.get("code", f"http_{answer.status_code}")),
        str(said.get("title", answer.reason_phrase)),
        str(said.get("detail", f"the server answered {answer.status_code} {answer.reason_phrase}")),
        str(said.get("hint", "")),
        said.get("where"),
        said.get("request_id", answer.headers.get("x-request-id")),
        _seconds(answer.headers.get("retry-after")),
    )
    if answer.status_code != 202 or said.get("code") != _HELD:
        return ApiError(*told)
    status_url = said.get("status_url", answer.headers.get("location"))
    return ResultHeld(*told, status_url=status_url, page_url=said.get("page_url"))


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None  # a date, which this server does not send
