"""One key's way to its API: auth, timeouts, retries, rate budget, and what an answer means."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import requests
import tenacity
import urllib3

from pipelines import errors
from pipelines.budget import Budget
from pipelines.connection import Adapter, Call

T = TypeVar("T")

TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and between two pieces of an answer."""
LONGEST = 120.0
"""Seconds that one try may take from first to last, however the answer trickles."""
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

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request; being requests' own hook, it also keeps `.netrc` out."""
        request.headers[self.header] = self.value
        return request


def session(connections: int) -> requests.Session:
    """Return a session for `connections` threads; proxies and CA come from the environment."""
    made = requests.Session()
    adapter = Adapter(pool_connections=4, pool_maxsize=connections, pool_block=True)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    made.headers["User-Agent"] = "convoy-etl"
    made.headers["Accept"] = "application/json"
    return made


def error_for(  # noqa: PLR0911 - a table of statuses reads best as one return each
    status: int, retry_after: str | None = None
) -> errors.ApiError | None:
    """Return what an HTTP status means, None for success."""
    if status == requests.codes.ok:
        return None
    if status in (401, 403):
        return errors.KeyRejected("the API key was rejected; set a valid one")
    if status == requests.codes.too_many:
        return limited(retry_after)
    if status == requests.codes.not_found:
        return errors.NotFound("not found (HTTP 404); check base_url and ids")
    if 300 <= status < 400:
        return errors.RedirectRefused(
            f"the server redirects (HTTP {status}), which would hand the key on; correct base_url"
        )
    if status >= 500 or status == requests.codes.request_timeout:
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
    """Tells when to give up; waiting for the budget or a thread is no failure, so doesn't count."""

    seconds: float
    queued: float = 0.0

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        failing = (state.seconds_since_start or 0.0) - self.queued
        return failing + state.upcoming_sleep >= self.seconds


class _Withheld(Exception):
    """The server asked for silence while a request waited for its thread."""


class Client:
    """Asks one API with one key. Requests run in `pool`, waiting happens in the event loop."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is a fact of its own
        self,
        base_url: str,
        key: Key,
        bot: str,
        budget: Budget,
        http: requests.Session,
        pool: Executor,
        patience: float = PATIENCE,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._bot = bot
        self._budget = budget
        self._http = http
        self._pool = pool
        self._patience = patience
        self._timeout = timeout
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
        where = f"bot {self._bot}, GET {path}"
        patience = _Patience(self._patience)
        try:
            async for attempt in self._attempts(patience):
                with attempt:
                    return await self._once(path, params, read, patience)
        except errors.ApiError as error:
            raise error.at(where) from error.__cause__
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

        def exchange(call: Call) -> T:
            if self._budget.closed:
                raise _Withheld
            patience.queued += time.monotonic() - queued_at
            with call:
                return self._exchange(path, params, read)

        async with self._budget.slot():
            while True:
                self.requests += 1
                try:
                    return await self._in_thread(exchange)
                except _Withheld:
                    self.requests -= 1
                    await self._budget.opened()

    async def _in_thread(self, exchange: Callable[[Call], T]) -> T:
        call = Call(LONGEST)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, exchange, call)
        except asyncio.CancelledError:
            call.cut()  # its thread must not hold up the end of the sync
            raise

    def _exchange(
        self,
        path: str,
        params: Mapping[str, str | int],
        read: Callable[[int, Reply, str | None], T],
    ) -> T:
        try:
            with self._http.get(
                self._base_url + path,
                params=dict(params),
                auth=self._key,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = answer.raw.read(LARGEST_BODY + 1, decode_content=True)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as broken:
            raise _unreachable(broken) from None
        if len(body) > LARGEST_BODY:
            raise errors.BadRequest(f"the answer is larger than {LARGEST_BODY >> 20} MiB")
        reply = Reply(body, datetime.now(UTC), _date(answer.headers.get("Date")))
        try:
            return read(answer.status_code, reply, answer.headers.get("Retry-After"))
        except errors.Transient as error:
            # At once, before this thread sends what waits for it.
            if 0 < error.wait < self._patience:  # beyond, it is given up, not waited for
                self._budget.close_for(error.wait)
            raise


def _unreachable(broken: Exception) -> errors.ApiError:
    """Say what broke by its kind: the text of such exceptions may bear the URL's parameters."""
    if isinstance(broken, requests.exceptions.SSLError):
        return errors.ApiError("no safe connection can be made (TLS); check base_url and the CA")
    if isinstance(broken, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return errors.BadRequest("base_url is no usable address; correct it")
    if isinstance(broken, requests.Timeout | urllib3.exceptions.TimeoutError):
        return errors.Unreachable("the server did not answer in time")
    if isinstance(broken, requests.exceptions.ConnectionError):
        return errors.Unreachable("the server can't be reached; check base_url and the network")
    return errors.Unreachable("the answer broke off")


def _date(header: str | None) -> datetime | None:
    """Read an HTTP date; one that names no zone is UTC, as all of them should be."""
    with suppress(ValueError, TypeError):
        found = parsedate_to_datetime(header) if header else None
        return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
    return None
