"""The simulator as a server on loopback: in a thread for tests, or in the foreground."""

import asyncio
import gc
import signal
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address
from threading import Thread
from time import monotonic
from types import TracebackType
from typing import Self

from pipelines.simulator.connection import Connection
from pipelines.simulator.faults import Faults
from pipelines.simulator.knobs import Knobs
from pipelines.simulator.log import Logged
from pipelines.simulator.service import Service
from pipelines.simulator.wire import Request
from pipelines.simulator.world import World

_LOOPBACK = "127.0.0.1"
_STOPS_WITHIN = 10  # seconds


class Simulator:
    """Both APIs of a world, served on loopback by a thread of their own while in its block."""

    def __init__(
        self,
        world: World,
        knobs: Knobs | None = None,
        faults: Faults | None = None,
        port: int = 0,
    ) -> None:
        self.world = world
        self.url = ""
        self._port = port
        self._service = Service(world, knobs, faults)
        self._thread: Thread | None = None
        self._end: Callable[[], object] = lambda: None

    @property
    def knobs(self) -> Knobs:
        """How the APIs behave; a change counts from the next request."""
        return self._service.knobs

    @knobs.setter
    def knobs(self, knobs: Knobs) -> None:
        self._service.knobs = knobs

    @property
    def faults(self) -> Faults:
        """What goes wrong; setting it begins its chances anew."""
        return self._service.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._service.faults = faults

    @property
    def on_request(self) -> Callable[[Request], object] | None:
        """Called in the server's thread before a request to either API is answered."""
        return self._service.on_request

    @on_request.setter
    def on_request(self, hook: Callable[[Request], object] | None) -> None:
        self._service.on_request = hook

    @property
    def log(self) -> list[Logged]:
        """The requests to both APIs so far; those to `/_sim/` don't count."""
        return list(self._service.logged)

    def clear_log(self) -> None:
        """Forget the requests."""
        self._service.logged.clear()

    def __enter__(self) -> Self:
        ready: Future[str] = Future()
        self.world.warm()
        self._thread = Thread(target=self._run, args=(ready,), name="simulator", daemon=True)
        self._thread.start()
        self.url = ready.result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        if self._thread is not None:
            self._thread.join(_STOPS_WITHIN)

    def _run(self, ready: "Future[str]") -> None:
        try:
            asyncio.run(self._serve(ready.set_result))
        except OSError as error:
            ready.set_exception(error)

    async def _serve(self, ready: Callable[[str], object]) -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        self._end = lambda: loop.call_soon_threadsafe(stop.set)
        await listen(self._service, (_LOOPBACK, self._port), stop, ready)


async def listen(
    service: Service,
    address: tuple[str, int],
    stop: asyncio.Event,
    ready: Callable[[str], object],
) -> None:
    """Serve until told to stop; `ready` is told the URL.

    Raises:
        OSError: The port is taken.
    """
    open_ones: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service, open_ones), *address)
    host, port = server.sockets[0].getsockname()[:2]
    ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    await stop.wait()
    server.close()
    for connection in list(open_ones):
        connection.abort()
    await server.wait_closed()


def serve(  # noqa: PLR0913 - the one call that a command makes, all by name
    world: World,
    knobs: Knobs | None = None,
    faults: Faults | None = None,
    host: str = _LOOPBACK,
    port: int = 0,
    *,
    tick: float | None = None,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve in the foreground until SIGTERM or SIGINT; every `tick` seconds the world goes on.

    Raises:
        ValueError: The host isn't a loopback address.
        OSError: The port is taken.
    """
    address = (loopback(host), port)
    world.warm()
    gc.freeze()  # what stays for good needn't be looked at by every collection
    asyncio.run(_serve(Service(world, knobs, faults), address, tick, ready or (lambda _: None)))


def loopback(host: str) -> str:
    """Return the address of a host that is this machine and can't be reached from elsewhere."""
    if host == "localhost":
        return _LOOPBACK
    with suppress(ValueError):
        if ip_address(host).is_loopback:
            return host
    msg = f"the simulator has no real protection and listens on loopback only, not on {host!r}"
    raise ValueError(msg)


async def _serve(
    service: Service,
    address: tuple[str, int],
    tick: float | None,
    ready: Callable[[str], object],
) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    ticking = asyncio.create_task(_tick(service.world, tick)) if tick else None
    try:
        await listen(service, address, stop, ready)
    finally:
        if ticking is not None:
            ticking.cancel()


async def _tick(world: World, seconds: float) -> None:
    lived = monotonic()
    while True:  # until cancelled
        await asyncio.sleep(seconds)
        now = monotonic()
        world.advance(timedelta(0) if world.clock.is_real else timedelta(seconds=now - lived))
        lived = now
