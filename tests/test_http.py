"""One key's way to its API, over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import logging
import shutil
import socket
import ssl
import subprocess
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pycurl
import pytest
import tenacity

from pipelines import errors, http
from pipelines.budget import Budget
from pipelines.connections import Broken, Connections, Timeout
from pipelines.gptbots.api import PATH, GptbotsApi, Page
from pipelines.http import Client, Key, error_for, limited
from pipelines.jobs import Wire
from pipelines.settings import Okchat
from pipelines.simulator import Faults, Knobs
from pipelines.slots import Slots

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from conftest import MakeWorld, Simulate

    from pipelines.simulator import Request, Simulator

SECRET = "key-support"
FAULTS = [
    "rate_limited", "rate_limited_seconds", "rate_limited_date", "server_error", "reset",
    "truncated", "cut_json", "not_json", "empty_body",
]  # fmt: skip


@pytest.fixture
def upstream(make_world: MakeWorld, simulate: Simulate) -> Simulator:
    return simulate(make_world(bots={"support": 250}))


def ask(  # noqa: PLR0913 - each by its name
    url: str,
    *,
    key: str = SECRET,
    patience: float = 10.0,
    budget: Budget | None = None,
    pages: int = 1,
    timeout: Timeout = http.TIMEOUT,
    connections: int = 4,
) -> list[Page]:
    """Ask for so many pages at once."""

    async def everything(api: GptbotsApi) -> list[Page]:
        asked = (api.page(0, 10**13, number + 1) for number in range(pages))
        return list(await asyncio.gather(*asked))

    with Connections(connections) as open_ones:
        signed = Key("Authorization", f"Bearer {key}")
        waits = (budget or Budget(1000), open_ones, patience, timeout)
        client = Client(url, signed, "support", *waits)
        return asyncio.run(everything(GptbotsApi(client, "support")))


@pytest.mark.parametrize("fault", [*FAULTS, "slow"])
def test_a_passing_fault_is_asked_again(upstream: Simulator, fault: str) -> None:
    upstream.faults = Faults(script=[fault], slow_seconds=0.01)
    (page,) = ask(upstream.url)
    assert (page.received, page.total) == (100, 250)
    assert len(upstream.log) == (1 if fault == "slow" else 2)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_given_up_and_named(upstream: Simulator, fault: str) -> None:
    upstream.faults = Faults(**{fault: 1.0})  # type: ignore[arg-type]
    with pytest.raises(errors.Transient) as caught:
        ask(upstream.url, patience=0.1)
    assert str(caught.value).endswith(f"(bot support, GET {PATH})")
    assert len(upstream.log) == 1


def test_it_is_tried_as_long_as_the_patience_lasts(upstream: Simulator) -> None:
    upstream.faults = Faults(server_error=1.0)
    with pytest.raises(errors.BrokenReply):
        ask(upstream.url, patience=1.2)
    assert len(upstream.log) > 1


class _Queue(Budget):
    """A budget whose turn comes late."""

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        await asyncio.sleep(1.0)
        async with super().slot():
            yield


def test_waiting_for_the_budget_wears_no_patience(upstream: Simulator) -> None:
    upstream.faults = Faults(script=["server_error"])
    (page,) = ask(upstream.url, patience=1.0, budget=_Queue(10))
    assert page.received == 100


@pytest.mark.parametrize("form", ["rate_limited_seconds", "rate_limited_date"])
def test_retry_after_closes_the_whole_key(upstream: Simulator, form: str) -> None:
    upstream.faults = Faults(script=[form], retry_after=1)
    ask(upstream.url)
    first, second = upstream.log
    assert second.at - first.at >= 0.9


def test_a_retry_after_within_the_patience_is_obeyed(upstream: Simulator) -> None:
    upstream.faults = Faults(script=["rate_limited_seconds"], retry_after=1)
    (page,) = ask(upstream.url, patience=5.0)
    assert page.received == 100
    assert [logged.status for logged in upstream.log] == [429, 200]


def test_a_retry_after_beyond_the_patience_is_given_up_at_once(upstream: Simulator) -> None:
    upstream.faults = Faults(rate_limited_seconds=1.0, retry_after=3600)
    with pytest.raises(errors.RateLimited):
        ask(upstream.url, patience=300.0)
    assert len(upstream.log) == 1


@pytest.mark.parametrize("header", ["inf", "nan", "1e999", "soon"])
def test_a_retry_after_that_says_nothing_is_asked_again(serve: Serve, header: str) -> None:
    refusals = [header]

    def respond(handler: BaseHTTPRequestHandler) -> None:
        if not refusals:
            page(handler)
            return
        handler.send_response(429)
        handler.send_header("Retry-After", refusals.pop())
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server = serve(respond)
    (found,) = ask(server.url, patience=30.0)
    assert (found.received, len(server.seen)) == (0, 2)


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        (None, 0, 0), ("7", 7, 7), ("1.5", 1.5, 1.5), ("-3", 0, 0), ("", 0, 0), ("soon", 0, 0),
        ("nan", 0, 0), ("inf", 0, 0), ("-inf", 0, 0), ("Infinity", 0, 0), ("1e999", 0, 0),
        ("7 seconds", 0, 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0, 0), ("Wed, 21 Oct 2015 07:28:00", 0, 0),
        ("Wed, 99 Foo 2015", 0, 0),
        pytest.param(
            format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True), 80_000, 86_400,
            id="tomorrow GMT",
        ),
        pytest.param(
            format_datetime(datetime.now(UTC) + timedelta(days=1))[:-5] + "-0000", 80_000, 86_400,
            id="tomorrow -0000",
        ),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_every_form(header: str | None, least: float, most: float) -> None:
    assert least <= limited(header).wait <= most


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, errors.RedirectRefused), (304, errors.RedirectRefused), (400, errors.BadRequest),
        (401, errors.KeyRejected), (403, errors.KeyRejected), (404, errors.NotFound),
        (408, errors.BrokenReply), (418, errors.BadRequest), (429, errors.RateLimited),
        (500, errors.BrokenReply), (503, errors.BrokenReply),
    ],
)  # fmt: skip
def test_every_status_has_its_error(status: int, kind: type[errors.ApiError]) -> None:
    assert type(error_for(status)) is kind


def test_success_is_no_error() -> None:
    assert error_for(200) is None


@pytest.mark.parametrize("error_status", [200, 400])
@pytest.mark.parametrize(
    ("key", "kind"), [("wrong", errors.KeyRejected), ("key-gone", errors.BotDeleted)]
)
def test_what_can_not_pass_is_asked_once(
    make_world: MakeWorld,
    simulate: Simulate,
    key: str,
    kind: type[errors.ApiError],
    error_status: Any,  # noqa: ANN401 - of the knob's own type
) -> None:
    world = make_world(bots={"gone": 1})
    world.remove_bot("gone")
    upstream = simulate(world, Knobs(error_status=error_status))
    with pytest.raises(kind):
        ask(upstream.url, key=key)
    assert len(upstream.log) == 1


def test_no_server_is_named_after_the_patience() -> None:
    with pytest.raises(errors.Unreachable, match="can't be reached"):
        ask("http://127.0.0.1:9", patience=0.1)


# What the simulator does not do: servers of a few lines.


class Server(ThreadingHTTPServer):
    """Answers every request alike and remembers headers."""

    daemon_threads = True

    def __init__(self, respond: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.seen: list[dict[str, str]] = []
        self.connections = 0
        super().__init__(("127.0.0.1", 0), self._handler(respond))
        self.url = f"http://127.0.0.1:{self.server_port}"

    def _handler(
        self, respond: Callable[[BaseHTTPRequestHandler], None]
    ) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def do_GET(self) -> None:
                server.seen.append(dict(self.headers))
                respond(self)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        return Handler


Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[tuple[Server, Thread]] = []

    def start(respond: Callable[[BaseHTTPRequestHandler], None]) -> Server:
        server = Server(respond)
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        running.append((server, thread))
        thread.start()
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def page(handler: BaseHTTPRequestHandler) -> None:
    body = b'{"list": [], "total": 0}'
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_the_key_not_sent_on(
    serve: Serve,
    status: int,
) -> None:
    elsewhere: Server = serve(page)

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", elsewhere.url + handler.path)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with pytest.raises(errors.RedirectRefused, match="base_url"):
        ask(serve(redirect).url)
    assert elsewhere.seen == []


def test_a_netrc_does_not_replace_the_key(
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server: Server = serve(page)
    ask(server.url)
    assert [seen["Authorization"] for seen in server.seen] == [f"Bearer {SECRET}"]


def test_an_answer_without_end_is_given_up(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "LARGEST_BODY", 2**20)

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b" " * 65_536)
        except OSError:
            return

    with pytest.raises(errors.BadRequest, match="larger than"):
        ask(serve(endless).url)


def test_a_silence_counts_from_when_the_request_is_sent(serve: Serve) -> None:
    """Not from the request before, while a connection is still being made."""
    times = Timeout(connect=0.8, silence=0.4, whole=9.0)

    async def second() -> Broken:
        with Connections(1) as connections, full_listener() as url:
            await connections.get(serve(page).url, [], times, 9_999)
            await asyncio.sleep(0.3)
            with pytest.raises(Broken) as broken:
                await connections.get(url, [], times, 99)
            return broken.value

    failed = asyncio.run(second())
    assert not failed.sent
    assert failed.code == pycurl.E_OPERATION_TIMEDOUT


@contextmanager
def full_listener() -> Iterator[str]:
    """Listen, and have no room left for a connection."""
    with ExitStack() as open_, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(3):
            filling = open_.enter_context(socket.socket())
            filling.settimeout(0)
            filling.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def test_a_server_that_falls_silent_is_given_up(serve: Serve) -> None:
    def silent(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.rfile.read()  # until the client closes

    with pytest.raises(errors.Unreachable, match="in time"):
        ask(serve(silent).url, patience=0.1, timeout=Timeout(1.0, 0.1, 9.0))


def test_connections_are_kept_and_no_more_than_requests_at_once(
    serve: Serve,
) -> None:
    server: Server = serve(page)
    ask(server.url, pages=200)
    assert len(server.seen) == 200
    assert server.connections <= 4


def test_what_dies_on_a_kept_connection_is_not_sent_again_behind_our_back(serve: Serve) -> None:
    """libcurl would, and the server may count both."""
    asked = count()

    def die_on_the_second(handler: BaseHTTPRequestHandler) -> None:
        if next(asked) == 1:
            handler.close_connection = True
        else:
            page(handler)

    server = serve(die_on_the_second)

    async def two(connections: Connections) -> None:
        client = Client(server.url, Key("x", SECRET), "support", Budget(9), connections, 0.0)
        await GptbotsApi(client, "support").page(0, 1, 1)
        with pytest.raises(errors.Unreachable, match="broke off"):
            await GptbotsApi(client, "support").page(0, 1, 2)
        assert client.requests == len(server.seen) == 2

    with Connections(1) as connections:
        asyncio.run(two(connections))


@pytest.mark.parametrize("fault", [*FAULTS, None])
def test_the_key_is_in_no_error_and_no_log(
    upstream: Simulator,
    fault: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    key = SECRET if fault else "wrong-secret"
    if fault:
        upstream.faults = Faults(**{fault: 1.0})  # type: ignore[arg-type]
    with pytest.raises(errors.ApiError) as caught:
        ask(upstream.url, key=key, patience=0.1)
    error = caught.value
    told = [str(error), repr(error), *traceback.format_exception(error), caplog.text]
    assert all(key not in text for text in told)


def test_a_key_prints_without_its_value() -> None:
    key = Key("x-api-key", SECRET)
    assert SECRET not in f"{key} {key!r}"


def test_a_reply_says_when_it_arrived_by_both_clocks(
    serve: Serve,
) -> None:
    before = datetime.now(UTC)
    (found,) = ask(serve(page).url)
    assert before <= found.at <= datetime.now(UTC)
    assert found.server_at is not None
    assert abs(found.server_at - found.at) < timedelta(minutes=1)


# How long it may take.


@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_that_trickles_is_given_up_as_a_whole(serve: Serve, part: str) -> None:
    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        sent = b"HTTP/1.1 200 OK\r\nX-Long: " if part == "head" else b"HTTP/1.1 200 OK\r\n\r\n"
        with suppress(OSError):  # the client has gone
            handler.wfile.write(sent)
            while True:
                handler.wfile.write(b"x")
                time.sleep(0.05)

    with pytest.raises(errors.Unreachable, match="in time"):
        ask(serve(trickle).url, patience=0.1, timeout=Timeout(1.0, 1.0, 0.5))


def test_a_host_that_does_not_let_anyone_in_is_given_up() -> None:
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # more than it lets wait, on whatever system
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003 - the socket module's own
            client.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        with pytest.raises(errors.Unreachable, match="in time"):
            ask(url, patience=0.1, timeout=Timeout(0.2, 30.0, 60.0))


def test_one_that_is_cancelled_closes_its_connection(serve: Serve) -> None:
    asked, left = Event(), Event()

    def silent(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        handler.rfile.read()  # until the client closes
        left.set()

    url = serve(silent).url

    async def give_up() -> None:
        client = Client(url, Key("x-api-key", SECRET), "support", Budget(9), open_ones)
        task = asyncio.create_task(GptbotsApi(client, "support").page(0, 1, 1))
        await asyncio.to_thread(asked.wait)
        task.cancel()
        await asyncio.wait([task])

    with Connections(4) as open_ones:
        asyncio.run(give_up())
    assert left.wait(10)


def test_pauses_double_and_are_never_quite_the_same() -> None:
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    for attempt, least in ((1, 0.2), (2, 0.4), (3, 0.8), (9, 51.2), (10, 60.0), (5000, 60.0)):
        state.attempt_number = attempt
        pauses = {http.BACKOFF(state) for _ in range(20)}
        assert len(pauses) > 1
        assert all(least <= pause <= least + 0.2 for pause in pauses)


def test_one_that_is_tried_again_holds_up_no_other(upstream: Simulator) -> None:
    tries = iter(["server_error"] * 4)

    def fail_page_2(request: Request) -> None:
        fault = next(tries, "none") if request.params["page"] == "2" else "none"
        upstream.faults.script[:] = [fault]

    upstream.on_request = fail_page_2
    ask(upstream.url, pages=8, budget=Budget(9 + 4))
    asked = [logged.params["page"] for logged in upstream.log]
    assert asked.count("2") == 5
    assert asked[-1] == "2"
    assert sorted(asked[:-2]) == list("1222345678")


# What the server asks for.


@pytest.mark.parametrize("form", ["rate_limited_seconds", "rate_limited_date"])
def test_nothing_is_sent_before_retry_after_is_over(upstream: Simulator, form: str) -> None:
    """Not even what had its slot already and waited for a connection."""
    upstream.faults = Faults(script=[form], retry_after=1)
    upstream.knobs = Knobs(latency=0.2)
    ask(upstream.url, pages=12, connections=2)
    begun = upstream.log[0].at
    early = [logged for logged in upstream.log if logged.at < begun + 0.2 + 0.95]
    assert len(upstream.log) == 13
    # The one, that of the other connection, and what began there before the answer was written.
    assert len(early) <= 4


def test_keys_share_a_budget_only_with_themselves(serve: Serve, tmp_path: Path) -> None:
    server = serve(page)
    of = Okchat(base_url=server.url, requests_per_minute=2)

    async def three_of_each(*clients: Client) -> None:
        asked = (client.get("/", {}, lambda *_: None) for client in clients for _ in range(3))
        await asyncio.wait_for(asyncio.gather(*asked), 1.0)

    with Connections(4) as open_ones:
        wire = Wire(open_ones, slots=tmp_path / "budget")
        one, same, other = (
            wire.client(of, Key("x-api-key", key), bot)
            for key, bot in (("one", "a/b"), ("one", "c"), ("other", "\ud800"))
        )
        with pytest.raises(TimeoutError):
            asyncio.run(three_of_each(one, same, other))
    sent = Counter(seen["x-api-key"] for seen in server.seen)
    assert sent == {"one": 2, "other": 2}
    files = list((tmp_path / "budget").iterdir())
    assert [len(Slots(file).read()) for file in files] == [2, 2]
    told = "".join(file.name for file in files)
    assert not any(part in told for part in ("one", "other", "a/b"))


# What the environment says.


def test_a_proxy_of_the_environment_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def record(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        page(handler)

    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", serve(record).url)
    ask("http://upstream.invalid")
    assert [path.partition("?")[0] for path in asked] == [f"http://upstream.invalid{PATH}"]


def test_a_proxy_that_can_not_be_reached_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://user:hush@127.0.0.1:9")
    with pytest.raises(errors.Unreachable) as caught:
        ask("http://upstream.invalid", patience=0.1)
    assert "hush" not in told_by(caught.value)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, signed by itself, and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is needed to make a certificate")
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*made, "-keyout", file, "-out", f"{file}.crt"], check=True, capture_output=True)  # noqa: S603
    with file.open("a") as joined:
        joined.write(Path(f"{file}.crt").read_text())
    return file


@pytest.mark.parametrize("is_trusted", [True, False])
def test_the_ca_bundle_of_the_environment_is_trusted_and_no_other(
    serve: Serve,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_trusted: bool,
) -> None:
    server = serve(page)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    if is_trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    url = server.url.replace("http:", "https:")
    if is_trusted:
        assert len(ask(url, pages=8)) == 8
        assert server.connections <= 4
    else:
        with pytest.raises(errors.ApiError, match="TLS"):
            ask(url, patience=0.1)


# What is refused, and what errors tell.


def test_a_redirect_within_the_host_is_refused_too(serve: Serve) -> None:
    """It would be asked twice for ever, and from http to https the key had gone in the clear."""

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(301)
        handler.send_header("Location", handler.path + "&again=1")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server = serve(redirect)
    with pytest.raises(errors.RedirectRefused, match="base_url"):
        ask(server.url)
    assert len(server.seen) == 1


def test_a_body_that_unpacks_to_too_much_is_refused(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LARGEST_BODY", 2**20)
    packed = gzip.compress(b" " * 2**24)

    def bomb(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed)

    with pytest.raises(errors.BadRequest, match="larger than"):
        ask(serve(bomb).url)


def told_by(error: BaseException) -> str:
    """Everything that an error and those behind it say, in every way they are printed."""
    told, seen = [], set()
    left: list[BaseException | None] = [error]
    while left:
        found = left.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            told += [str(found), repr(found), repr(vars(found)), repr(found.args)]
            told += traceback.format_exception(found)
            left += [found.__cause__, found.__context__]
    assert len(told) > 4
    return "\n".join(told)


@pytest.mark.parametrize("fault", [*FAULTS, None, "refused", "moved", "no url", "dead"])
def test_every_error_names_method_path_and_bot_and_never_the_key(
    upstream: Simulator, serve: Serve, fault: str | None
) -> None:
    def moved(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302 if fault == "moved" else 418)
        handler.send_header("Location", "/" + handler.headers["Authorization"])
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    urls = {"no url": "http://[", "dead": "http://127.0.0.1:9"}
    key = SECRET if fault in FAULTS else "wrong-secret"
    if fault in FAULTS:
        upstream.faults = Faults(**{fault: 1.0})  # type: ignore[arg-type]
    url = serve(moved).url if fault in ("moved", "refused") else urls.get(fault or "", upstream.url)
    with pytest.raises(errors.ApiError) as caught:
        ask(url, key=key, patience=0.1)
    assert str(caught.value).endswith(f"(bot support, GET {PATH})")
    assert key not in told_by(caught.value)
