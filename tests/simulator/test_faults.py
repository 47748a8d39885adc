"""Each fault does what it says; budget, latency and log around the answers."""

import http.client
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import pytest

from pipelines.simulator import Faults, Simulator
from pipelines.simulator.faults import KINDS

from .client import Client


def script(*kinds: str) -> Faults:
    return Faults(script=list(kinds))


def last(sim: Simulator) -> tuple[int, int | None, str | None, int]:
    logged = sim.log[-1]
    return logged.status, logged.code, logged.fault, logged.rows


def test_rate_limited_without_and_with_retry_after(client: Client, sim: Simulator) -> None:
    sim.faults = replace(
        script("rate_limited", "rate_limited_seconds", "rate_limited_date"), retry_after=7
    )
    first, second, third = (client.gptbots() for _ in range(3))
    assert {got.status for got in (first, second, third)} == {429}
    assert first.json["code"] == 40008
    assert first.headers["Retry-After"] is None
    assert second.headers["Retry-After"] == "7"
    wait = parsedate_to_datetime(third.headers["Retry-After"]) - datetime.now(UTC)
    assert 6 <= wait.total_seconds() <= 9
    assert last(sim) == (429, 40008, "rate_limited_date", 0)
    assert client.gptbots().status == 200


def test_okchat_says_429_in_its_own_shape(client: Client, sim: Simulator) -> None:
    sim.faults = script("rate_limited")
    got = client.okchat()
    assert (got.status, got.json) == (429, {"error": "too many requests"})
    assert last(sim) == (429, None, "rate_limited", 0)


def test_server_errors_bear_html(client: Client, sim: Simulator) -> None:
    sim.faults = script(*["server_error"] * 20)
    answers = [client.gptbots() for _ in range(20)]
    assert {got.status for got in answers} == {500, 502, 503}
    assert all(got.raw.startswith(b"<!doctype html>") for got in answers)


def test_reset_drops_the_connection(client: Client, sim: Simulator) -> None:
    sim.faults = script("reset")
    with pytest.raises(ConnectionResetError):
        client.gptbots()
    assert last(sim) == (0, None, "reset", 0)
    client.connection.close()
    assert client.gptbots().status == 200


def test_truncated_ends_before_its_length(client: Client, sim: Simulator) -> None:
    whole = client.gptbots().raw
    sim.faults = script("truncated")
    with pytest.raises(http.client.IncompleteRead) as caught:
        client.gptbots()
    part = caught.value.partial
    assert caught.value.expected == len(whole) - len(part)
    assert whole.startswith(part)
    assert last(sim) == (200, None, "truncated", 0)


def test_cut_json_is_whole_http_and_half_json(client: Client, sim: Simulator) -> None:
    whole = client.gptbots().raw
    sim.faults = script("cut_json")
    got = client.gptbots()
    assert got.status == 200
    assert got.raw == whole[: len(whole) // 2]
    with pytest.raises(json.JSONDecodeError):
        json.loads(got.raw.decode(errors="replace"))


def test_not_json_and_empty_body(client: Client, sim: Simulator) -> None:
    sim.faults = script("not_json", "empty_body")
    page, empty = client.gptbots(), client.gptbots()
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html")
    assert (empty.status, empty.raw) == (200, b"")


def test_slow_is_right_but_late(client: Client, sim: Simulator) -> None:
    usual = client.gptbots().json
    sim.faults = Faults(script=["slow"], slow_seconds=0.15)
    began = time.monotonic()
    assert client.gptbots().json == usual
    assert time.monotonic() - began >= 0.15
    assert last(sim) == (200, None, "slow", 100)


def test_a_script_lets_through_and_ends(client: Client, sim: Simulator) -> None:
    sim.faults = script("none", "rate_limited")
    assert [client.gptbots().status for _ in range(3)] == [200, 429, 200]
    assert sim.faults.script == []


def test_only_befalls_the_paths_named(client: Client, sim: Simulator) -> None:
    sim.faults = Faults(rate_limited=1.0, only="/chatbot/")
    assert client.gptbots().status == 200
    assert client.okchat().status == 429


def test_chances_repeat_with_their_seed(client: Client, sim: Simulator) -> None:
    def outcome(seed: int) -> list[str | None]:
        sim.faults = Faults(rate_limited=0.3, not_json=0.2, seed=seed)
        sim.clear_log()
        for _ in range(60):
            client.gptbots(page_size=1)
        return [logged.fault for logged in sim.log]

    first = outcome(1)
    assert outcome(1) == first
    assert outcome(2) != first
    assert 8 <= first.count("rate_limited") <= 30
    assert {"rate_limited", "not_json", None} == set(first)


def test_unknown_kinds_and_impossible_chances_are_refused() -> None:
    with pytest.raises(ValueError, match="no fault is called 'flood'"):
        Faults(script=["flood"])
    with pytest.raises(ValueError, match="more than 1"):
        Faults(reset=0.6, slow=0.6)
    assert all(getattr(Faults(), kind) == 0 for kind in KINDS)


@pytest.mark.parametrize("form", [None, "seconds", "http-date"])
def test_the_budget_of_a_key(
    client: Client, sim: Simulator, form: Literal["seconds", "http-date"] | None
) -> None:
    sim.knobs = replace(sim.knobs, requests_per_minute=3, retry_after=form)
    assert [client.gptbots().status for _ in range(4)] == [200, 200, 200, 429]
    refused = client.gptbots()
    assert refused.json["code"] == 40008
    assert client.gptbots("sales").status == 200
    assert sim.log[-2].fault is None
    wait = refused.headers["Retry-After"]
    if form is None:
        assert wait is None
    elif form == "seconds":
        assert 50 <= int(wait) <= 60
    else:
        assert 50 <= (parsedate_to_datetime(wait) - datetime.now(UTC)).total_seconds() <= 62


def test_latency_is_added_to_each_request(client: Client, sim: Simulator) -> None:
    sim.knobs = replace(sim.knobs, latency=0.1)
    began = time.monotonic()
    assert client.gptbots().status == 200
    assert time.monotonic() - began >= 0.1


def test_latency_of_many_connections_passes_at_once(sim: Simulator) -> None:
    sim.knobs = replace(sim.knobs, latency=0.2)
    clients = [Client(sim) for _ in range(10)]
    began = time.monotonic()
    for client in clients:
        client.connection.request("GET", "/v1/bot/detail")
    for client in clients:
        assert client.connection.getresponse().status == 200
        client.connection.close()
    assert time.monotonic() - began < 1.0


def test_the_log_says_what_was_asked_and_answered(client: Client, sim: Simulator) -> None:
    client.gptbots(page=2, page_size=30)
    client.okchat(limit=7)
    client.ask("/v1/bot/detail")
    client.ask("/_sim/state")
    first, second, third = sim.log
    assert (first.method, first.path) == ("GET", "/v1/bot/conversation/page")
    assert first.params["page_size"] == "30"
    assert (first.bot, first.status, first.rows, first.code) == ("support", 200, 30, None)
    assert (second.bot, second.rows) == ("website", 7)
    assert (third.bot, third.code) == (None, 40127)
    assert first.at <= second.at
    assert abs((datetime.now(UTC) - first.wall).total_seconds()) < 10
    sim.clear_log()
    assert sim.log == []
