"""Real cores over one shared log in one address space, under a clock that tests move."""

import random
from collections.abc import Mapping

from orchestrix_raft.consensus.port import Apply, Consensus, Restore
from orchestrix_raft.consensus.twin import TwinCluster, TwinNode
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.messages import Forward
from orchestrix_raft.coordinator.port import Done, Outcome
from orchestrix_raft.coordinator.settings import Clocks, CoreLimits, Identity
from orchestrix_raft.domain.session import CoordinatorMessage, Hello
from orchestrix_raft.machine.codec import encode_batch, unnumbered
from orchestrix_raft.machine.commands import Command, Enqueue
from orchestrix_raft.machine.rules import RULES, Rules
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.version import MACHINE_LEVEL
from tests.scenarios.driver import WALL_START_MS, job, key


class Told:
    """What a caller or a worker heard."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.fresh: list[bool] = []
        self.messages: list[CoordinatorMessage] = []


class Cores:
    """Nodes n1, n2, ... of one cluster; n1 leads."""

    def __init__(
        self, count: int = 1, limits: CoreLimits | None = None, rules: Mapping[str, Rules] | None = None
    ) -> None:
        self.now = 50.0
        names = [f"n{number + 1}" for number in range(count)]
        self.cluster = TwinCluster(lambda: self.now, {name: f"disk-{name}" for name in names})
        self.disks = {name: MemoryDisk(f"disk-{name}") for name in names}
        self.cut: set[str] = set()  # nodes whose messages are lost
        self.limits = limits or CoreLimits()
        self.rules = rules or {}  # of nodes that run another version
        self.cores = {name: self._make(name) for name in names}
        self.cluster.elect("n1")
        for name in names:
            for other in names:
                if name != other:
                    self.cores[name].connected(other, f"disk-{other}")
        # one quarter to form, and one for each machine level that all can run: tests begin when that is over
        self.run(0.25 * MACHINE_LEVEL)

    def __getitem__(self, name: str) -> Core:
        return self.cores[name]

    def _make(self, name: str) -> Core:
        disk = self.disks[name]

        def make(apply: Apply, restore: Restore) -> Consensus:
            return TwinNode(self.cluster, name, apply)

        clocks = Clocks(lambda: self.now, lambda: WALL_START_MS + int(self.now * 1000))
        identity = Identity(
            name, f"{name}:7400", "1", random.Random(name).randbytes(16), disk_id=f"disk-{name}"
        )
        store, local = disk.open_state_store(), disk.open_local_store()
        servers = (f"{name}:7400",)
        rng, rules = random.Random(name), self.rules.get(name, RULES)
        return Core(identity, clocks, self.limits, store, local, make, rng, lambda: servers, rules)

    def run(self, seconds: float = 0.0) -> None:
        """Let time pass in quarters of a second; after each, everything that can happen happens."""
        self._settle()
        for _ in range(int(seconds * 4)):
            self.now += 0.25
            self._settle()

    def _settle(self) -> None:
        busy = True
        for _ in range(200):
            busy = False
            for name, core in self.cores.items():
                busy = core.step() or bool(core.outbox) or busy
                outbox, core.outbox = core.outbox, []
                for peer, message in outbox:
                    if peer in self.cores and not {name, peer} & self.cut:
                        self.cores[peer].receive(name, message)
            if not busy and all(
                c.consensus.applied_index == self.cluster.commit_index for c in self.cores.values()
            ):
                return
        assert self.cluster.hold_commits or not busy, "the nodes do not come to rest"

    def checkpoint(self, name: str) -> None:
        """Carry out the disk work of a node."""
        core = self.cores[name]
        for work in core.disk_work:
            core.replica.checkpoints.write(work)
            core.checkpoint_done(work)
        core.disk_work.clear()

    def submit(self, name: str, command: Command) -> Told:
        told = Told()
        self.cores[name].submit(command, told.outcomes.append)
        return told

    def worker(self, name: str, session: str, capacity: int = 1) -> Told:
        """A worker's stream at a node."""
        told = Told()
        hello = Hello(key(session), session, ("default",), capacity, (), 0, ())
        self.cores[name].open_session(hello, told.messages.append)
        return told


def enqueue(*names: str) -> Command:
    return Enqueue(tuple(job(name) for name in names))


def applied_at(told: Told) -> int:
    (outcome,) = told.outcomes
    assert isinstance(outcome, Done), outcome
    return outcome.index


def health_of(cores: Cores) -> dict[str, str]:
    return {node_id: node.health.word for node_id, node in cores["n1"].state.nodes.items()}


def unnumbered_from(cores: Cores, command: Command) -> None:
    """As if a duty (or an old message) had brought a command to the leader."""
    assert cores.cluster.leader_id is not None
    leader = cores[cores.cluster.leader_id]
    leader.receive("n2", Forward((encode_batch(unnumbered(command)),)))
