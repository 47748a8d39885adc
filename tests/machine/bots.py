"""What befalls bots: made, removed, refused, left out of the configuration and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from machine.play import Play

_MOST = 6
_LARGEST = 300


def add_bot(play: Play, _: int, rows: int) -> bool:
    return _add(play, "bot", rows)


def add_chatbot(play: Play, _: int, rows: int) -> bool:
    return _add(play, "chatbot", rows)


def _add(play: Play, kind: str, rows: int) -> bool:
    world, n = play.world, len(play.world.accounts)
    if n >= _MOST or play.size() > _LARGEST:
        return False
    name = f"{kind}{n}"
    (world.add_bot if kind == "bot" else world.add_chatbot)(name, rows)
    play.configured.add(name)
    play.configure()
    return True


def remove(play: Play, account: int, _: int) -> bool:
    return _refuse(play, account, play.world.remove_bot)


def revoke(play: Play, account: int, _: int) -> bool:
    return _refuse(play, account, play.world.revoke)


def _refuse(play: Play, account: int, refuse: Callable[[str], None]) -> bool:
    """Let one account be refused from now on, though not the last."""
    found = play.accounts()
    if len(found) < 2:
        return False
    refuse(found[account % len(found)].name)
    return True


def give_keys_back(play: Play, _: int, __: int) -> bool:
    revoked = [account for account in play.world.accounts.values() if account.revoked]
    for account in revoked:
        account.revoked = False
    return bool(revoked)


def leave_out(play: Play, account: int, _: int) -> bool:
    names = sorted(play.configured)
    if len(names) < 2:
        return False
    play.configured.remove(names[account % len(names)])
    play.configure()
    return True


def put_back(play: Play, _: int, __: int) -> bool:
    left_out = set(play.world.accounts) - play.configured
    play.configured |= left_out
    play.configure()
    return bool(left_out)


BEFALLS: dict[str, Callable[[Play, int, int], bool]] = {
    "a bot is added": add_bot,
    "a chatbot is added": add_chatbot,
    "one is removed": remove,
    "a key is revoked": revoke,
    "keys count again": give_keys_back,
    "one is left out of the configuration": leave_out,
    "all are put into the configuration": put_back,
}
"""By a name that tells: what is done with a choice of account and of rows, and whether it was."""
