"""The server: HTTP on the wire, loopback only, stopping."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from pipelines.simulator import Knobs, Simulator, World, serve

from .client import Client

SERVED = """
from pipelines.simulator import World, serve
serve(World.seeded(1, bots={"b": 500}), tick=0.05, ready=lambda url: print(url, flush=True))
"""


def raw(sim: Simulator, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", int(sim.url.rpartition(":")[2]))) as peer:
        peer.sendall(data)
        peer.settimeout(5)
        got = b""
        while chunk := peer.recv(65536):
            got += chunk
    return got


def test_one_connection_serves_many_requests(client: Client) -> None:
    for _ in range(5):
        assert client.gptbots(page_size=1).headers["Connection"] == "keep-alive"
        assert client.connection.sock is not None


def test_requests_in_one_packet_are_answered_in_turn(sim: Simulator) -> None:
    two = b"GET /_sim/nothing HTTP/1.1\r\n\r\nGET /v1/no HTTP/1.1\r\nConnection: close\r\n\r\n"
    got = raw(sim, two)
    assert got.count(b"HTTP/1.1 404 Not Found") == 2
    assert got.index(b"/_sim/nothing") < got.index(b"/v1/no")


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"POST /_sim/do HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /_sim/do HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"x" * 70_000,
    ],
)
def test_what_is_no_request_is_400_and_the_end(sim: Simulator, data: bytes) -> None:
    assert raw(sim, data).startswith(b"HTTP/1.1 400 ")


def test_a_failing_hook_answers_500(
    client: Client, sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    sim.on_request = lambda _: 1 / 0
    assert client.gptbots().status == 500
    assert "ZeroDivisionError" in caplog.text


def test_a_taken_port_is_an_error() -> None:
    world = World(0)
    with Simulator(world) as first, pytest.raises(OSError, match="address already in use"):
        Simulator(world, port=int(first.url.rpartition(":")[2])).__enter__()


def test_it_stops_with_connections_open() -> None:
    with Simulator(World.seeded(1, bots={"support": 1})) as sim:
        client = Client(sim)
        client.gptbots()
    with pytest.raises(OSError, match=r"."):
        Client(sim).gptbots()
    client.connection.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com", ""])  # noqa: S104
def test_only_loopback_is_served(host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        serve(World(0), host=host)


def test_a_knob_takes_only_what_it_has() -> None:
    with pytest.raises(ValueError, match="order"):
        Knobs(order="sideways")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="latency"):
        Knobs(latency="long")  # type: ignore[arg-type]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_serve_ticks_and_stops_on_signals(stop: signal.Signals) -> None:
    with subprocess.Popen(  # noqa: S603 - this interpreter, with the text above
        [sys.executable, "-c", SERVED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        before = urllib.request.urlopen(f"{url}/_sim/state").read()  # noqa: S310 - loopback
        time.sleep(0.3)
        assert urllib.request.urlopen(f"{url}/_sim/state").read() != before  # noqa: S310 - loopback
        process.send_signal(stop)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
