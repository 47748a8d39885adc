"""One key's way to its API: auth, timeouts, retries, rate budget, and what an answer means."""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote_plus, urlsplit

import pycurl
import tenacity

from pipelines import errors
from pipelines.budget import Budget
from pipelines.connections import Answered, Broken, Connections, Timeout, TooLarge

T = TypeVar("T")

TIMEOUT = Timeout(connect=10.0, silence=60.0, whole=120.0)
PATIENCE = 300.0
"""Seconds after which a request that keeps failing is given up."""
LARGEST_BODY = 64 * 2**20
BACKOFF = tenacity.wait_random(0, 0.2) + tenacity.wait_exponential(0.2, 60.0)
"""Seconds before the next try of a request: doubled each time, never quite the same."""


@dataclass(frozen=True)
class Reply:
    """An answer with status 200: its body and when it arrived, by both clocks."""

    body: bytes
    at: datetime
    server_at: datetime | None


@dataclass(frozen=True)
class Key:
    """What a request authenticates with: one header. Prints without its value."""

    header: str
    value: str

    def __repr__(self) -> str:
        return f"Key({self.header!r}, '***')"


def error_for(  # noqa: PLR0911 - a table of statuses reads best as one return each
    status: int, retry_after: str | None = None
) -> errors.ApiError | None:
    """Return what an HTTP status means, None for success."""
    if status == HTTPStatus.OK:
        return None
    if status in (401, 403):
        return errors.KeyRejected("the API key was rejected; set a valid one")
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return errors.BadRequest("the proxy asks for a password (HTTP 407); correct its variable")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return limited(retry_after)
    if status == HTTPStatus.NOT_FOUND:
        return errors.NotFound("not found (HTTP 404); check base_url and ids")
    if 300 <= status < 400:
        return errors.RedirectRefused(
            f"the server redirects (HTTP {status}), which would hand the key on; correct base_url"
        )
    if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:
        return errors.BrokenReply(f"the server failed (HTTP {status})")
    return errors.BadRequest(f"the API refused the request (HTTP {status})")


def limited(retry_after: str | None) -> errors.RateLimited:
    """Return the error of a 429; `Retry-After` may hold seconds or a date."""
    error = errors.RateLimited("too many requests; lower requests_per_minute")
    if retry_after is not None:
        error.wait = _seconds(retry_after)
    return error


def _seconds(retry_after: str) -> float:
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", retry_after):
        return float(retry_after)
    until = _date(retry_after)
    return max(0.0, (until - datetime.now(UTC)).total_seconds()) if until else 0.0


@dataclass
class _Patience:
    """Tells when to give up; waiting for the budget or a connection is no failure."""

    seconds: float
    began: float = field(default_factory=time.monotonic)
    queued: float = 0.0

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        failing = time.monotonic() - self.began - self.queued
        return failing + state.upcoming_sleep >= self.seconds


class Client:
    """Asks one API with one key; whatever waits, waits in the event loop."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is a fact of its own
        self,
        base_url: str,
        key: Key,
        bot: str,
        budget: Budget,
        connections: Connections,
        patience: float = PATIENCE,
        timeout: Timeout = TIMEOUT,
        clean: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._base_url = _in_ascii(base_url.rstrip("/"))
        self._headers = [f"{key.header}: {key.value}"]
        self._bot = bot
        self._budget = budget
        self._connections = connections
        self._patience = patience
        self._timeout = timeout
        self._clean = clean
        self.requests = 0

    async def get(
        self,
        path: str,
        params: Mapping[str, str | int],
        read: Callable[[int, Reply, str | None], T],
    ) -> T:
        """Ask until there is an answer or no hope.

        `read` gets status, reply and `Retry-After`, and returns what the answer says or raises
        what it means; anything `Transient` is asked again.
        """
        patience = _Patience(self._patience)
        try:
            try:
                return await self._once(path, params, read, patience)
            except errors.Transient as failed:
                return await self._again(path, params, read, patience, failed)
        except errors.ApiError as error:
            raise error.at(f"bot {self._bot}, GET {path}") from error.__cause__

    async def _again(
        self,
        path: str,
        params: Mapping[str, str | int],
        read: Callable[[int, Reply, str | None], T],
        patience: _Patience,
        failed: errors.Transient,
    ) -> T:
        """Ask again; the failure that there was is the first of those that tenacity counts."""
        async for attempt in self._attempts(patience):
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise failed
                return await self._once(path, params, read, patience)
        raise AssertionError  # tenacity either returns or raises

    def _attempts(self, patience: _Patience) -> tenacity.AsyncRetrying:
        def pause(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.wait if isinstance(error, errors.Transient) else 0.0
            return max(asked, BACKOFF(state))

        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(errors.Transient),
            wait=pause,
            stop=patience,
            reraise=True,
        )

    async def _once(
        self,
        path: str,
        params: Mapping[str, str | int],
        read: Callable[[int, Reply, str | None], T],
        patience: _Patience,
    ) -> T:
        queued_at = time.monotonic()
        async with self._budget.slot():
            while True:
                async with self._connections.room:
                    if not self._budget.closed:  # by an answer that came meanwhile
                        patience.queued += time.monotonic() - queued_at
                        self.requests += 1
                        return self._read(await self._answer(path, params), read)
                await self._budget.opened()

    async def _answer(self, path: str, params: Mapping[str, str | int]) -> Answered:
        query = "&".join(f"{key}={_quoted(value)}" for key, value in params.items())
        url = f"{self._base_url}{path}?{query}" if params else self._base_url + path
        try:
            return await self._connections.get(url, self._headers, self._timeout, LARGEST_BODY)
        except TooLarge:
            message = f"the answer is larger than {LARGEST_BODY >> 20} MiB"
            raise errors.BadRequest(message) from None
        except Broken as broken:
            raise _unreachable(broken.code, sent=broken.sent) from None
        except (pycurl.error, ValueError):  # what can't even be set
            raise _unreachable(pycurl.E_URL_MALFORMAT, sent=False) from None

    def _read(self, answer: Answered, read: Callable[[int, Reply, str | None], T]) -> T:
        reply = Reply(self._clean(answer.body), datetime.now(UTC), _date(answer.header("date")))
        try:
            return read(answer.status, reply, answer.header("retry-after"))
        except errors.Transient as error:
            # At once, before anything is sent that waits for the connection.
            if 0 < error.wait < self._patience:  # beyond, it is given up, not waited for
                self._budget.close_for(error.wait)
            raise


def _quoted(value: str | int) -> str:
    return str(value) if isinstance(value, int) else quote_plus(value)


def _unreachable(code: int, *, sent: bool) -> errors.ApiError:
    """Say what broke by its kind: libcurl's own words may bear the URL's parameters."""
    if code in _TLS:
        return errors.ApiError("no safe connection can be made (TLS); check base_url and the CA")
    if code in (pycurl.E_URL_MALFORMAT, pycurl.E_UNSUPPORTED_PROTOCOL) and not sent:
        return errors.BadRequest("base_url is no usable address; correct it")
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return errors.Unreachable("the server did not answer in time")
    if code in _NOT_REACHED:
        return errors.Unreachable("the server can't be reached; check base_url and the network")
    if code == pycurl.E_BAD_CONTENT_ENCODING:
        return errors.BrokenReply("the answer can't be unpacked (Content-Encoding)")
    return errors.Unreachable("the answer broke off")


_TLS = frozenset(
    {
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_ISSUER_ERROR,
    }
)
_NOT_REACHED = frozenset(
    {
        pycurl.E_COULDNT_RESOLVE_PROXY,
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_CONNECT,
        pycurl.E_SSL_CONNECT_ERROR,
    }
)


def _in_ascii(url: str) -> str:
    """Write a host of other letters as the network does."""
    with suppress(ValueError):
        host = "" if url.isascii() else urlsplit(url).hostname or ""
        return url.replace(host, host.encode("idna").decode(), 1)
    return url


@lru_cache(maxsize=16)
def _date(header: str | None) -> datetime | None:
    """Read an HTTP date; one that names no zone is UTC, as all of them should be."""
    with suppress(ValueError, TypeError):
        found = parsedate_to_datetime(header) if header else None
        return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
    return None
