"""The simulated upstream: a process of its own, and what is asked of it from outside.

Run as a script it serves the world that its argument describes, until SIGTERM.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HISTORY = timedelta(days=3 * 365)
BEHIND = timedelta(days=30)  # how long ago the history ends: room for all that is yet to happen
QUIET = timedelta(hours=20)
CHANGED_OVER = timedelta(hours=20)


class Upstream:
    """Serves so many conversations in each named bot and chatbot while in its block."""

    def __init__(self, bots: Mapping[str, int], chatbots: Mapping[str, int] | None = None) -> None:
        described = json.dumps({"bots": bots, "chatbots": chatbots or {}})
        self._server = subprocess.Popen(
            [sys.executable, __file__, described], stdout=subprocess.PIPE, text=True
        )
        self.url = ""

    def __enter__(self) -> Self:
        self.url = self._server.stdout.readline().strip() if self._server.stdout else ""
        if not self.url:
            sys.exit("the simulator did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])

    def state(self) -> dict[str, Any]:
        """Return what the simulator says of itself: now, requests, accounts."""
        return self.call(("GET", "state", None))[0]

    def count(self, api: str) -> int:
        """Return how many conversations an API has."""
        accounts = self.state()["bots"].values()
        return sum(account["conversations"] for account in accounts if account["api"] == api)

    def forget_requests(self) -> None:
        """Count requests anew from here."""
        self.call(("DELETE", "log", None))

    def refused(self) -> int:
        """Return how many requests were not answered with 200 since then."""
        (log,) = self.call(("GET", "log", None))
        return sum(request["status"] != 200 or request["code"] is not None for request in log)

    def turn(self, **knobs: float) -> None:
        """Change how the APIs behave."""
        self.call(("POST", "knobs", knobs))

    def change(self, conversations: Sequence[str]) -> str:
        """Let conversations go on one after the other, evenly over 20 hours; tell what it was.

        Over hours, so that the next sync, which reads the last one again, finds few of them there.
        Returns the instant before the first.
        """
        before = self.state()["now"]
        step = {"seconds": CHANGED_OVER.total_seconds() / len(conversations), "activity": False}
        for conversation in conversations:
            chat = {"call": "chat", "args": {"conversation_id": conversation}}
            self.call(("POST", "advance", step), ("POST", "do", chat))
        self.state()  # sorts what changed, which the next reader would have to wait for
        return str(before)

    def call(self, *calls: tuple[str, str, dict[str, Any] | None]) -> list[Any]:
        """Ask the control interface, on one connection that is closed afterwards."""
        server = http.client.HTTPConnection("127.0.0.1", self.port)
        answers = []
        for method, path, body in calls:
            server.request(method, f"/_sim/{path}", json.dumps(body) if body else None)
            answer = server.getresponse()
            answers.append(json.loads(answer.read()))
            if answer.status != 200:
                sys.exit(f"the simulator refused {method} {path}: {answers[-1]}")
        server.close()
        return answers


def serve(bots: Mapping[str, int], chatbots: Mapping[str, int]) -> None:
    """Serve a world in the foreground; say its address when it is there."""
    from pipelines.simulator import World, serve as serve_world  # noqa: I001, PLC0415 - as a script only

    now = datetime.now(UTC) - BEHIND
    but_one = [{name: many - 1 for name, many in some.items()} for some in (bots, chatbots)]
    world = World.seeded(7, bots=but_one[0], chatbots=but_one[1], start=now - HISTORY, now=now)
    # The end of a seeded history is crowded, and each sync reads the last hour again.
    world.advance(QUIET, activity=False)
    for name in (*bots, *chatbots):
        world.begin(name)
    serve_world(world, ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    serve(**json.loads(sys.argv[1]))
