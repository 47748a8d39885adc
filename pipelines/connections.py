"""Requests over a few connections: libcurl, driven by the event loop, so that no thread waits.

A request is sent once. libcurl would send it again by itself where a kept connection dies before
the first byte of its answer; the server may have counted it all the same, so that is an error
here like any other, and whoever asks takes another slot of its budget.
"""

import asyncio
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import pycurl

_BUFFER = 2**18
_HEADERS = ["User-Agent: convoy-etl", "Accept: application/json"]
_ACTIONS = {
    pycurl.POLL_IN: (True, False),
    pycurl.POLL_OUT: (False, True),
    pycurl.POLL_INOUT: (True, True),
}
"""Whether libcurl waits for a socket to be read, and to be written."""
_NEITHER = (False, False)
_FRESH = 100
"""Requests that open connections of their own after a kept one was found dead."""


@dataclass(frozen=True)
class Timeout:
    """Seconds to connect, between two pieces of an answer, and from first to last."""

    connect: float
    silence: float
    whole: float


@dataclass(frozen=True)
class Answered:
    """An answer of whatever status; its head as it came, line by line."""

    status: int
    head: Sequence[bytes]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header of this name (in lower case)."""
        start = name.encode() + b":"
        found = (line[len(start) :] for line in self.head if _starts(line, start))
        value = next(found, None)
        return None if value is None else value.strip().decode("latin-1")


def _starts(line: bytes, start: bytes) -> bool:
    return line[: len(start)].lower() == start


class Broken(Exception):
    """No answer came; `code` is libcurl's (`pycurl.E_…`), `sent` whether the request went out."""

    def __init__(self, code: int, *, sent: bool) -> None:
        super().__init__(code)
        self.code = code
        self.sent = sent


class TooLarge(Exception):
    """The answer has more bytes than it may have."""


class Connections:
    """At most so many connections, kept open between requests; for one event loop.

    Proxies and the trusted CAs come from the environment. A request takes a place in `room`
    first: `async with connections.room: await connections.get(…)`.
    """

    def __init__(self, most: int) -> None:
        self.room = asyncio.Semaphore(most)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, most)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._lines: dict[pycurl.Curl, _Line] = {}
        self._free: list[_Line] = []
        self._fresh = 0
        self._watched: dict[int, tuple[bool, bool]] = {}
        self._proxies: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop = None  # it may be closed; what libcurl says to the last connections is enough
        for line in self._free:
            line.close()
        self._multi.close()

    async def get(self, url: str, headers: Sequence[str], times: Timeout, most: int) -> Answered:
        """Send one request and return what comes back, up to `most` bytes.

        Raises:
            Broken: there is no answer, or not all of it.
            TooLarge: there is more of it.
        """
        self._loop = asyncio.get_running_loop()
        line = self._free.pop() if self._free else _Line()
        try:
            answer = line.call(self._loop, times, most)
            _prepare(line.curl, url, headers, self._proxy(url), times)
            line.curl.setopt(pycurl.FRESH_CONNECT, self._fresh > 0)
            self._fresh = max(0, self._fresh - 1)
            self._lines[line.curl] = line
            self._multi.add_handle(line.curl)
            return await answer
        finally:
            if self._lines.pop(line.curl, None):
                self._multi.remove_handle(line.curl)  # closes what is still under way
            line.hang_up()
            self._free.append(line)

    def _proxy(self, url: str) -> str:
        """Return the proxy for an address, empty for none."""
        origin = "/".join(url.split("/", 3)[:3])
        if origin not in self._proxies:
            parts, found = urlsplit(origin), getproxies()
            proxy = found.get(parts.scheme) or found.get("all", "")
            self._proxies[origin] = "" if proxy_bypass(parts.netloc) else proxy
        return self._proxies[origin]

    def _watch(self, action: int, fd: int, _multi: object, _data: object) -> None:
        """Wait for a socket as libcurl asks to."""
        if self._loop is None:
            return
        read, written = self._watched.pop(fd, _NEITHER)
        reads, writes = _ACTIONS.get(action, _NEITHER)
        if reads and not read:
            self._loop.add_reader(fd, self._act, fd, pycurl.CSELECT_IN)
        elif read and not reads:
            self._loop.remove_reader(fd)
        if writes and not written:
            self._loop.add_writer(fd, self._act, fd, pycurl.CSELECT_OUT)
        elif written and not writes:
            self._loop.remove_writer(fd)
        if reads or writes:
            self._watched[fd] = (reads, writes)

    def _set_timer(self, milliseconds: int) -> None:
        """Call libcurl back after a while, or no more.

        It asks for another time with each request. A callback that is set and comes too early
        looks again when it comes: that costs less than taking it back.
        """
        if self._loop is None:
            return
        self._due = self._loop.time() + milliseconds / 1000 if milliseconds >= 0 else math.inf
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        self._wake()

    def _wake(self) -> None:
        if self._timer is None and self._loop is not None and self._due < math.inf:
            self._timer = self._loop.call_at(self._due, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._loop is not None and self._loop.time() >= self._due:
            self._due = math.inf
            self._act(pycurl.SOCKET_TIMEOUT, 0)
        self._wake()

    def _act(self, fd: int, events: int) -> None:
        """Let libcurl go on, and hand over what is finished."""
        self._multi.socket_action(fd, events)
        waiting = 1
        while waiting:
            waiting, finished, failed = self._multi.info_read()
            for curl in finished:
                self._lines[curl].end()
            for curl, code, _ in failed:
                if code == pycurl.E_ABORTED_BY_CALLBACK:
                    self._fresh = _FRESH
                self._lines[curl].fail(Broken(code, sent=self._lines[curl].sent))


class _Line:
    """One of libcurl's handles, and the request that it makes just now."""

    def __init__(self) -> None:
        self.curl = _curl()
        self.curl.setopt(pycurl.PREREQFUNCTION, self._send)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._hear_header)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._hear)
        self._alarm: asyncio.TimerHandle | None = None

    def call(
        self, loop: asyncio.AbstractEventLoop, timeout: Timeout, most: int
    ) -> asyncio.Future[Answered]:
        """Begin a request; return where its answer will be."""
        self._loop, self._silence, self._most = loop, timeout.silence, most
        self.sent, self._body = False, bytearray()
        self._heard = math.inf  # until it is sent it can't be silent
        self._head: list[bytes] = []
        self._is_head = False
        self._answer: asyncio.Future[Answered] = loop.create_future()
        return self._answer

    def hang_up(self) -> None:
        """Forget the request; the alarm looks for itself that there is none."""
        self._silence = math.inf
        self._body.clear()

    def close(self) -> None:
        """Make no further request."""
        if self._alarm is not None:
            self._alarm.cancel()
        self.curl.close()

    def end(self) -> None:
        """Hand the answer over."""
        if not self._answer.done():
            status = self.curl.getinfo(pycurl.RESPONSE_CODE)
            answered = Answered(status, self._head, bytes(self._body))
            self._answer.set_result(answered)

    def fail(self, error: Exception) -> None:
        """Say that there is none."""
        if not self._answer.done():
            self._answer.set_exception(error)

    def _send(self, *_addresses: object) -> int:
        if self.sent:
            return int(pycurl.PREREQFUNC_ABORT)
        self.sent, self._heard = True, self._loop.time()
        due = self._heard + self._silence
        if self._alarm is not None and self._alarm.when() > due:  # set for a more patient one
            self._alarm.cancel()
            self._alarm = None
        if self._alarm is None:
            self._alarm = self._loop.call_at(due, self._is_silent)
        return int(pycurl.PREREQFUNC_OK)

    def _is_silent(self) -> None:
        self._alarm = None
        due = self._heard + self._silence
        if due <= self._loop.time():
            self.fail(Broken(pycurl.E_OPERATION_TIMEDOUT, sent=self.sent))
        elif due < math.inf:
            self._alarm = self._loop.call_at(due, self._is_silent)

    def _hear_header(self, line: bytes) -> None:
        self._heard = self._loop.time()
        if line.startswith(b"HTTP/"):  # others came before: of a proxy, or of hints
            self._head.clear()
            self._is_head = True
        elif not line.strip():
            self._is_head = False  # what may come after the body is no head
        elif self._is_head:
            self._head.append(line)

    def _hear(self, piece: bytes) -> int | None:
        self._heard = self._loop.time()
        if len(self._body) + len(piece) > self._most:
            self.fail(TooLarge())
            return -1
        self._body += piece
        return None


def _curl() -> pycurl.Curl:
    """Return a handle with all that no request changes."""
    curl = pycurl.Curl()
    bundle = _ca_bundle()
    for option, value in {
        pycurl.NOSIGNAL: 1,
        pycurl.BUFFERSIZE: _BUFFER,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
        pycurl.ACCEPT_ENCODING: "",  # whatever libcurl can unpack
        pycurl.FOLLOWLOCATION: 0,
        pycurl.NETRC: pycurl.NETRC_IGNORED,
        pycurl.CAPATH if Path(bundle).is_dir() else pycurl.CAINFO: bundle,
    }.items():
        curl.setopt(option, value)
    return curl


def _ca_bundle() -> str:
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    return next(filter(None, map(os.environ.get, names)), certifi.where())


def _prepare(
    curl: pycurl.Curl, url: str, headers: Sequence[str], proxy: str, timeout: Timeout
) -> None:
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.HTTPHEADER, [*_HEADERS, *headers])
    curl.setopt(pycurl.PROXY, proxy)
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, round(timeout.connect * 1000))
    curl.setopt(pycurl.TIMEOUT_MS, round(timeout.whole * 1000))
