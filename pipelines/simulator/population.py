"""Who and what is in a world: its accounts, its conversations, and what may be read of them."""

from threading import RLock

from pipelines.simulator.account import Account, Api
from pipelines.simulator.conversation import Conversation, from_json, to_json
from pipelines.simulator.transcript import transcript


class Population:
    """Bots and chatbots by name and by key, conversations by id; one lock guards it all."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.accounts: dict[str, Account] = {}
        self._by_key: dict[str, Account] = {}
        self._rows: dict[str, Conversation] = {}

    @property
    def keys(self) -> dict[str, str]:
        """The API key of each bot and chatbot."""
        with self.lock:
            return {name: account.key for name, account in self.accounts.items()}

    @property
    def bot_ids(self) -> dict[str, str]:
        """The id of each bot."""
        with self.lock:
            return {a.name: a.id for a in self.accounts.values() if a.api == "gptbots"}

    @property
    def chatbot_ids(self) -> dict[str, str]:
        """The id of each chatbot."""
        with self.lock:
            return {a.name: a.id for a in self.accounts.values() if a.api == "okchat"}

    def opened_by(self, api: Api, key: str) -> Account | None:
        """Return the account of an API that a key belongs to."""
        account = self._by_key.get(key)
        return account if account and account.api == api else None

    def find(self, conversation_id: str) -> Conversation | None:
        """Return a conversation that is there, None for a deleted or unknown one."""
        row = self._rows.get(conversation_id)
        return None if row is None or row.deleted else row

    def truth(self, api: Api, name: str | None = None) -> list[dict[str, object]]:
        """Return the rows of an API as it would send them now, newest first.

        A bot that was removed has none; one whose key was revoked still has all.

        Raises:
            KeyError: No bot or chatbot ever had this name.
        """
        with self.lock:
            if name is not None:  # a misspelt name must not look like an empty bot
                self.accounts[name]
            return [
                from_json(row.render())
                for account in self.accounts.values()
                if account.api == api and not account.removed and name in (None, account.name)
                for row in reversed(account.timeline.rows())
            ]

    def messages(self, conversation_id: str) -> list[dict[str, object]]:
        """Return the messages of a conversation as its API would send them now, oldest first."""
        with self.lock:
            return [from_json(to_json(sent)) for sent in transcript(self._row(conversation_id))]

    def warm(self) -> None:
        """Render every conversation now rather than when it is first asked for."""
        with self.lock:
            for account in self.accounts.values():
                for row in account.timeline.rows():
                    row.render()

    def _join(self, account: Account) -> None:
        self.accounts[account.name] = account
        self._by_key[account.key] = account

    def _add(self, row: Conversation) -> None:
        if row.conversation_id in self._rows:
            msg = f"there is already a conversation {row.conversation_id}"
            raise ValueError(msg)
        self._rows[row.conversation_id] = row
        row.home.timeline.put(row)

    def _row(self, conversation_id: str) -> Conversation:
        row = self.find(conversation_id)
        if row is None:
            msg = f"there is no conversation {conversation_id}"
            raise KeyError(msg)
        return row
