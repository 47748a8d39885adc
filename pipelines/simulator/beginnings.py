"""How conversations begin: made of chance, at given moments, for a bot or a chatbot."""

from collections.abc import Iterator, Sequence

from pipelines.simulator.account import Account
from pipelines.simulator.conversation import Conversation
from pipelines.simulator.dice import Dice
from pipelines.simulator.gptbots_conversation import GptbotsConversation
from pipelines.simulator.moments import DAY
from pipelines.simulator.okchat_conversation import OkchatConversation
from pipelines.simulator.seeds import as_uuid

_TYPES = {
    "API": 20, "WIDGET": 14, "LINE": 12, "WHATSAPP_META": 11, "EMBED": 8, "SHARE": 6,
    "TELEGRAM": 5, "SPACE": 4, "Intercom": 4, "LiveChat": 4, "WXKF": 3, "SLACK": 2,
    "DISCORD": 2, "DINGTALK": 2, "AI_SEARCH": 2, "WHATSAPP_ENGAGELAB": 2, "ZAPIER": 1,
    "KAKAOTALK_BETA": 0.3,
}  # fmt: skip
_PLATFORMS = {
    "web": 30, "whatsapp": 20, "line": 18, "instagram": 12, "facebook-messenger": 10,
    "navertalktalk": 6, "voice": 4, "tiktok-preview": 0.3,
}  # fmt: skip
_TURNS = (2, 2, 2, 4, 4, 4, 6, 6, 8, 10, 12, 14, 20, 32, 60)


def begin(home: Account, begun: Sequence[int], until: int, dice: Dice) -> Iterator[Conversation]:
    """Make a conversation for each moment; none of them reaches beyond `until`."""
    make = _gptbots if home.api == "gptbots" else _okchat
    return make(home, begun, until, dice)


def _last(begun: int, stretch: int, until: int) -> int:
    """Return the last activity; of one that goes on beyond `until`, somewhere before that."""
    return begun + (stretch if begun + stretch <= until else stretch % (until - begun + 1))


def _gptbots(home: Account, begun: Sequence[int], until: int, dice: Dice) -> Iterator[Conversation]:
    rng, count = dice.rng, len(begun)
    drawn = zip(
        begun,
        rng.choices(dice.stretches, k=count),
        rng.choices(home.users, k=count),
        rng.choices(dice.texts, k=count),
        rng.choices(list(_TYPES), list(_TYPES.values()), k=count),
        rng.choices(_TURNS, k=count),
        rng.choices(dice.costs, k=count),
        strict=True,
    )
    for moment, stretch, *rest in drawn:
        serial = next(dice.serials)
        made = f"{moment // 1_000_000:08x}{rng.getrandbits(40):010x}{serial:06x}"
        last = _last(moment, stretch, until) // 1000
        yield GptbotsConversation(home, serial, made, rest[0], last, *rest[1:])


def _okchat(home: Account, begun: Sequence[int], until: int, dice: Dice) -> Iterator[Conversation]:
    rng, count = dice.rng, len(begun)
    drawn = zip(
        begun,
        rng.choices(dice.stretches, k=count),
        rng.choices(list(_PLATFORMS), list(_PLATFORMS.values()), k=count),
        rng.choices(home.users, k=count),
        rng.choices(dice.texts, k=count),
        rng.choices(dice.traits, k=count),
        strict=True,
    )
    for moment, stretch, platform, user, text, traits in drawn:
        created = moment - moment % traits.cuts[0]
        last = _last(moment, stretch, until)
        is_open = traits.stays_open or last > until - DAY
        yield OkchatConversation(
            home,
            next(dice.serials),
            as_uuid(f"{rng.getrandbits(128):032x}"),
            created=created,
            updated=max(created, last - last % traits.cuts[1]),
            offset=traits.offset,
            platform=platform,
            state="in_progress" if is_open else "closed",
            active=is_open,
            is_human_mode=traits.is_human_mode,
            migrated_data=traits.migrated_data,
            sns_user_id=None if platform == "voice" else user,
            user_id=f"customer-{user[-6:]}" if traits.has_customer else None,
            has_token=traits.has_token,
            metadata=traits.metadata,
            text=None if platform == "voice" or traits.is_mute else text,
            sender=traits.sender,
            turns=0,
        )
