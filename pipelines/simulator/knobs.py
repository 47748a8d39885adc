"""What is not known of the APIs, as knobs: every answer to every open question."""

from dataclasses import dataclass
from typing import Literal, get_type_hints

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """How the APIs behave; the defaults are what the published samples suggest.

    Attributes:
        order: Of GPTBots lists; "unordered" is a shuffle that stays the same.
        total: Whether GPTBots' `total` counts the window or the page.
        past_end: Whether a GPTBots page beyond the last is empty or error 40005. Page 1 of an
            empty window is empty either way.
        start_inclusive: Whether a chat at exactly `start_time` is in the window.
        end_inclusive: Whether a chat at exactly `end_time` is in the window.
        error_status: 200 puts GPTBots' error codes into a 200, 400 into the fitting 4xx.
        gptbots_page_cap: The most rows of a GPTBots page, whatever is asked.
        bill: Whether a key of GPTBots shows the bill and the conversation credits of the whole
            account, or of its own bot alone.
        books: Whether GPTBots serves both, or refuses them as not being part of a plan.
        books_paging: Whether pages of both lists are those of one order, of another order each, or
            always the first.
        credits_of: Whether the times asked for are when credits were spent, or when their
            conversation began (whose credits are then all those so far).
        bill_date: How GPTBots writes the day of a bill: `2026-03-01`, `20260301` or midnight in
            epoch milliseconds.
        bot_detail: Whether GPTBots gives a bot's id with its name, or null.
        message_order: Which messages of a conversation come first.
        okchat_messages: Whether OKChat serves messages in pages, or all of them whatever is asked.
        gone_messages: Whether the messages of a conversation that is gone are an error, or none.
        envelope: Whether OKChat sends a bare array or `{"data": array}`.
        okchat_order: What OKChat lists newest first.
        okchat_page_cap: The most rows of an OKChat page, whatever is asked.
        chatbots_before: How many others OKChat's list of chatbots has before the key's own, each on
            a page of its own.
        page_param: OKChat's name of the page; under any other name it is ignored.
        limit_param: OKChat's name of the page size, likewise.
        state_param: OKChat's name of the state filter, likewise.
        omit_state: Whether OKChat leaves `state` out.
        requests_per_minute: How many requests of a key are answered in any 60 seconds.
        retry_after: How the 429 of that limit says when to come back.
        latency: Seconds that each answer takes longer.
        chaos: Probability that something happens to the bot before a request is answered.
    """

    order: Literal["newest_first", "oldest_first", "unordered"] = "newest_first"
    total: Literal["window", "page"] = "window"
    past_end: Literal["empty", "error"] = "empty"
    start_inclusive: bool = True
    end_inclusive: bool = True
    error_status: Literal[200, 400] = 200
    gptbots_page_cap: int | None = None
    bill: Literal["account", "bot"] = "account"
    books: Literal["served", "refused"] = "served"
    books_paging: Literal["steady", "shifting", "ignored"] = "steady"
    credits_of: Literal["spent", "begun"] = "spent"
    bill_date: Literal["iso", "compact", "epoch_ms"] = "iso"
    bot_detail: Literal["with_id", "null_id"] = "with_id"
    message_order: Literal["oldest_first", "newest_first"] = "oldest_first"
    okchat_messages: Literal["all", "pages"] = "all"
    gone_messages: Literal["error", "empty"] = "error"
    envelope: Literal["bare", "data"] = "bare"
    okchat_order: Literal["created_desc", "updated_desc"] = "created_desc"
    okchat_page_cap: int | None = None
    chatbots_before: int = 0
    page_param: str = "page"
    limit_param: str = "limit"
    state_param: str = "state"
    omit_state: bool = False
    requests_per_minute: int | None = None
    retry_after: Literal["seconds", "http-date"] | None = None
    latency: float = 0.0
    chaos: float = 0.0

    def __post_init__(self) -> None:
        # A value that no knob has would leave a test waiting for it in vain.
        for name, kind in get_type_hints(type(self)).items():
            try:
                msgspec.convert(getattr(self, name), kind)
            except msgspec.ValidationError as error:
                msg = f"{name}: {error}"
                raise ValueError(msg) from error
