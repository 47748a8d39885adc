"""A client of the simulator that speaks plain HTTP."""

import http.client
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from pipelines.simulator import Simulator


@dataclass
class Got:
    """An answer: its status, headers and raw body."""

    status: int
    headers: http.client.HTTPMessage
    raw: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON of any shape
        return json.loads(self.raw, parse_float=Decimal)


@dataclass
class Client:
    """Asks a simulator, with the keys of its world, over one connection."""

    sim: Simulator
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(self.sim.url.removeprefix("http://"))

    def ask(
        self,
        path: str,
        headers: dict[str, str] | None = None,
        method: str = "GET",
        body: object = None,
    ) -> Got:
        sent = None if body is None else json.dumps(body)
        self.connection.request(method, path, sent, headers or {})
        answer = self.connection.getresponse()
        return Got(answer.status, answer.headers, answer.read())

    def gptbots(self, name: str = "support", **params: object) -> Got:
        usual = {
            "conversation_type": "ALL",
            "start_time": 0,
            "end_time": 10**13,
            "page": 1,
            "page_size": 100,
        }
        asked = {key: value for key, value in {**usual, **params}.items() if value is not None}
        key = self.sim.world.keys[name]
        return self.ask(
            f"/v1/bot/conversation/page?{urlencode(asked)}", {"Authorization": f"Bearer {key}"}
        )

    def okchat(self, name: str = "website", rest: str = "", **params: object) -> Got:
        world = self.sim.world
        path = f"/api/external/chatbot/{world.chatbot_ids[name]}/conversations{rest}"
        return self.ask(f"{path}?{urlencode(params)}", {"x-api-key": world.keys[name]})

    def pages(self, **params: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - passed on
        """Read a GPTBots window, page after page, to an empty one."""
        rows: list[dict[str, Any]] = []
        for page in range(1, 100):
            found = self.gptbots(**{**params, "page": page}).json["list"]
            if not found:
                break
            rows += found
        return rows
