"""What `convoy check` tells, of real servers and real files."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Thread

import duckdb
import filelock
import pytest
from pydantic import SecretStr

from pipelines.check import Finding, check
from pipelines.settings import Bot, Chatbot, Gptbots, Okchat, Settings
from pipelines.simulator import Faults, Knobs, Simulator, World

OPENSSL = shutil.which("openssl") or ""
FINE = "the API answers and accepts the key"


def good(source: str, bot: str | None, message: str, mend: str | None = None) -> Finding:
    return Finding(source, bot, ok=True, message=message, mend=mend)


def bad(source: str, bot: str | None, message: str, mend: str) -> Finding:
    return Finding(source, bot, ok=False, message=message, mend=mend)


@pytest.fixture
def sim() -> Iterator[Simulator]:
    world = World.seeded(seed=3, bots={"support": 20, "sales": 5}, chatbots={"website": 10})
    with Simulator(world) as running:
        yield running


@pytest.fixture
def configured(sim: Simulator, tmp_path: Path) -> Settings:
    return everything(sim.world, sim.url, tmp_path / "warehouse.duckdb")


def everything(world: World, url: str, warehouse: Path) -> Settings:
    keys = {name: SecretStr(key) for name, key in world.keys.items()}
    bots = {name: Bot(api_key=keys[name]) for name in world.bot_ids}
    chatbots = {
        name: Chatbot(chatbot_id=identity, api_key=keys[name])
        for name, identity in world.chatbot_ids.items()
    }
    return Settings(
        gptbots=Gptbots(base_url=url, bots=bots),
        okchat=Okchat(base_url=url, chatbots=chatbots),
        warehouse=warehouse,
    )


def at(url: str, settings: Settings) -> Settings:
    """The same settings with both APIs elsewhere."""
    return settings.model_copy(
        update={
            "gptbots": settings.gptbots.model_copy(update={"base_url": url}),
            "okchat": settings.okchat.model_copy(update={"base_url": url}),
        }
    )


def found(settings: Settings, seconds: float = 5.0) -> dict[str, Finding]:
    """Check, with what holds of every check: nothing on disk changes, no key is told."""
    before = disk(settings.file.parent)
    findings = check(settings, seconds=seconds)
    assert disk(settings.file.parent) == before
    keys = [bot.api_key.get_secret_value() for bot in settings.gptbots.bots.values()]
    keys += [bot.api_key.get_secret_value() for bot in settings.okchat.chatbots.values()]
    assert not [key for key in keys if key in repr(findings)]
    assert all(finding.ok or finding.mend for finding in findings)
    return {finding.bot or finding.source: finding for finding in findings}


def disk(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, b"" if path.is_dir() else path.read_bytes())
        for path in [folder, *folder.rglob("*")]
    }


# The bots


def test_a_name_with_blanks_is_told_as_toml_writes_it(sim: Simulator, configured: Settings) -> None:
    bots = {"The bot": Bot(api_key=SecretStr("wrong"))}
    gptbots = configured.gptbots.model_copy(update={"bots": bots})
    mend = found(configured.model_copy(update={"gptbots": gptbots}))["The bot"].mend
    assert mend == 'set sources.gptbots.bots."The bot".api_key to a valid key of this bot'
    assert len(sim.log) == 2


def test_one_small_request_a_bot(sim: Simulator, configured: Settings) -> None:
    bots = found(configured)
    assert bots["support"] == good("gptbots", "support", FINE)
    assert bots["sales"] == good("gptbots", "sales", FINE)
    assert bots["website"] == good("okchat", "website", FINE)
    asked = {logged.bot: logged for logged in sim.log}
    assert sorted(logged.bot or "" for logged in sim.log) == ["sales", "support", "website"]
    assert asked["website"].params == {"page": "1", "limit": "1"}
    params = asked["support"].params
    assert (params["page"], params["page_size"]) == ("1", "1")
    assert int(params["end_time"]) - int(params["start_time"]) == 3_600_000


def test_nothing_configured_is_asked_nothing(sim: Simulator, tmp_path: Path) -> None:
    nothing = everything(World(), sim.url, tmp_path / "w.duckdb")
    assert list(found(nothing)) == ["warehouse"]
    assert sim.log == []


@pytest.mark.parametrize("status", [200, 400])
def test_a_rejected_key(status: int, sim: Simulator, configured: Settings) -> None:
    sim.knobs = Knobs(error_status=200 if status == 200 else 400)
    sim.world.revoke("support")
    sim.world.revoke("website")
    bots = found(configured)
    assert bots["support"] == bad(
        "gptbots",
        "support",
        "the API key was rejected (code 40127)",
        "set sources.gptbots.bots.support.api_key to a valid key of this bot",
    )
    place = "sources.okchat.chatbots.website"
    assert bots["website"] == bad(
        "okchat",
        "website",
        "the API key was rejected",
        f"set {place}.api_key to a valid key of the chatbot in {place}.chatbot_id",
    )
    assert bots["sales"].ok
    assert len(sim.log) == 3


def test_a_deleted_bot(sim: Simulator, configured: Settings) -> None:
    sim.world.remove_bot("sales")
    bots = found(configured)
    assert bots["sales"] == bad(
        "gptbots",
        "sales",
        "the bot was deleted upstream (code 20059)",
        "remove sources.gptbots.bots.sales, or restore the bot upstream",
    )
    assert bots["support"].ok
    assert len(sim.log) == 3


def test_an_unknown_chatbot(sim: Simulator, configured: Settings) -> None:
    chatbot = configured.okchat.chatbots["website"].model_copy(update={"chatbot_id": "no-such"})
    okchat = configured.okchat.model_copy(update={"chatbots": {"website": chatbot}})
    assert found(configured.model_copy(update={"okchat": okchat}))["website"] == bad(
        "okchat",
        "website",
        "not found (HTTP 404)",
        "correct sources.okchat.chatbots.website.chatbot_id, or sources.okchat.base_url",
    )
    assert len(sim.log) == 3


@pytest.mark.parametrize("kind", ["rate_limited", "rate_limited_seconds", "rate_limited_date"])
def test_a_busy_key_is_a_good_key(kind: str, sim: Simulator, configured: Settings) -> None:
    sim.faults = Faults(script=[kind] * 3)
    bots = found(configured)
    assert bots["support"] == good(
        "gptbots",
        "support",
        "the API answers, but asks to wait: too many requests with this key",
        "lower sources.gptbots.requests_per_minute, or see what else uses the key",
    )
    assert bots["website"] == replace(
        bots["support"],
        source="okchat",
        bot="website",
        mend="lower sources.okchat.requests_per_minute, or see what else uses the key",
    )
    assert len(sim.log) == 3


@pytest.mark.parametrize(
    ("kind", "message", "mend"),
    [
        ("server_error", "the server failed (HTTP 50", "try again later"),
        ("not_json", "the answer is no ", "correct sources.{}.base_url"),
        ("empty_body", "the answer is no ", "correct sources.{}.base_url"),
        ("cut_json", "the answer is no ", "correct sources.{}.base_url"),
        (
            "reset",
            "the answer broke off",
            "check sources.{}.base_url and the network, or try again later",
        ),
        (
            "truncated",
            "the answer broke off",
            "check sources.{}.base_url and the network, or try again later",
        ),
    ],
)
def test_a_fault_is_told_and_not_asked_again(
    kind: str, message: str, mend: str, sim: Simulator, configured: Settings
) -> None:
    sim.faults = Faults(script=[kind] * 3)
    bots = found(configured)
    for bot in ("support", "sales", "website"):
        assert not bots[bot].ok
        assert bots[bot].message.startswith(message)
        assert bots[bot].mend == mend.format(bots[bot].source)
    assert [logged.fault for logged in sim.log] == [kind] * 3


def test_a_closed_port(configured: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    bots = found(at(f"http://127.0.0.1:{port}", configured))
    for bot in ("support", "sales", "website"):
        source = bots[bot].source
        assert bots[bot] == bad(
            source,
            bot,
            "the server can't be reached",
            f"check sources.{source}.base_url and the network, or try again later",
        )


@pytest.mark.timeout(30)  # a minute is how long a sync would wait for an answer
def test_a_server_that_never_answers(configured: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        bots = found(at(f"http://127.0.0.1:{server.getsockname()[1]}", configured), seconds=0.2)
    assert bots["support"].message == bots["website"].message == "the server did not answer in time"
    assert not bots["support"].ok


@contextmanager
def server(
    answer: Callable[[BaseHTTPRequestHandler], tuple[int, str, str]],
    tls: ssl.SSLContext | None = None,
) -> Iterator[str]:
    """A server that answers with a status, a `Location` and a body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, location, body = answer(self)
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        if tls:
            running.socket = tls.wrap_socket(running.socket, server_side=True)
        thread = Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.skipif(not OPENSSL, reason="there is no openssl to make a certificate with")
def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, configured: Settings) -> None:
    made = "req -x509 -newkey rsa:2048 -nodes -keyout key -out crt -days 2 -subj /CN=127.0.0.1"
    subprocess.run([OPENSSL, *made.split()], cwd=tmp_path, check=True, capture_output=True)  # noqa: S603
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    with server(lambda _: (200, "", ""), tls) as url:
        bots = found(at(url.replace("http://", "https://"), configured))
    for bot in ("support", "website"):
        assert not bots[bot].ok
        assert bots[bot].message == "no safe connection can be made (TLS)"
        assert bots[bot].mend == "check base_url and the CA"


HTML = "<!doctype html><h1>Welcome</h1>"


@pytest.mark.parametrize(
    ("status", "message", "gptbots", "okchat"),
    [
        (200, "the answer is no ", "correct sources.gptbots.base_url", "correct sources.okchat."),
        (
            404,
            "not found (HTTP 404)",
            "correct sources.gptbots.base_url",
            "correct sources.okchat.chatbots.website.chatbot_id, or sources.okchat.base_url",
        ),
        (
            405,
            "the API refused the request (HTTP 405)",
            "correct the values of [sources.gptbots]",
            "correct the values of [sources.okchat]",
        ),
    ],
)
def test_a_wrong_address(
    status: int, message: str, gptbots: str, okchat: str, configured: Settings
) -> None:
    with server(lambda _: (status, "", HTML)) as url:
        bots = found(at(url, configured))
    for bot, mend in (("support", gptbots), ("website", okchat)):
        assert not bots[bot].ok
        assert bots[bot].message.startswith(message)
        assert (bots[bot].mend or "").startswith(mend)


def test_a_redirect_is_not_followed(sim: Simulator, configured: Settings) -> None:
    with server(lambda _: (302, sim.url, "")) as url:
        bots = found(at(url, configured))
    assert bots["support"] == bad(
        "gptbots",
        "support",
        "the server redirects (HTTP 302), which would hand the key on",
        "correct sources.gptbots.base_url",
    )
    assert bots["website"].mend == "correct sources.okchat.base_url"
    assert sim.log == []


def test_the_bots_are_asked_in_parallel(configured: Settings) -> None:
    together = Barrier(3)

    def answer(_: BaseHTTPRequestHandler) -> tuple[int, str, str]:
        try:
            together.wait(timeout=3)
        except BrokenBarrierError:
            return 500, "", ""
        return 200, "", json.dumps({"list": [], "total": 0, "data": []})

    with server(answer) as url:
        bots = found(at(url, configured))
    assert [bots[bot].ok for bot in ("support", "sales", "website")] == [True] * 3


# The warehouse


def of_warehouse(path: Path) -> Finding:
    return found(everything(World(), "http://127.0.0.1:1", path))["warehouse"]


def test_a_warehouse_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    message = f"{path} will be created by the first sync"
    assert of_warehouse(path) == good("warehouse", None, message)


def test_a_warehouse_in_a_missing_folder(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "w.duckdb"
    settings = everything(World(), "http://127.0.0.1:1", path)
    assert check(settings) == [
        bad(
            "warehouse",
            None,
            f"{path} can't be created, its folder does not exist",
            "make the folder, or correct destination.duckdb.credentials",
        )
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="no folder is closed to root")
def test_a_warehouse_in_a_closed_folder(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    assert "its folder is closed to you" in of_warehouse(folder / "w.duckdb").message


def test_a_warehouse_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    duckdb.connect(str(path)).close()
    assert of_warehouse(path) == good("warehouse", None, f"{path} can be opened")


def test_a_warehouse_with_the_log_of_a_killed_sync(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    kill = "c.execute('create table t as select 1 as i'); import os; os._exit(0)"
    code = f"import duckdb; c = duckdb.connect({str(path)!r}); {kill}"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
    assert (tmp_path / "w.duckdb.wal").exists()
    assert of_warehouse(path).ok


def test_a_warehouse_that_is_no_duckdb_file(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_text("a,b\n1,2\n" * 1000)
    assert of_warehouse(path) == bad(
        "warehouse",
        None,
        f"{path} is no DuckDB file",
        "move it or configure another one",
    )


def test_a_warehouse_that_can_t_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.mkdir()
    told = of_warehouse(path)
    assert not told.ok
    assert told.message.startswith(f"{path}: ")
    assert told.mend == "correct destination.duckdb.credentials, or the file's permissions"


@pytest.mark.parametrize("read_only", [True, False])
def test_a_warehouse_that_another_process_holds(read_only: bool, tmp_path: Path) -> None:  # noqa: FBT001
    path = tmp_path / "w.duckdb"
    duckdb.connect(str(path)).close()
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(path)!r}, read_only={read_only});"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        told = of_warehouse(path)
        other.communicate()
    assert told == bad(
        "warehouse",
        None,
        f"{path} is open in another program",
        "close it or try again later",
    )


def test_a_warehouse_in_use_by_a_sync_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_text("opened, this would be told to be no DuckDB file" * 100)
    settings = everything(World(), "http://127.0.0.1:1", path)
    settings.work.mkdir(parents=True)
    lock = filelock.FileLock(settings.work / "lock")
    with lock:
        told = of_warehouse(path)
    assert (told.ok, told.message, told.mend) == (
        False,
        f"{path} is in use by a sync",
        "wait for it to end",
    )
    assert "is no DuckDB file" in of_warehouse(path).message
