"""CPU and time of a request by `requests` in 8 threads and by Convoy's own connections, 8 of them.

A page of 25 KB over kept connections, in the clear and over TLS (a certificate signed by itself,
made by `openssl`), from a server in a process of its own. Prints one Markdown table.
"""

import asyncio
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import requests

from pipelines.connections import Connections, Timeout

REQUESTS = 3_000
AT_ONCE = 8
ROUNDS = 3
BODY = b"x" * 25_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


def main() -> None:
    """Measure and print."""
    if len(sys.argv) > 1:
        asyncio.run(serve(sys.argv[1]))
        return
    print("| client | http: CPU ms | wall ms | https: CPU ms | wall ms |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        certificate = certify(Path(folder))
        os.environ["REQUESTS_CA_BUNDLE"] = certificate
        servers = [start(""), start(certificate)]
        try:
            for name, ask in CLIENTS.items():
                figures = [figure for _, url in servers for figure in measured(ask, url)]
                print(f"| {name} | {' | '.join(f'{figure:.2f}' for figure in figures)} |")
        finally:
            for process, _ in servers:
                process.terminate()
                process.wait()


def measured(ask: Callable[[str], None], url: str) -> tuple[float, float]:
    """Return milliseconds of CPU and of wall clock for each request, medians of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        cpu, wall = time.process_time(), time.perf_counter()
        ask(url)
        rounds.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpus, walls = zip(*rounds, strict=True)
    return median(cpus) * 1000 / REQUESTS, median(walls) * 1000 / REQUESTS


def by_requests(url: str) -> None:
    """Ask with a session that all threads share."""
    with requests.Session() as session, ThreadPoolExecutor(AT_ONCE) as pool:
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=AT_ONCE)
        session.mount(url, adapter)
        for body in pool.map(lambda _: session.get(url, timeout=60).content, range(REQUESTS)):
            assert body == BODY


def by_connections(url: str) -> None:
    """Ask as Convoy does."""
    times = Timeout(10, 60, 120)

    async def one(connections: Connections) -> None:
        async with connections.room:
            assert (await connections.get(url, [], times, 2**20)).body == BODY

    async def all_of_them() -> None:
        await asyncio.gather(*(one(connections) for _ in range(REQUESTS)))

    with Connections(AT_ONCE) as connections:
        asyncio.run(all_of_them())


CLIENTS = {"requests": by_requests, "pycurl, as Convoy uses it": by_connections}


def certify(folder: Path) -> str:
    """Make a certificate and its key, in one file."""
    file, made = str(folder / "server.pem"), ["openssl", "req", "-x509", "-newkey", "rsa:2048"]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made += ["-nodes", "-days", "2", *subject, "-keyout", file, "-out", f"{file}.crt"]
    subprocess.run(made, check=True, capture_output=True)
    with Path(file).open("a") as joined:
        joined.write(Path(f"{file}.crt").read_text())
    return file


def start(certificate: str) -> tuple[subprocess.Popen[str], str]:
    """Start a server, over TLS if there is a certificate; return it and its address."""
    command = [sys.executable, __file__, certificate]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


async def serve(certificate: str) -> None:
    """Answer each request with the same page until killed."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    print(f"{'https' if certificate else 'http'}://127.0.0.1:{port}/page", flush=True)
    await server.serve_forever()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what comes over one connection."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(HEAD + BODY)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


if __name__ == "__main__":
    main()
