"""What a run knows compared with what the APIs have: gaps are read, what is gone is marked.

GPTBots: the server's count of all history must be the number of live conversations known. Where
it is not, the windows that differ are found and read. OKChat: what a sweep did not see is asked
for one by one. Nothing is taken for deleted before that is proved.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import partial

from pipelines import live
from pipelines.chunk import Chunk
from pipelines.errors import NotCertified, NothingThere, TooManyGone
from pipelines.gptbots.history import NOTHING
from pipelines.jobs import BotName, GptbotsTask, OkchatTask
from pipelines.okchat.lookup import Lookup
from pipelines.run import Keeper, Run

ROUNDS = 4
"""Comparisons of a bot before it is left as moving."""
FEW = 10
"""So many may always be marked as deleted."""


def reconcile(run: Run, keeper: Keeper, *, yes: bool = False, thorough: bool = False) -> None:
    """Compare each bot that was read without error, and mend what differs.

    Args:
        run: what has been read.
        keeper: what is done with what is found.
        yes: mark what is gone, however much it is.
        thorough: compare parts of the history even where the whole agrees.
    """
    marking = _Marking(run, keeper, yes=yes)
    okchat = {n: t for n in run.healthy if isinstance(t := run.tasks[n], OkchatTask)}
    _look_up(run, keeper, marking, okchat)
    gptbots = {n: t for n in run.healthy if isinstance(t := run.tasks[n], GptbotsTask)}
    _Recount(run, keeper, marking, gptbots)(thorough=thorough)


class _Marking:
    """Marks what is gone, unless that is suspiciously much."""

    def __init__(self, run: Run, keeper: Keeper, *, yes: bool) -> None:
        self._run = run
        self._keeper = keeper
        self._yes = yes

    def allows(self, name: BotName, gone: int, known: int) -> bool:
        """Tell whether so many of the known may be marked; else the bot fails."""
        share = self._run.settings.max_deleted_share(name.source)
        if self._yes or gone <= max(FEW, share * known):
            return True
        message = (
            f"{gone} of {known} conversations seem to be gone upstream, more than "
            f"max_deleted_share ({share:g}) lets be marked; if that is right, sync with --yes"
        )
        self._run.fail(name, TooManyGone(message))
        return False

    def gone(self, name: BotName) -> live.Gone:
        """Return what certified reads did not find, and nothing newer is known of."""
        found = self._run.gone[name]
        query = partial(live.activities, source=name.source, ids=found.keys())
        known = (self._run.stored.look(query) if found else None) or {}
        stale = self._keeper.stale(name)
        return {i: at for i, at in found.items() if known.get(i) == at and i not in stale}

    def __call__(self, name: BotName, gone: live.Gone) -> None:
        if gone:
            self._keeper.mark(name, gone)


def _look_up(run: Run, keeper: Keeper, marking: _Marking, bots: dict[BotName, OkchatTask]) -> None:
    """Ask one by one for the conversations that are known and that no sweep saw."""
    questions = {}
    for name, task in bots.items():
        unseen = _unseen(run, name, task)
        seen = len(run.seen.get(name, ()))
        if unseen and not seen:
            run.fail(name, NothingThere(NOTHING.format(len(unseen))))
        elif unseen and marking.allows(name, len(unseen), len(unseen) + seen):
            questions[name] = partial(_lookup(task).read, list(unseen))
    for name, found in run.ask(questions).items():
        run.keep(Chunk(name.source, [(name.bot, found.reading)]), keeper)
    for name in bots.keys() & run.healthy:
        gone = marking.gone(name)
        if gone and marking.allows(name, len(gone), _live(run, bots[name])):
            marking(name, gone)


def _unseen(run: Run, name: BotName, task: OkchatTask) -> live.Gone:
    if name not in run.seen:
        return {}
    query = partial(live.unseen, chatbot_id=task.chatbot_id, seen=run.seen[name])
    return run.stored.look(query) or {}


def _live(run: Run, task: OkchatTask) -> int:
    known, _ = run.stored.look(partial(live.chatbot, chatbot_id=task.chatbot_id)) or ((), ())
    return len(known)


def _lookup(task: OkchatTask) -> Lookup:
    return Lookup(task.api.one, partial(task.api.page, 1, 1))


class _Recount:
    """Compares GPTBots' counts with what is known, in rounds, until they agree.

    `unreadable`: conversations of each bot that the server counts and that can't be read.
    """

    def __init__(
        self, run: Run, keeper: Keeper, marking: _Marking, bots: dict[BotName, GptbotsTask]
    ) -> None:
        self._run = run
        self._keeper = keeper
        self._marking = marking
        self._bots = bots
        self._unreadable: dict[BotName, int] = {}
        self._told: defaultdict[BotName, list[tuple[int | None, int]]] = defaultdict(list)

    def __call__(self, *, thorough: bool) -> None:
        """Compare, read what differs, compare again."""
        found = self._run.expected(self._bots)
        self._unreadable = {
            name: self._newly_unreadable(name) if before is None else before
            for name in self._bots
            for before in [found[name].unreadable]
        }
        bots: Collection[BotName] = self._bots
        if thorough:
            bots = self._read_differing(bots, thorough=True)
        for last in range(1, ROUNDS + 1):
            bots = self._disagreeing(bots) if bots else bots
            if bots and last < ROUNDS:
                bots = self._read_differing(bots)
        for name in bots:
            self._leave(name)

    def _leave(self, name: BotName) -> None:
        """Leave a bot whose counts never agreed, because they move; if they don't, it fails."""
        self._run.outcome.bots[name].history = "moving"
        (counted, known), before = self._told[name][-1], self._told[name][-2]
        if (counted, known) == before:
            server = "another number" if counted is None else f"{counted}"
            message = (
                f"{known} conversations are known, the API counts {server} and lists no others"
            )
            self._run.fail(name, NotCertified(message))

    def _disagreeing(self, bots: Collection[BotName]) -> list[BotName]:
        """Ask for each count; where it agrees, mark what is gone; return the others."""
        found = self._run.expected(bots)
        gone = {name: self._marking.gone(name) for name in bots}
        more = {
            name: self._keeper.waiting(name) + self._unreadable[name] - len(gone[name])
            for name in bots
        }
        questions = {
            name: partial(self._bots[name].history.agrees, found[name], more[name], gone[name])
            for name in bots
        }
        answers = self._run.ask(questions)
        for name, agrees in answers.items():
            history = self._bots[name].history
            live_ones = history.known(found[name]) + more[name] - self._unreadable[name]
            self._told[name].append((history.counted, live_ones))
            self._run.certify(name, history.certificate(live_ones, certified=agrees))
            if agrees:
                self._run.outcome.bots[name].history = "agrees"
                if self._marking.allows(name, len(gone[name]), live_ones + len(gone[name])):
                    self._marking(name, gone[name])
        return [name for name, agrees in answers.items() if not agrees]

    def _read_differing(
        self, bots: Collection[BotName], *, thorough: bool = False
    ) -> list[BotName]:
        jobs = {}
        for name in bots:
            self._run.unreadable[name].clear()
            history = self._bots[name].history
            jobs[name] = partial(history.differing, self._times(name), thorough=thorough)
        self._run.read(jobs, self._keeper)
        self._unreadable |= {name: self._newly_unreadable(name) for name in bots}
        return [name for name in self._run.healthy if name in bots]

    def _newly_unreadable(self, name: BotName) -> int:
        """Count what can't be read and is not known as it was when it could be."""
        ids = self._run.unreadable[name].values()
        if not ids:
            return 0
        query = partial(live.activities, source=name.source, ids={i for i in ids if i})
        known = self._run.stored.look(query) or {}
        return sum(i not in known for i in ids)

    def _times(self, name: BotName) -> Sequence[int]:
        query = partial(
            live.times,
            bot=name.bot,
            bot_ids=self._bots[name].history.bot_ids,
            since=self._run.since,
        )
        return self._run.stored.look(query) or ()
