"""A tap of GPTBots' conversations, as the Singer SDK's own template would have it, made quick."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.pagination import PageNumberPaginator

if TYPE_CHECKING:
    from collections.abc import Iterable

    import requests
    from singer_sdk.streams.rest import HTTPRequest, PageContext

DECODER = msgspec.json.Decoder()


class Writer(MsgSpecWriter):
    """The SDK's quick writer, flushed at each state and not at each row."""

    def write_message(self, message: Any) -> None:  # noqa: ANN401 - as in the SDK
        """Write a message to standard output."""
        sys.stdout.buffer.write(self.format_message(message))
        if message.type == "STATE":
            sys.stdout.flush()


class Pages(PageNumberPaginator):
    """Pages from 1; the SDK stops at the first that is empty."""

    def has_more(self, response: requests.Response) -> bool:  # noqa: ARG002 - as in the SDK
        """Go on until an empty page."""
        return True


class Conversations(RESTStream):
    """One stream, a partition a bot, upserted by its key."""

    name = "conversations"
    path = "/v1/bot/conversation/page"
    primary_keys = ("conversation_id",)
    replication_key = "recent_chat_time"
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # the rows are flat and already typed
    schema = th.PropertiesList(
        th.Property("conversation_id", th.StringType, required=True),
        th.Property("user_id", th.StringType),
        th.Property("recent_chat_time", th.IntegerType(maximum=2**63 - 1)),
        th.Property("subject", th.StringType),
        th.Property("conversation_type", th.StringType),
        th.Property("message_count", th.IntegerType(maximum=2**63 - 1)),
        th.Property("cost_credit", th.NumberType),
        th.Property("bot_id", th.StringType),
    ).to_dict()

    @property
    def url_base(self) -> str:
        """Where the API is."""
        return self.config["base_url"]

    @property
    def requests_session(self) -> requests.Session:
        """A session that doesn't search the environment for proxies at each request."""
        session = super().requests_session
        session.trust_env = False
        return session

    @property
    def partitions(self) -> list[dict]:
        """A partition a bot, by name: the key must not get into the state."""
        return [{"bot": name} for name in self.config["bots"]]

    def get_new_paginator(self) -> Pages:
        """Page numbers."""
        return Pages(start_value=1)

    def get_http_request(self, *, page: PageContext) -> HTTPRequest:
        """Add the key of the partition's bot."""
        request = super().get_http_request(page=page)
        key = self.config["bots"][page.stream_context["bot"]]["api_key"]
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    def get_url_params(self, context: Any, next_page_token: int | None) -> dict:  # noqa: ANN401
        """Ask from where the partition's state ends."""
        return {
            "conversation_type": "ALL",
            "start_time": self.get_starting_replication_key_value(context) or self.config["start"],
            "end_time": self.config["end"],
            "page": next_page_token,
            "page_size": 100,
        }

    def parse_response(self, response: requests.Response) -> Iterable[dict]:
        """Parse with msgspec, which takes a fraction of the time of JSONPath over `json`."""
        return DECODER.decode(response.content)["list"]


class Gptbots(Tap):
    """The tap."""

    name = "tap-gptbots"
    message_writer_class = Writer
    config_jsonschema = th.PropertiesList(
        th.Property("base_url", th.StringType, required=True),
        th.Property("bots", th.ObjectType(additional_properties=True), required=True),
        th.Property("start", th.IntegerType, required=True),
        th.Property("end", th.IntegerType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[Conversations]:
        """Return the one stream."""
        return [Conversations(self)]


if __name__ == "__main__":
    Gptbots.cli()
