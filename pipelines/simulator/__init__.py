"""Both chatbot APIs in one process on loopback, with a seeded world, knobs and faults."""

from pipelines.simulator.conversation import ABSENT
from pipelines.simulator.faults import Faults
from pipelines.simulator.knobs import Knobs
from pipelines.simulator.log import Logged
from pipelines.simulator.server import Simulator, serve
from pipelines.simulator.wire import Request
from pipelines.simulator.world import World

__all__ = ["ABSENT", "Faults", "Knobs", "Logged", "Request", "Simulator", "World", "serve"]
