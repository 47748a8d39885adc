"""The world over HTTP, for other processes: everything under `/_sim/`."""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import msgspec

from pipelines.simulator.conversation import from_json, to_json
from pipelines.simulator.service import Service
from pipelines.simulator.wire import Answer, Request

ROOT = "/_sim/"
_CALLS = (
    "add_bot",
    "add_chatbot",
    "begin",
    "chat",
    "delete",
    "edit",
    "remove_bot",
    "restore",
    "reword",
    "revoke",
    "settle",
    "tie",
)
_BAD = (TypeError, ValueError, KeyError, msgspec.DecodeError, ArithmeticError)


def answer(service: Service, request: Request) -> Answer:
    """Answer a request to `/_sim/…`: 404 for an unknown one, 400 for a body that doesn't fit."""
    respond = _ENDPOINTS.get((request.method, request.path.removeprefix(ROOT)))
    if respond is None:
        return Answer(404, to_json({"error": f"no {request.method} {request.path}"}))
    try:
        body = from_json(request.body) if request.body else {}
        with service.world.lock:
            return Answer(200, to_json(respond(service, {**request.params, **body})))
    except _BAD as error:
        return Answer(400, to_json({"error": f"{type(error).__name__}: {error}"}))


def state(service: Service, _: dict[str, Any]) -> object:
    """`GET state`: now, and for each bot and chatbot its api, id, key and count."""
    world = service.world
    accounts = {
        name: {
            "api": account.api,
            "id": account.id,
            "key": account.key,
            "conversations": len(account.timeline.rows()),
            "revoked": account.revoked,
            "removed": account.removed,
        }
        for name, account in world.accounts.items()
    }
    return {"now": world.now, "seed": world.seed, "requests": len(service.logged), "bots": accounts}


def advance(service: Service, asked: dict[str, Any]) -> object:
    """`POST advance {"seconds": n, "activity": true}`: time goes on."""
    step = timedelta(seconds=float(asked["seconds"]))
    service.world.advance(step, activity=asked.get("activity", True))
    return {"now": service.world.now}


def knobs(service: Service, asked: dict[str, Any]) -> object:
    """`POST knobs {name: value…}`: change some knobs; answers all of them."""
    service.knobs = replace(service.knobs, **_floats(asked))
    return asdict(service.knobs)


def faults(service: Service, asked: dict[str, Any]) -> object:
    """`POST faults {name: value…}`: change some faults and begin the chances anew."""
    service.faults = replace(service.faults, **_floats(asked))
    return asdict(service.faults)


def log(service: Service, _: dict[str, Any]) -> object:
    """`GET log`: every request since the log was cleared, as in `Logged`."""
    return list(service.logged)


def clear_log(service: Service, _: dict[str, Any]) -> object:
    """`DELETE log`: forget the requests."""
    service.logged.clear()
    return {}


def truth(service: Service, asked: dict[str, Any]) -> object:
    """`GET truth?api=gptbots&name=support`: the rows; all of the API's without a name."""
    if asked["api"] not in ("gptbots", "okchat"):
        msg = "api must be gptbots or okchat"
        raise ValueError(msg)
    return service.world.truth(asked["api"], asked.get("name"))


def do(service: Service, asked: dict[str, Any]) -> object:
    """`POST do {"call": "chat", "args": {…}}`: call a method of the world by its arguments."""
    if asked["call"] not in _CALLS:
        msg = f"call must be one of {', '.join(_CALLS)}"
        raise ValueError(msg)
    return {"result": getattr(service.world, asked["call"])(**asked.get("args", {}))}


def _floats(asked: dict[str, Any]) -> dict[str, Any]:
    """Turn JSON's exact decimals into the floats that knobs and faults are made of."""
    decimal = msgspec.json.decode(to_json(asked))
    return dict(decimal)


_ENDPOINTS: dict[tuple[str, str], Callable[[Service, dict[str, Any]], object]] = {
    ("GET", "state"): state,
    ("POST", "advance"): advance,
    ("POST", "knobs"): knobs,
    ("POST", "faults"): faults,
    ("GET", "log"): log,
    ("DELETE", "log"): clear_log,
    ("GET", "truth"): truth,
    ("POST", "do"): do,
}
