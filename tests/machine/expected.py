"""What one sync of a quiet upstream must leave in the warehouse, account by account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import truth

if TYPE_CHECKING:
    from collections.abc import Collection

    from machine.stored import Key, Row, Stored
    from pipelines.simulator import World
    from pipelines.simulator.account import Account

# What a sync may set in a row whose conversation is gone upstream.
_MARKING = {"deleted_at", "observed_at"}


@dataclass(frozen=True)
class Quiet:
    """A quiet world, what was stored before its sync and after.

    `states`: OKChat sends states.
    """

    world: World
    states: bool
    before: Stored
    after: Stored

    def live(self, account: Account) -> dict[Key, Row]:
        """Return the rows that the account's API would send, as they must be stored."""
        api, name = account.api, account.name
        rows = [truth.conversation(api, row) | {"bot": name} for row in self.world.truth(api, name)]
        if not self.states:
            rows = [row | {"state": None} for row in rows]
        return {(api, row["conversation_id"]): row for row in rows}

    def lost_all(self, account: Account) -> bool:
        """Tell whether nothing is left of what is stored as live: that is no proof of deletion."""
        known = [row for row in self.before.of(account.name).values() if not row["deleted_at"]]
        return bool(known) and not self.live(account)

    def assert_right(self, read: Collection[str]) -> None:
        """Compare every account; those that were `read` with the truth, others with before."""
        for account in self.world.accounts.values():
            if account.name in read:
                self._assert_current(account)
            else:
                assert self.after.of(account.name) == self.before.of(account.name)
        names = set(self.world.accounts)
        assert {row["bot"] for row in self.after.conversations.values()} <= names
        assert not self.after.rejected

    def _assert_current(self, account: Account) -> None:
        live, found = self.live(account), self.after.of(account.name)
        missing = live.keys() - found.keys()
        assert not missing, f"rows of {account.name} are missing: {sorted(missing)}"
        for key, row in live.items():
            _assert_same(_without(found[key], {"observed_at"}), row)
        for key in found.keys() - live.keys():
            self._assert_last_known(account, key)
        if account.api == "okchat":
            self._assert_messages(account, live.keys())

    def _assert_last_known(self, account: Account, key: Key) -> None:
        assert key in self.before.conversations, f"{key} was never in {account.name}"
        was, now = self.before.conversations[key], self.after.conversations[key]
        _assert_same(_without(now, _MARKING), _without(was, _MARKING))
        if not self.lost_all(account):
            assert now["deleted_at"] is not None, f"{key} is gone upstream and not marked"
        else:
            assert now["deleted_at"] == was["deleted_at"]

    def _assert_messages(self, account: Account, live: Collection[Key]) -> None:
        wanted = {}
        for row in self.world.truth("okchat", account.name):
            if message := truth.last_message(row):
                wanted["okchat", message["conversation_id"]] = message
        for key in self.after.of(account.name):
            # Of a deleted conversation the last message stays what it was.
            rows = wanted if key in live else self.before.messages
            _assert_same(self.after.messages.get(key), rows.get(key))


def _without(row: Row, names: Collection[str]) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def _assert_same(found: Row | None, wanted: Row | None) -> None:
    found, wanted = found or {}, wanted or {}
    names = found.keys() | wanted.keys()
    unlike = {n: (found.get(n), wanted.get(n)) for n in names if found.get(n) != wanted.get(n)}
    assert not unlike, f"found and wanted of {wanted.get('conversation_id')}: {unlike}"
