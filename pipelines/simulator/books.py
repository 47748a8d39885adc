"""GPTBots' own books: the bill a day, and the credits of each conversation."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain

from pipelines.simulator.account import Account
from pipelines.simulator.charges import Charge
from pipelines.simulator.conversation import plain
from pipelines.simulator.gptbots_conversation import GptbotsConversation
from pipelines.simulator.knobs import Knobs
from pipelines.simulator.moments import DAY, instant, micros
from pipelines.simulator.seeds import hexed
from pipelines.simulator.world import World

BILLED_DAYS, CREDITED_DAYS = 90, 30
_BILLED = (
    "chat", "knowledge_doc_indexing", "knowledge_doc_storage", "rerank", "database_processing",
    "tool_call", "asr", "tts",
)  # fmt: skip
_CREDITED = (
    "chat", "anonymization", "asr", "tts", "rerank", "database_processing", "tool_call",
    "knowledge_doc_indexing", "question_tag", "moderation",
)  # fmt: skip
_Amounts = dict[str, Decimal]


def bill(
    world: World, account: Account, span: tuple[int, int], knobs: Knobs
) -> list[dict[str, object]]:
    """Return a row a day within milliseconds from up to and with, newest first."""
    today = micros(world.now) // DAY
    first = max(today - BILLED_DAYS + 1, -(-span[0] * 1000 // DAY))
    last = min(today, span[1] * 1000 // DAY)
    accounts = _billed_together(world, account, knobs)
    return [_bill_of(world, accounts, day, knobs) for day in range(last, first - 1, -1)]


def conversation_credits(
    world: World, account: Account, span: tuple[int, int], knobs: Knobs
) -> list[dict[str, object]]:
    """Return a row a conversation that spent anything within milliseconds, the latest first."""
    now = micros(world.now)
    oldest = (now // DAY - CREDITED_DAYS + 1) * DAY
    first, last = max(span[0] * 1000, oldest), span[1] * 1000
    spent: defaultdict[str, list[Charge]] = defaultdict(list)
    ends = (first, last) if knobs.credits_of == "spent" else (oldest, now)
    for charge in _charges(world, _billed_together(world, account, knobs), *ends):
        if knobs.credits_of == "spent" or first <= _began(charge.row) < last + 1000:
            spent[charge.row.conversation_id].append(charge)
    latest_first = sorted(spent.values(), key=lambda c: c[-1].row.serial, reverse=True)
    return [_credits_of(charges) for charges in latest_first]


def book_page(
    rows: list[dict[str, object]], number: int, size: int, knobs: Knobs
) -> list[dict[str, object]]:
    """Return a page of a list, in the order and by the number that the knobs say."""
    match knobs.books_paging:
        case "ignored":
            number = 1
        case "shifting":
            rows = sorted(rows, key=lambda row: hexed("shifting", number, str(row), size=8))
        case "steady" if knobs.order == "oldest_first":
            rows = rows[::-1]
        case "steady" if knobs.order == "unordered":
            rows = sorted(rows, key=lambda row: hexed("unordered", str(row), size=8))
    return rows[(number - 1) * size : number * size]


def _billed_together(world: World, account: Account, knobs: Knobs) -> list[Account]:
    """Whose figures a key shows: its bot's, or the whole account's."""
    if knobs.bill == "bot":
        return [account]
    return [each for each in world.accounts.values() if each.api == "gptbots"]


def _charges(world: World, accounts: Iterable[Account], since: int, until: int) -> Iterator[Charge]:
    """Yield what was spent from one moment up to, and with, the millisecond of another."""
    now = micros(world.now)
    for account in accounts:
        rows = chain(account.timeline.rows(), account.deleted)
        yield from account.charges.between(rows, since, min(until, now) + 1000, now)


def _bill_of(world: World, accounts: list[Account], day: int, knobs: Knobs) -> dict[str, object]:
    amounts: defaultdict[str, Decimal] = defaultdict(Decimal)
    for charge in _charges(world, accounts, day * DAY, (day + 1) * DAY - 1000):
        for kind, amount in charge.kinds().items():
            amounts[kind if kind in _BILLED else "chat"] += amount
    for account in accounts if day >= micros(world.start) // DAY else ():
        for kind, amount in _knowledge(account, day).items():
            amounts[kind] += amount
    return {"date": _date(day, knobs), **_row(amounts, _BILLED)}


def _credits_of(charges: list[Charge]) -> dict[str, object]:
    row = charges[0].row
    amounts: defaultdict[str, Decimal] = defaultdict(Decimal)
    for charge in charges:
        for kind, amount in charge.kinds().items():
            amounts[kind] += amount
    return {
        "conversation_id": row.conversation_id,
        "conversation_create_time": _began(row) // 1000,
        **_row(amounts, _CREDITED),
    }


def _began(row: GptbotsConversation) -> int:
    return row.home.charges.began(row)


def _row(amounts: Mapping[str, Decimal], kinds: Iterable[str]) -> _Amounts:
    parts = {kind: plain(amounts.get(kind, Decimal(0))) for kind in kinds}
    return {**parts, "total": plain(sum(parts.values(), Decimal(0)))}


def _knowledge(account: Account, day: int) -> _Amounts:
    """What a bot's documents cost on a day: storage each day, indexing now and then."""
    drawn = int(hexed("documents", account.name, day, size=4), 16)
    indexing = Decimal(drawn % 90_000).scaleb(-4) if drawn % 7 == 0 else Decimal(0)
    return {
        "knowledge_doc_storage": Decimal(1 + drawn % 5_000).scaleb(-4),
        "knowledge_doc_indexing": indexing,
    }


def _date(day: int, knobs: Knobs) -> object:
    at = instant(day * DAY)
    match knobs.bill_date:
        case "compact":
            return f"{at:%Y%m%d}"
        case "epoch_ms":
            return day * DAY // 1000
    return f"{at:%Y-%m-%d}"
