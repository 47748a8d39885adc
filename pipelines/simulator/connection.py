"""One connection of a client: requests in, answers out, one after the other."""

import asyncio
import logging
import socket
import struct

from pipelines.simulator import control
from pipelines.simulator.conversation import to_json
from pipelines.simulator.service import Service
from pipelines.simulator.spoiling import Reply, packed
from pipelines.simulator.wire import Answer, BadRequestError, Request, take_request

_LOGGER = logging.getLogger(__name__)
_LINGER_NOT = struct.pack("ii", 1, 0)  # closing then sends RST rather than FIN


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive on one connection; a delayed answer delays only those behind it."""

    def __init__(self, service: Service, open_ones: "set[Connection]") -> None:
        self._service = service
        self._open_ones = open_ones
        self._buffer = bytearray()
        self._waits = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._open_ones.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the connection."""
        self._transport = None
        self._open_ones.discard(self)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is there as a whole."""
        self._buffer += data
        self._answer_all()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _answer_all(self) -> None:
        while self._transport is not None and not self._waits:
            try:
                request = take_request(self._buffer)
            except BadRequestError as error:
                bad = Answer(400, to_json({"error": str(error)}))
                self._send(packed(None, bad, keeps_alive=False))
                return
            if request is None:
                return
            self._deliver(self._reply(request))

    def _reply(self, request: Request) -> Reply:
        try:
            if request.path.startswith(control.ROOT):
                answer = control.answer(self._service, request)
                return packed(None, answer, keeps_alive=request.keeps_alive)
            return self._service.reply(request)
        except Exception:  # a test's hook may raise anything; the client must not hang on it
            _LOGGER.exception("no answer to %s %s", request.method, request.path)
            return packed(None, Answer(500, b"{}"), keeps_alive=False)

    def _deliver(self, reply: Reply) -> None:
        if reply.delay:
            self._waits = True
            asyncio.get_running_loop().call_later(reply.delay, self._send_late, reply)
        else:
            self._send(reply)

    def _send_late(self, reply: Reply) -> None:
        self._waits = False
        self._send(reply)
        self._answer_all()

    def _send(self, reply: Reply) -> None:
        if self._transport is None:
            return
        if reply.then == "reset":
            peer = self._transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self._transport.abort()
            self._transport = None
            return
        self._transport.write(reply.data)
        if reply.then == "close":
            self._transport.close()
            self._transport = None
