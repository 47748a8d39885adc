"""Readers that page and trust, as generic ones do: what Convoy's are compared with.

They ask for one page after the other until one is short or empty, take that for the end, and
never look whether the list moved meanwhile.
"""

from __future__ import annotations

from itertools import count
from math import ceil
from typing import TYPE_CHECKING, Any, Self

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipelines.simulator import Simulator

Span = tuple[int, int]
"""From one epoch millisecond to another."""
PAGES = {"gptbots": 100, "okchat": 20}
"""Rows of a page that are asked for."""


class _Reader:
    """Asks one address with one key, over one connection."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def _get(self, **asked: object) -> Any:  # noqa: ANN401 - JSON of any shape
        query = {name: str(value) for name, value in asked.items()}
        answer = self._session.get(self._url, params=query, timeout=20)
        answer.raise_for_status()
        return answer.json()


class Gptbots(_Reader):
    """The conversations of one bot, a fixed window of time at a time."""

    def __init__(self, upstream: Simulator, name: str) -> None:
        key = upstream.world.accounts[name].key
        url = f"{upstream.url}/v1/bot/conversation/page"
        super().__init__(url, {"Authorization": f"Bearer {key}"})

    def forward(self, window: Span) -> set[str]:
        """Read from page 1 on."""
        found: set[str] = set()
        for number in count(1):
            rows, _ = self._page(window, number)
            found |= rows
            if len(rows) < PAGES["gptbots"]:
                break
        return found

    def backward(self, window: Span) -> set[str]:
        """Read from the page on that is the last by what the server counts."""
        _, total = self._page(window, 1)
        found: set[str] = set()
        for number in range(ceil(total / PAGES["gptbots"]), 0, -1):
            found |= self._page(window, number)[0]
        return found

    def _page(self, window: Span, number: int) -> tuple[set[str], int]:
        span = {"start_time": window[0], "end_time": window[1]}
        body = self._get(conversation_type="ALL", **span, page=number, page_size=PAGES["gptbots"])
        return {row["conversation_id"] for row in body["list"]}, body["total"]


class Okchat(_Reader):
    """The conversations of one chatbot."""

    def __init__(self, upstream: Simulator, name: str) -> None:
        account = upstream.world.accounts[name]
        url = f"{upstream.url}/api/external/chatbot/{account.id}/conversations"
        super().__init__(url, {"x-api-key": account.key})

    def forward(self, **filters: str) -> set[str]:
        """Read from page 1 on; `filters` are further parameters."""
        found: set[str] = set()
        for number in count(1):
            rows = {row["id"] for row in self._get(page=number, limit=PAGES["okchat"], **filters)}
            found |= rows
            if len(rows) < PAGES["okchat"]:
                break
        return found
