from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from project import assert_equal_to_truth

from pipelines import jobs
from pipelines.cursor import stored_cursors
from pipelines.shard import Shard, read
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from lake.lakehouse import LakeProject
    from pipelines.simulator import World

KEYS = {
    "conversations": "source, conversation_id",
    "last_messages": "source, conversation_id",
    "conversation_changes": "source, conversation_id, observed_at",
    "rejected_rows": "source, rejected_id",
}
BOTS = {f"bot{n}": 40 + 20 * n for n in range(30)}
CHATBOTS = {f"chatbot{n}": 25 + 10 * n for n in range(10)}


def assert_no_key_twice(project: LakeProject) -> None:
    for table, key in KEYS.items():
        twice = f"select {key} from chat.{table} group by all having count(*) > 1"
        assert project.rows(twice) == []


def sync_shards(project: LakeProject, of: int) -> list[dict[str, object]]:
    """Sync all shards at once, each in a process of its own."""
    workers = [
        project.start("sync", "--shard", f"{number}/{of}", "--no-models", "--json")
        for number in range(1, of + 1)
    ]
    found = []
    for worker in workers:
        out, err = worker.communicate()
        assert worker.returncode == 0, err
        found.append(json.loads(out))
    return found


def test_a_bot_belongs_to_one_shard_on_every_machine() -> None:
    names = [f"gptbots/bot{n}" for n in range(1000)]
    for of in (1, 2, 4, 7):
        owners = [[n for n in range(1, of + 1) if Shard(n, of).has(name)] for name in names]
        assert all(len(found) == 1 for found in owners)
        assert len({found[0] for found in owners}) == of
    assert [n for n in range(1, 5) if Shard(n, 4).has("gptbots/support")] == [4]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", "1/4/2", ""])
def test_what_is_no_shard_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="like"):
        read(text)


def test_bots_that_share_a_key_stay_together(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    world = make_world(chatbots=dict.fromkeys("abcdefgh", 1))
    project.configure(simulate(world), keys=dict.fromkeys("abcdefgh", "one-key"))
    settings = project.settings()
    shards = [settings.model_copy(update={"shard": Shard(n, 4)}) for n in range(1, 5)]
    assert sorted(len(jobs.chosen(of, ())) for of in shards) == [0, 0, 0, 8]


@pytest.mark.long
def test_four_workers_at_once_bring_all_and_no_key_twice(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    world = make_world(bots=BOTS, chatbots=CHATBOTS)
    upstream = simulate(world)
    project.configure(upstream)
    found = sync_shards(project, 4)
    assert sum(len(worker["bots"]) for worker in found) == 40  # type: ignore[arg-type,misc]
    assert_equal_to_truth(project, world)
    assert_no_key_twice(project)
    world.advance(timedelta(minutes=20))
    for name in world.accounts:
        world.begin(name)
    sync_shards(project, 4)
    assert_equal_to_truth(project, world)
    assert_no_key_twice(project)


@pytest.mark.long
def test_other_workers_know_where_a_bot_stands(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    """Twice as many workers, and then all bots in one: each cursor goes along."""
    world = make_world(bots={f"bot{n}": 30 for n in range(12)})
    upstream = simulate(world)
    project.configure(upstream)
    sync_shards(project, 2)
    with connect(project.lake) as connection:
        before = stored_cursors(connection)
    assert len(before) == 12
    for of in (4, 1):
        upstream.clear_log()
        for worker in sync_shards(project, of):
            assert worker["rows_loaded"] == 0
        assert len(upstream.log) <= 2 * 12
        world.advance(timedelta(seconds=15))  # into no future: that would move no cursor
        for name in world.accounts:
            world.begin(name)
        sync_shards(project, of)
        with connect(project.lake) as connection:
            after = stored_cursors(connection)
        assert all(after[name] > at for name, at in before.items())
        before = after
    assert_equal_to_truth(project, world)


@pytest.mark.long
def test_two_workers_with_the_same_bots_work_twice_and_write_once(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    """As two machines that were given the same shard: no lock is between them."""
    world = make_world(bots={"support": 300, "sales": 120}, chatbots={"website": 150})
    project.configure(simulate(world))
    for _ in range(2):
        workers = [
            project.start("sync", *shard, "--no-models") for shard in ((), ("--shard", "1/1"))
        ]
        for worker in workers:
            _, err = worker.communicate()
            assert worker.returncode == 0, err
        assert_equal_to_truth(project, world)
        for table, key in KEYS.items():
            if table != "conversation_changes":
                twice = f"select {key} from chat.{table} group by all having count(*) > 1"
                assert project.rows(twice) == []
        world.advance(timedelta(minutes=20))
        for name in world.accounts:
            world.begin(name)


@pytest.mark.parametrize("command", [("verify",), ("backfill", "--from", "2020-01-01")])
def test_a_shard_is_all_that_a_command_reads(
    command: tuple[str, ...], world: World, project: LakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = () if command[0] == "verify" else ("--to", f"{world.now:%Y-%m-%d}", "--no-models")
    read = []
    for shard in ("1/2", "2/2"):
        monkeypatch.setenv("CONVOY_SHARD", shard)
        done = project.run(*command, *ranges, "--json")
        assert done.returncode == 0, done.stderr
        read.append([bot["bot"] for bot in json.loads(done.stdout)["bots"]])
    assert sorted(bot for bots in read for bot in bots) == ["support", "website"]
    monkeypatch.setenv("CONVOY_SHARD", "3/2")
    assert project.run(*command, *ranges).returncode == 2
