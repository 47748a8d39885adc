"""Pages of 100 rows a second that the simulator serves from one core.

The server runs in a process of its own, bound to one core; the client is raw sockets on another.
Prints, for each API, the pages of three readings: by the clock on the wall, and by the time that
the server computed, which other work on the machine doesn't distort.
"""

import multiprocessing
import os
import socket
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

from pipelines.simulator import Simulator, World

CONVERSATIONS = 100_000
SIZE = 100
IN_FLIGHT = 4  # connections with a request on the way, so that the server never waits
READINGS = 3
PAGES = CONVERSATIONS // SIZE


def main() -> None:
    """Measure and print."""
    cores = sorted(os.sched_getaffinity(0))
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there, cores[0]))
    server.start()
    os.sched_setaffinity(0, cores[1:] or cores)
    port, chatbot = here.recv()
    try:
        for name, head in requests(chatbot).items():
            for _ in range(READINGS):
                wall, busy = read(port, head), computed(here)
                print(
                    f"{name}: {PAGES / wall:,.0f} pages a second, {PAGES / busy:,.0f} a CPU second"
                )
    finally:
        here.send("stop")
        server.join()


def serve(parent: Connection, core: int) -> None:
    """Serve a large world from one core until told to stop."""
    os.sched_setaffinity(0, {core})
    world = World.seeded(7, bots={"b": CONVERSATIONS}, chatbots={"c": CONVERSATIONS})
    with Simulator(world) as simulator:
        parent.send((int(simulator.url.rpartition(":")[2]), world.chatbot_ids["c"]))
        since = time.process_time()
        while parent.recv() == "computed":
            parent.send(time.process_time() - since)
            since = time.process_time()


def requests(chatbot: str) -> dict[str, tuple[str, str]]:
    """Return the start of the target, and the headers, of each API's list."""
    window = f"conversation_type=ALL&start_time=0&end_time={10**13}&page_size={SIZE}"
    return {
        "GPTBots": (f"/v1/bot/conversation/page?{window}", "Authorization: Bearer key-b"),
        "OKChat": (
            f"/api/external/chatbot/{chatbot}/conversations?limit={SIZE}",
            "x-api-key: key-c",
        ),
    }


def read(port: int, head: tuple[str, str]) -> float:
    """Read every page once and return the seconds that it took."""
    peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(IN_FLIGHT)]
    started = time.perf_counter()
    pages = iter(range(1, PAGES + 1))
    for batch in batches(pages):
        for peer, page in zip(peers, batch, strict=False):
            peer.sendall(
                f"GET {head[0]}&page={page} HTTP/1.1\r\nHost: sim\r\n{head[1]}\r\n\r\n".encode()
            )
        for peer, _ in zip(peers, batch, strict=False):
            receive(peer)
    took = time.perf_counter() - started
    for peer in peers:
        peer.close()
    return took


def computed(server: Connection) -> float:
    """Return the CPU seconds that the server used since it was last asked."""
    server.send("computed")
    seconds: float = server.recv()
    return seconds


def batches(pages: Iterator[int]) -> Iterator[list[int]]:
    """Yield as many pages as there are connections, again and again."""
    every = list(pages)
    for first in range(0, len(every), IN_FLIGHT):
        yield every[first : first + IN_FLIGHT]


def receive(peer: socket.socket) -> None:
    """Read one answer to its end."""
    got = peer.recv(262_144)
    head, _, body = got.partition(b"\r\n\r\n")
    left = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]) - len(body)
    while left > 0:
        left -= len(peer.recv(min(left, 262_144)))


if __name__ == "__main__":
    main()
