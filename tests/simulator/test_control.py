"""The control API for other processes."""

import pytest

from pipelines.simulator import Simulator

from .client import Client


def test_state_advance_and_truth(client: Client, sim: Simulator) -> None:
    state = client.ask("/_sim/state").json
    assert state["bots"]["support"]["conversations"] == 250
    assert state["bots"]["website"]["key"] == "key-website"
    got = client.ask("/_sim/advance", method="POST", body={"seconds": 86400 * 9}).json
    assert got["now"] == "2026-01-10T00:00:00Z"
    assert len(sim.world.truth("gptbots", "support")) > 250
    truth = client.ask("/_sim/truth?api=gptbots&name=support").json
    assert truth == sim.world.truth("gptbots", "support")
    assert client.ask("/_sim/truth?api=okchat").json == sim.world.truth("okchat")


def test_knobs_and_faults(client: Client, sim: Simulator) -> None:
    body = {"order": "oldest_first", "latency": 0.01, "okchat_page_cap": 5}
    got = client.ask("/_sim/knobs", method="POST", body=body)
    assert (got.status, got.json.get("order")) == (200, "oldest_first"), got.raw
    assert (sim.knobs.latency, sim.knobs.okchat_page_cap) == (0.01, 5)
    client.ask("/_sim/faults", method="POST", body={"script": ["rate_limited"], "reset": 0.25})
    assert sim.faults.reset == 0.25
    assert client.gptbots().status == 429


def test_log(client: Client) -> None:
    client.gptbots(page_size=3)
    (logged,) = client.ask("/_sim/log").json
    assert (logged["bot"], logged["rows"], logged["status"]) == ("support", 3, 200)
    assert client.ask("/_sim/log", method="DELETE").status == 200
    assert client.ask("/_sim/log").json == []


def test_do(client: Client, sim: Simulator) -> None:
    def do(call: str, **args: object) -> object:
        got = client.ask("/_sim/do", method="POST", body={"call": call, "args": args})
        assert got.status == 200, got.raw
        return got.json["result"]

    do("add_bot", name="new", conversations=3)
    begun = do("begin", name="new", subject="by hand")
    do("chat", conversation_id=begun, cost_credit=1.25)
    do("settle", conversation_id=begun, cost=0.25)
    (row,) = (r for r in sim.world.truth("gptbots", "new") if r["conversation_id"] == begun)
    assert (row["subject"], str(row["cost_credit"])) == ("by hand", "1.5")
    do("edit", conversation_id=begun, subject=None)
    do("delete", conversation_id=begun)
    assert len(sim.world.truth("gptbots", "new")) == 3
    do("restore", conversation_id=begun)
    assert len(str(do("tie", name="new", n=4))) > 4
    do("revoke", name="new")
    assert client.gptbots("new").json["code"] == 40127
    do("remove_bot", name="new")
    do("add_chatbot", name="shop")
    assert client.okchat("shop").json == []


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("/_sim/advance", "POST", {}),
        ("/_sim/advance", "POST", {"seconds": -1}),
        ("/_sim/advance", "POST", {"seconds": "soon"}),
        ("/_sim/advance", "POST", [1]),
        ("/_sim/knobs", "POST", {"order": "sideways"}),
        ("/_sim/knobs", "POST", {"no_such_knob": 1}),
        ("/_sim/faults", "POST", {"script": ["flood"]}),
        ("/_sim/do", "POST", {"call": "warm"}),
        ("/_sim/do", "POST", {"call": "chat", "args": {"conversation_id": "none"}}),
        ("/_sim/do", "POST", {"call": "begin"}),
        ("/_sim/truth?api=nothing", "GET", None),
        ("/_sim/truth", "GET", None),
    ],
)
def test_bad_bodies_are_400(client: Client, path: str, method: str, body: object) -> None:
    assert client.ask(path, method=method, body=body).status == 400


def test_bad_json_is_400_and_unknown_is_404(client: Client) -> None:
    client.connection.request("POST", "/_sim/do", "{")
    answer = client.connection.getresponse()
    answer.read()
    assert answer.status == 400
    assert client.ask("/_sim/nothing").status == 404
    assert client.ask("/_sim/state", method="POST").status == 404
