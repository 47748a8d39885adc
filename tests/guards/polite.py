"""Promises 8 and 10: polite, and nothing leaks."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pycurl
from project import bot

from guards.guard import Guard, always, around, put
from guards.windows import LARGE
from pipelines import jobs
from pipelines.errors import ApiError
from pipelines.simulator import Faults, Knobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    import pytest

    from guards.guard import Steps
    from guards.scene import Scene
    from pipelines.budget import Budget
    from pipelines.gptbots.history import History
    from pipelines.http import Reply
    from pipelines.okchat.api import Page

    Agrees = Callable[..., Awaitable[bool]]

PER_MINUTE = 5
MINUTE = 1.0
"""Seconds that a minute lasts here."""

# What is taken out.


def counted_again(agrees: Agrees) -> Agrees:
    async def again(self: History, *of: object) -> bool:
        self.counted = None
        return await agrees(self, *of)

    return again


@asynccontextmanager
async def no_slot(_: Budget) -> AsyncIterator[None]:
    yield


def small_windows(patched: pytest.MonkeyPatch) -> None:
    patched.setattr("pipelines.jobs.WINDOW_ROWS", 200)
    patched.setattr("pipelines.jobs._SMALLEST_WINDOW", 200)


def redirects_followed(make: Callable[[], pycurl.Curl]) -> object:
    def made() -> pycurl.Curl:
        curl = make()
        curl.setopt(pycurl.FOLLOWLOCATION, 1)
        return curl

    return made


def server_quoted(read: Callable[..., Page]) -> Callable[..., Page]:
    def quoting(status: int, reply: Reply, *rest: object) -> Page:
        try:
            return read(status, reply, *rest)
        except ApiError as error:
            raise type(error)(f"{error.message}: {reply.body.decode()}") from None

    return quoting


# What happens.


def a_minute_is_too_short(scene: Scene) -> Steps:
    few = {"page_size": 5, "requests_per_minute": PER_MINUTE}
    scene.open_synced(chatbots={"web": 25})
    scene.configure(okchat=few)
    scene.patched.setattr("pipelines.budget.MINUTE", MINUTE)
    yield
    assert scene.sync().requests > PER_MINUTE
    assert scene.most_within("web", MINUTE) <= PER_MINUTE, "the budget is overdrawn"


def one_sync_follows_another(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": LARGE})
    scene.configure(gptbots={"requests_per_minute": 3})
    scene.patched.setattr("pipelines.budget.MINUTE", 4 * MINUTE)  # a sync may take one
    yield
    assert [scene.sync().requests, scene.sync().requests] == [2, 2]
    assert scene.most_within("support", 4 * MINUTE) <= 3, "the budget is overdrawn"


def silence_is_asked_for(scene: Scene) -> Steps:
    """Several wait for the one connection when the first of them is refused."""
    scene.open_synced(chatbots={"web": 25})
    scene.patched.setattr("pipelines.run.CONCURRENCY", 1)
    for row in scene.ids("web")[:6]:
        scene.world.delete(row)
    script = ["rate_limited_seconds"]
    scene.upstream.faults = Faults(script=script, only="/conversations/", retry_after=1)
    yield
    assert scene.sync().complete
    log = scene.upstream.log
    refused = next(n for n, logged in enumerate(log) if logged.status == 429)
    assert log[refused + 1].at - log[refused].at >= 0.99, "silence was asked for"


def nothing_is_new(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": LARGE}, knobs=Knobs(total="page"))
    before = len(scene.upstream.log)
    yield
    scene.sync()
    assert len(scene.upstream.log) - before <= 2, "it costs more than two requests"


def all_is_new(scene: Scene) -> Steps:
    scene.open(bots={"support": 5_000})
    yield
    scene.sync()
    assert len(scene.upstream.log) <= 1.1 * 50, "it costs more than 1.1 requests a page"


def rows_bear_tokens(scene: Scene) -> Steps:
    scene.open(bots={"support": 0}, chatbots={"web": 0})
    deep = {"deep": [{"sessionToken": "tok_deep", "kept": 1}]}
    scene.world.begin("web", session_token="tok_1", metadata=deep)
    scene.world.begin("web", session_token="tok_2", active="bad")
    yield
    scene.sync()
    tables = ("conversations", "last_messages", "rejected_rows")
    stored = "".join(str(scene.project.rows(f"from chat.{table}")) for table in tables)
    assert "kept" in stored
    assert "bad" in stored
    assert "tok_" not in stored, "a token is stored"


def a_key_is_printed(scene: Scene) -> Steps:
    scene.open(bots={"support": 0})
    yield
    key = jobs.gptbots_key(scene.settings.gptbots.bots["support"])
    assert key.value.endswith("key-support")
    assert "key-support" not in f"{key} {key!r} {[key]}", "the key is printed"


def a_server_redirects(scene: Scene) -> Steps:
    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(307)
        handler.send_header("Location", scene.upstream.url + handler.path)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    scene.open(chatbots={"web": 5})
    yield
    with serving(redirect) as url:
        scene.configure(okchat={"base_url": url})
        outcome = scene.sync()
    assert not scene.upstream.log, "the key went elsewhere"
    assert "redirects" in str(bot(outcome, "web").error)


def a_server_echoes(scene: Scene) -> Steps:
    def echo(handler: BaseHTTPRequestHandler) -> None:
        body = f"{handler.headers['x-api-key']} is no key".encode()
        handler.send_response(401)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    scene.open(chatbots={"web": 5})
    yield
    with serving(echo) as url:
        scene.configure(okchat={"base_url": url})
        error = str(bot(scene.sync(), "web").error)
    assert "rejected" in error
    assert "key-web" not in error, "the error names the key"


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve one answer to everything; the address is told."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


OVERDRAWN, MORE_THAN_TWO = "the budget is overdrawn", "more than two requests"
AGREES = "pipelines.gptbots.history.History.agrees"
GUARDS = [
    Guard(
        8, "each request holds a slot", put("pipelines.budget.Budget.slot", no_slot),
        a_minute_is_too_short, OVERDRAWN,
    ),
    Guard(
        8, "slots outlive a sync", put("pipelines.slots.Slots.read", lambda _: []),
        one_sync_follows_another, OVERDRAWN, is_long=True,
    ),
    Guard(
        8, "Retry-After closes the key", put("pipelines.budget.Budget.close_for", always(None)),
        silence_is_asked_for, "silence was asked for",
    ),
    Guard(
        8, "a count takes one request",
        put("pipelines.gptbots.server.place_of_last", always(None)),
        nothing_is_new, MORE_THAN_TWO,
    ),
    Guard(8, "a count is made once", around(AGREES, counted_again), nothing_is_new, MORE_THAN_TWO),
    Guard(8, "windows are large", small_windows, all_is_new, "more than 1.1 requests a page"),
    Guard(
        10, "a key prints as stars",
        put("pipelines.http.Key.__repr__", lambda self: f"Key({self.value!r})"),
        a_key_is_printed, "the key is printed",
    ),
    Guard(
        10, "session tokens are dropped",
        put("pipelines.values._is_secret", always(value=False)), rows_bear_tokens,
        "a token is stored",
    ),
    Guard(
        10, "redirects are refused", around("pipelines.connections._curl", redirects_followed),
        a_server_redirects, "the key went elsewhere",
        (put("pipelines.connections._Line._send", always(pycurl.PREREQFUNC_OK)),),
    ),
    Guard(
        10, "errors quote no server", around("pipelines.okchat.api.read_page", server_quoted),
        a_server_echoes, "the error names the key",
    ),
]  # fmt: skip
