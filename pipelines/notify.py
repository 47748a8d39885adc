"""Tells somebody that unattended syncs fail, and that they go well again."""

import json
import shlex
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import certifi

from pipelines.settings import Settings

Send = Callable[[bytes], None]
_COMMAND_SECONDS = 30.0
_WEBHOOK_SECONDS = 10.0


class NotDelivered(Exception):
    """Why a notification did not arrive; never the webhook's address, which is a secret."""


def channels(settings: Settings) -> Mapping[str, Send]:
    """Return the configured ways of telling, by name."""
    found: dict[str, Send] = {}
    if settings.notify_command:
        found["command"] = partial(_run, settings.notify_command)
    if settings.notify_webhook:
        found["webhook"] = partial(_post, settings.notify_webhook.get_secret_value())
    return found


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return what is sent: JSON, a line."""
    return f"{json.dumps(document, ensure_ascii=False)}\n".encode(errors="backslashreplace")


def _run(command: str, body: bytes) -> None:
    """Run a command without a shell, the notification on its standard input."""
    try:
        # What it prints is no line of the log; what it complains of stays visible.
        done = subprocess.run(  # noqa: S603 - the user's own command
            shlex.split(command),
            input=body,
            stdout=subprocess.DEVNULL,
            timeout=_COMMAND_SECONDS,
            check=False,
            process_group=0,
        )
    except subprocess.TimeoutExpired:
        raise NotDelivered(f"it took longer than {_COMMAND_SECONDS:.0f} s") from None
    except OSError as error:
        raise NotDelivered(error.strerror or "it can't be run") from None
    if done.returncode:
        raise NotDelivered(f"it ended with {done.returncode}")


def _post(url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "convoy-etl"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - http or https, see settings
    try:
        _opener().open(request, timeout=_WEBHOOK_SECONDS).close()
    except urllib.error.HTTPError as error:
        error.close()
        raise NotDelivered(f"the server answers with HTTP {error.code}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NotDelivered(getattr(reason, "strerror", None) or type(reason).__name__) from None


def _opener() -> urllib.request.OpenerDirector:
    trusted = ssl.create_default_context()
    trusted.load_verify_locations(certifi.where())
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusted), _NoRedirects())


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would be followed without the body."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""
