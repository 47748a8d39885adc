"""Connections whose answers come to an end: by a deadline, however they trickle, or cut off.

A timeout of `requests` counts the silence between two pieces: a server that sends a byte a
minute would hold a thread for ever, and a sync that is stopped would wait for it.
"""

import io
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any, Self

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

_thread = threading.local()


class Call:
    """One request, made within its block: ends `seconds` after it began, or when cut off."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = 0.0
        self._socket: socket.socket | None = None
        self._is_cut = False

    def __enter__(self) -> Self:
        self._ends = time.monotonic() + self._seconds
        _thread.call = self
        return self

    def __exit__(self, *_: object) -> None:
        _thread.call = self._socket = None

    def cut(self) -> None:
        """End it from another thread: whoever waits for the answer finds the connection closed."""
        self._is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def waits_at(self, sock: socket.socket) -> None:
        """Note what to shut when it is cut."""
        self._socket = sock
        self.left()

    def left(self) -> float:
        """Return the seconds that it may still take.

        Raises:
            TimeoutError: none, or it was cut.
        """
        left = self._ends - time.monotonic()
        if self._is_cut or left <= 0:
            raise TimeoutError
        return left


class _Pieces(io.RawIOBase):
    """Bytes of an answer; waits for each piece no longer than its call may take."""

    def __init__(self, pieces: Any, sock: socket.socket, call: Call) -> None:  # noqa: ANN401 - the socket module's own
        self._pieces = pieces
        self._socket = sock
        self._silence = sock.gettimeout() or float("inf")
        self._call = call

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        self._socket.settimeout(min(self._silence, self._call.left()))
        read: int | None = self._pieces.readinto(buffer)
        return read

    def close(self) -> None:
        self._pieces.close()
        super().close()


class _Response(HTTPResponse):
    """An answer to the call of its thread."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(sock, *args, **kwargs)
        call: Call | None = getattr(_thread, "call", None)
        if call is not None:
            self.fp = io.BufferedReader(_Pieces(self.fp.detach(), sock, call))
            call.waits_at(sock)


class _Http(HTTPConnection):
    response_class = _Response


class _Https(HTTPSConnection):
    response_class = _Response


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Https


class Adapter(HTTPAdapter):
    """The adapter of `requests`, over such connections (proxies of SOCKS bring their own)."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Make the connections' pools."""
        super().init_poolmanager(*args, **kwargs)
        _make_ours(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
        """Return the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            _make_ours(manager)
        return manager


def _make_ours(manager: Any) -> None:  # noqa: ANN401 - has no type in common
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
