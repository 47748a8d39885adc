"""The floor of fetching: `fetch.py UPSTREAM.json [FOLDER]` gets every page, keeps none."""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pycurl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONNECTIONS = 8
SIZE = 100


def bodies(upstream: dict) -> Iterator[bytes]:
    """Yield the body of every page of every bot once, in the order in which they arrive."""
    keys = {name: bot["api_key"] for name, bot in upstream["bots"].items()}
    rest: list[tuple[str, int]] = []
    multi = pycurl.CurlMulti()
    idle = [handle() for _ in range(CONNECTIONS)]
    for (bot, _), body in fetched(multi, idle, upstream, keys, [(bot, 1) for bot in keys]):
        total = int(body[body.rindex(b'"total":') + 8 : -1])
        rest += [(bot, page) for page in range(2, -(-total // SIZE) + 1)]
        yield body
    for _, body in fetched(multi, idle, upstream, keys, rest):
        yield body


def fetched(
    multi: pycurl.CurlMulti, idle: list[pycurl.Curl], upstream: dict, keys: dict, pages: Iterable
) -> Iterator[tuple[tuple[str, int], bytes]]:
    """Keep every connection busy until all pages are there."""
    waiting, running = iter(pages), True
    page = next(waiting, None)
    while page or running:
        while page and idle:
            multi.add_handle(asked(idle.pop(), upstream, keys, page))
            page = next(waiting, None)
        running = multi.perform()[1]
        _, done, failed = multi.info_read()
        for curl in done:
            multi.remove_handle(curl)
            idle.append(curl)
            yield curl.page, answered(curl)
        if failed:
            sys.exit(f"a page could not be fetched: {failed[0][2]}")
        running = running or len(idle) < CONNECTIONS
        if running and not done:
            multi.select(1.0)


def handle() -> pycurl.Curl:
    """Return a connection that stays open."""
    curl = pycurl.Curl()
    curl.setopt(pycurl.TCP_NODELAY, 1)
    curl.setopt(pycurl.NOSIGNAL, 1)
    return curl


def asked(curl: pycurl.Curl, upstream: dict, keys: dict, page: tuple[str, int]) -> pycurl.Curl:
    """Point a connection at a page."""
    window = {"start_time": upstream["start"], "end_time": upstream["end"]}
    query = {"conversation_type": "ALL", **window, "page": page[1], "page_size": SIZE}
    url = f"{upstream['base_url']}/v1/bot/conversation/page?{urlencode(query)}"
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.HTTPHEADER, [f"Authorization: Bearer {keys[page[0]]}"])
    curl.page, curl.body = page, BytesIO()
    curl.setopt(pycurl.WRITEDATA, curl.body)
    return curl


def answered(curl: pycurl.Curl) -> bytes:
    """Return the body of a page."""
    if (status := curl.getinfo(pycurl.RESPONSE_CODE)) != 200:
        sys.exit(f"a page was answered with {status}")
    return curl.body.getvalue()


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    print(sum(1 for _ in bodies(given)), "pages")
