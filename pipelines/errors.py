"""Everything that can go wrong, as one tree.

ConvoyError                    exit 1
├── ConfigurationError         exit 2: wrong configuration or usage, nothing was touched
├── WarehouseBusy              exit 75: another process holds the warehouse
├── WarehouseFailed            the warehouse can't be read or written
├── Stopped                    exit 130 or 143: stopped by Ctrl-C or SIGTERM
├── ModelsFailed               a model or one of its tests failed
└── ApiError                   a request failed; names bot, method and path, never the key
    ├── KeyRejected            the key is wrong, expired or revoked
    ├── BotDeleted             the bot is gone upstream
    ├── BadRequest             the API does not accept what was asked
    ├── NotFound               what was asked for does not exist
    ├── PageBeyondEnd          a page after the last one
    ├── RedirectRefused        the server points elsewhere; following would hand it the key
    ├── NotCertified           a read that could not be shown to be complete
    ├── NothingThere           no conversation at all, where some are known
    ├── TooManyGone            more are gone upstream than may be marked without being asked
    └── Transient              worth another try
        ├── RateLimited        too many requests; may say how long to wait
        ├── Unreachable        no connection, or one that broke
        └── BrokenReply        a fault of the server, or a body that can't be read
"""


class ConvoyError(Exception):
    """Base of all; `str()` is one sentence for the user, with what to do."""

    exit_code = 1


class ConfigurationError(ConvoyError):
    """One or more faults of the configuration, each with its mend."""

    exit_code = 2

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class WarehouseBusy(ConvoyError):
    """Another process holds the warehouse."""

    exit_code = 75


class WarehouseFailed(ConvoyError):
    """The warehouse can't be read or written."""


class Stopped(ConvoyError):
    """A signal stopped it; nothing is lost."""

    def __init__(self, signum: int) -> None:
        super().__init__("stopped; the next sync goes on from here")
        self.exit_code = 128 + signum


class ModelsFailed(ConvoyError):
    """A model or one of its tests failed."""


class ApiError(ConvoyError):
    """A request that failed: `message`, then where (bot, method and path; never the key)."""

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{message} ({where})" if where else message)
        self.message = message

    def at(self, where: str) -> "ApiError":
        """Return the same error, saying where it happened."""
        return type(self)(self.message, where=where)


class KeyRejected(ApiError):
    """The key is wrong, expired or revoked."""


class BotDeleted(ApiError):
    """The bot is gone upstream."""


class BadRequest(ApiError):
    """The API does not accept what was asked."""


class NotFound(ApiError):
    """What was asked for does not exist."""


class PageBeyondEnd(ApiError):
    """A page after the last one."""


class RedirectRefused(ApiError):
    """The server points elsewhere; following would hand it the key."""


class NotCertified(ApiError):
    """A read that could not be shown to be complete."""


class NothingThere(ApiError):
    """No conversation at all, where some are known."""


class TooManyGone(ApiError):
    """More are gone upstream than may be marked without being asked."""


class Transient(ApiError):
    """Worth another try."""

    wait: float = 0.0
    """Seconds that the server asked to wait."""


class RateLimited(Transient):
    """Too many requests; `wait` is what `Retry-After` said, 0 where it said nothing."""


class Unreachable(Transient):
    """No connection, or one that broke."""


class BrokenReply(Transient):
    """A fault of the server, or a body that can't be read."""
