"""The world: seeded, changed by hand and by time, right under threads."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest

from pipelines.simulator import ABSENT, Simulator, World
from pipelines.simulator.seeds import generator

from .client import Client
from .conftest import NOW, START


def made(seed: int) -> World:
    world = World.seeded(
        seed, bots={"support": 300, "sales": 50}, chatbots={"website": 200}, start=START, now=NOW
    )
    world.advance(timedelta(days=20))
    return world


def row(world: World, identity: str) -> dict[str, Any]:
    rows = [*world.truth("gptbots"), *world.truth("okchat")]
    return next(r for r in rows if identity in (r.get("conversation_id"), r.get("id")))


def test_the_same_seed_makes_the_same_world() -> None:
    one, two, other = made(7), made(7), made(8)
    assert one.truth("gptbots") == two.truth("gptbots")
    assert one.truth("okchat") == two.truth("okchat")
    assert one.truth("gptbots") != other.truth("gptbots")


def test_one_bot_does_not_change_another() -> None:
    alone = World.seeded(7, bots={"support": 40}, start=START, now=NOW)
    both = World.seeded(7, bots={"support": 40, "sales": 9}, start=START, now=NOW)
    assert alone.truth("gptbots") == both.truth("gptbots", "support")


def test_names_give_keys_and_ids() -> None:
    world = made(7)
    assert world.keys == {name: f"key-{name}" for name in ("support", "sales", "website")}
    assert re.fullmatch("[0-9a-f]{24}", world.bot_ids["support"])
    assert len(world.chatbot_ids["website"]) == 36
    assert made(8).bot_ids == world.bot_ids


def test_gptbots_rows_are_of_this_period_and_of_every_kind() -> None:
    world = World.seeded(7, bots={"support": 3000}, start=START, now=NOW)
    rows: list[dict[str, Any]] = world.truth("gptbots")
    times = [r["recent_chat_time"] for r in rows]
    assert START.timestamp() * 1000 <= min(times)
    assert max(times) <= NOW.timestamp() * 1000
    assert len({r["conversation_id"] for r in rows}) == 3000
    assert len({r["user_id"] for r in rows}) < 1500
    assert {"API", "LINE", "Intercom", "LiveChat"} < {r["conversation_type"] for r in rows}
    free = sum(r["cost_credit"] == 0 for r in rows)
    assert 10 <= free <= 60
    digits = {len(str(r["cost_credit"]).partition(".")[2]) for r in rows}
    assert digits == {0, 1, 2, 3, 4, 5, 6}
    text = "".join(r["subject"] for r in rows)
    assert all(mark in text for mark in '"\\\n\t\U0001f64fสวั안녕你好注文')


def test_okchat_rows_are_of_every_shape() -> None:
    world = World.seeded(7, chatbots={"website": 3000}, start=START, now=NOW)
    rows: list[dict[str, Any]] = world.truth("okchat")
    assert {type(r["last_message"]) for r in rows} == {dict, str, type(None)}
    assert {type(r.get("metadata")) for r in rows} == {dict, type(None)}
    assert 0 < sum("metadata" not in r for r in rows) < 1000
    tokens = [r["session_token"] for r in rows if r["session_token"]]
    assert len(set(tokens)) == len(tokens) > 2000
    assert {r["migrated_data"] for r in rows} == {True, False}
    instants = [r["created_at"] for r in rows]
    fractions = {len(i[19:-6].lstrip(".")) for i in instants}
    assert fractions == {0, 1, 2, 3, 4, 5, 6}
    assert not any(re.search(r"\.\d*0[+-]|\.[+-]", i) for i in instants)
    assert sum(i.endswith("+00:00") for i in instants) > 2500
    created = [datetime.fromisoformat(i) for i in instants]
    updated = [datetime.fromisoformat(r["updated_at"]) for r in rows]
    assert created == sorted(created, reverse=True)
    assert updated != sorted(updated, reverse=True)
    assert all(u >= c for u, c in zip(updated, created, strict=True))
    assert max(updated) <= NOW


def test_a_chat_moves_counters_and_time() -> None:
    world = made(7)
    identity = str(world.truth("gptbots", "support")[9]["conversation_id"])
    before = row(world, identity)
    world.chat(identity)
    after = row(world, identity)
    assert after["message_count"] > before["message_count"]
    assert after["cost_credit"] > before["cost_credit"]
    assert after["recent_chat_time"] == int(world.now.timestamp() * 1000)
    world.chat(identity, cost_credit=Decimal("99.5"), message_count=1000)
    assert row(world, identity)["cost_credit"] == Decimal("99.5")
    identity = str(world.truth("okchat")[9]["id"])
    before = row(world, identity)
    world.chat(identity)
    after = row(world, identity)
    assert after["last_message"] != before["last_message"]
    assert datetime.fromisoformat(after["updated_at"]) == world.now
    assert after["created_at"] == before["created_at"]


def test_a_settlement_moves_only_the_cost() -> None:
    world = made(7)
    before = world.truth("gptbots", "sales")[0]
    world.settle(str(before["conversation_id"]), cost=Decimal("0.000001"))
    after = row(world, str(before["conversation_id"]))
    cost = Decimal(str(before["cost_credit"])) + Decimal("0.000001")
    assert after == {**before, "cost_credit": cost}
    with pytest.raises(TypeError, match="no cost"):
        world.settle(str(world.truth("okchat")[0]["id"]), cost=Decimal(1))


def test_edits_are_sent_raw_until_the_next_chat() -> None:
    world = made(7)
    identity = str(world.truth("gptbots")[0]["conversation_id"])
    world.edit(identity, cost_credit="broken", brand_new={"a": [1]}, subject=ABSENT)
    edited = row(world, identity)
    assert (edited["cost_credit"], edited["brand_new"]) == ("broken", {"a": [1]})
    assert "subject" not in edited
    world.chat(identity)
    assert isinstance(row(world, identity)["cost_credit"], Decimal)
    assert row(world, identity)["brand_new"] == {"a": [1]}
    chat = str(world.truth("okchat")[0]["id"])
    world.edit(chat, last_message=None, metadata=ABSENT, created_at="2020-01-01T00:00:00+00:00")
    assert world.truth("okchat")[-1]["id"] == chat, "its place in the list follows"
    assert row(world, chat)["last_message"] is None


def test_begin_tie_delete_restore() -> None:
    world = made(7)
    count = len(world.truth("gptbots", "sales"))
    given = world.begin("sales", conversation_id="mine", subject="hello", message_count=3)
    assert given == "mine"
    assert row(world, "mine")["subject"] == "hello"
    tied = world.tie("sales", 5)
    assert len({row(world, i)["recent_chat_time"] for i in tied}) == 1
    world.delete("mine")
    world.delete("mine")
    assert len(world.truth("gptbots", "sales")) == count + 5
    with pytest.raises(KeyError, match="sails"):
        world.truth("gptbots", "sails")
    with pytest.raises(KeyError, match="mine"):
        world.chat("mine")
    world.restore("mine")
    world.restore("mine")
    assert len(world.truth("gptbots", "sales")) == count + 6
    with pytest.raises(ValueError, match="already a conversation"):
        world.begin("support", conversation_id="mine")
    with pytest.raises(ValueError, match="already a bot"):
        world.add_chatbot("sales")


def test_time_goes_on_with_and_without_activity() -> None:
    world = World.seeded(7, bots={"support": 3000}, chatbots={"website": 900}, start=START, now=NOW)
    before: dict[Any, dict[str, Any]] = {r["conversation_id"]: r for r in world.truth("gptbots")}
    world.advance(timedelta(days=30), activity=False)
    assert world.now == NOW + timedelta(days=30)
    assert len(world.truth("gptbots")) == 3000
    world.advance(timedelta(days=30))
    after: dict[Any, dict[str, Any]] = {r["conversation_id"]: r for r in world.truth("gptbots")}
    begun = [r for i, r in after.items() if i not in before]
    moved = [i for i in before if after[i] != before[i]]
    assert 180 <= len(begun) <= 320
    assert moved
    assert min(r["recent_chat_time"] for r in begun) > (NOW + timedelta(days=30)).timestamp() * 1e3
    with pytest.raises(ValueError, match="can't go back"):
        world.advance(timedelta(days=-1))


def test_credits_settle_late_but_within_half_an_hour() -> None:
    world = World.seeded(7, bots={"support": 5000}, start=START, now=NOW)
    step, settled = timedelta(minutes=40), 0
    old: dict[Any, dict[str, Any]] = {r["conversation_id"]: r for r in world.truth("gptbots")}
    for _ in range(60):
        world.advance(step)
        new: dict[Any, dict[str, Any]] = {r["conversation_id"]: r for r in world.truth("gptbots")}
        late = [
            r["recent_chat_time"]
            for i, r in new.items()
            if i in old
            and r["cost_credit"] != old[i]["cost_credit"]
            and r["recent_chat_time"] == old[i]["recent_chat_time"]
        ]
        settled += len(late)
        earliest = world.now - step - timedelta(minutes=30)
        assert all(chat >= earliest.timestamp() * 1000 for chat in late)
        old = new
    assert settled


def test_many_changes_and_few_leave_the_list_in_order() -> None:
    world, rng = made(7), generator("changes")
    for changes in (1, 5, 40, 31, 33, 200):
        for _ in range(changes):
            world.disturb("support", rng)
            world.disturb("website", rng)
        rows: list[dict[str, Any]] = world.truth("gptbots", "support")
        times = [r["recent_chat_time"] for r in rows]
        assert times == sorted(times, reverse=True)
        assert len({r["conversation_id"] for r in rows}) == len(rows)
        created = [datetime.fromisoformat(str(r["created_at"])) for r in world.truth("okchat")]
        assert created == sorted(created, reverse=True)


def test_a_real_clock_follows_the_real_time() -> None:
    world = World(clock="real")
    assert abs(world.now - datetime.now(UTC)) < timedelta(seconds=1)
    world.advance(timedelta(days=1))
    assert abs(world.now - datetime.now(UTC) - timedelta(days=1)) < timedelta(seconds=1)
    still = World(now=NOW)
    assert still.now == NOW


def test_a_world_that_changes_while_it_is_read(sim: Simulator) -> None:
    world, errors = sim.world, []

    def change() -> None:
        for _ in range(150):
            world.chat(str(world.truth("gptbots", "sales")[-1]["conversation_id"]))
            world.begin("support")
            world.advance(timedelta(minutes=5))

    def read() -> None:
        client = Client(sim)
        for page in range(1, 150):
            got = client.gptbots(page=1 + page % 4)
            ids = [r["conversation_id"] for r in got.json["list"]]
            if got.status != 200 or len(ids) != len(set(ids)):
                errors.append(got)
        client.connection.close()

    threads = [Thread(target=work) for work in (change, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors
    client = Client(sim)
    assert client.pages() == world.truth("gptbots", "support")
    client.connection.close()


def test_the_hook_runs_before_the_answer(client: Client, sim: Simulator) -> None:
    seen: list[str | None] = []

    def hook(request: Any) -> None:  # noqa: ANN401 - any request
        seen.append(request.bot)
        sim.world.begin("support", conversation_id=f"hooked-{len(seen)}")

    sim.on_request = hook
    assert client.gptbots().json["total"] == 251
    sim.on_request = None
    assert client.gptbots().json["total"] == 251
    assert seen == ["support"]
