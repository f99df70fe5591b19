"""One change of the members of a small cluster, told step by step, so that a node can be hurt at any of them.

A *step* is a message between nodes that arrives, or a durable step of a disk.  An undisturbed run counts them
from the moment the change is asked for until everybody knows that it is made.  The same world, begun again,
comes to the same steps; at one of them a node then loses its process or its power, and what becomes of the
change is judged:

- it is made, or nobody knows anything of it, and what the operator was told is true;
- all agree on the members, everybody who counts votes, and nobody else does;
- every job that was acknowledged is held by every node (and at every entry all states are equal);
- asked for again the change is made, and so is another one.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from orchestrix_raft.consensus.configuration import Configuration, Member, Placed, Standing
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.coordinator.beats import BeatLimits
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome
from orchestrix_raft.coordinator.settings import CoreLimits
from orchestrix_raft.domain.job import JobSpec
from orchestrix_raft.domain.node import Health
from orchestrix_raft.duties.health import VerdictAfter
from orchestrix_raft.duties.retention import Keep
from orchestrix_raft.machine.invariants import check
from orchestrix_raft.simulation.checks import Checker
from orchestrix_raft.simulation.clients import SimClient
from orchestrix_raft.simulation.network import Network, Pipe
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.world import START_WALL_MS, World
from orchestrix_raft.storage.memory import DiskGone
from tests.simulation.joining import Joining

ASK_AT_S: Final = 3.0  # by then the cluster works, and its log no longer begins at its beginning
LOOK_S: Final = 0.05
ENQUEUE_S: Final = 0.1
REST_S: Final = 30.0  # an interrupted change must have come to an end by then
ASK_AGAIN_S: Final = 2.0
LIMITS: Final = CoreLimits(checkpoint_s=0.5, beats=BeatLimits(1.0, verdict=VerdictAfter(2_000, 3_000)))
OPTIONS: Final = Options(tail_entries=10, chunk_bytes=2_000)
"""A newcomer needs a snapshot, of several chunks."""


class Change(NamedTuple):
    """What is asked for.  plan: (add or remove, whom), each when the one before is made; whom is the name of
    a node, `leader`, `follower`, or `lost`: a machine that is gone for good."""

    founders: int
    plan: tuple[tuple[str, str], ...]
    loses: bool = False
    joins: bool = False  # the new node asks by itself, as with --join


CHANGES: Final = {
    "add the second": Change(1, (("add", "n2"),)),
    "add the fourth": Change(3, (("add", "n4"),)),
    "join": Change(3, (("add", "n4"),), joins=True),
    "remove a follower": Change(4, (("remove", "follower"),)),
    "remove the leader": Change(3, (("remove", "leader"),)),
    "replace a dead one": Change(3, (("remove", "lost"), ("add", "n4")), loses=True),
}


class Hurt(NamedTuple):
    """Who dies when.  how: `process` or `power`, before message number `step` arrives; `torn` or `stored`, in
    durable step number `step` of its own disk, which is then lost, or stored without its knowing."""

    name: str
    how: str
    step: int


DOWN_S: Final = {"process": 1.6, "power": 0.2}
"""Until it is started again: long enough for another leader, and not."""


class Broken(AssertionError):
    """A promise that was not kept."""


class _Client(SimClient):
    """Plain jobs that nobody runs."""

    def _spec(self) -> JobSpec:
        stamp = START_WALL_MS + int(self.world.now * 1000)
        return JobSpec(stamp.to_bytes(6, "big") + self.rng.randbytes(10), "work", "parked", b'{"n": 1}')


class _Node(SimNode):
    """Says when something arrives from another node."""

    arrives: Callable[[], None]
    burnt = False  # it died in the middle of a durable step

    def received(self, pipe: Pipe, payload: object) -> None:
        self.arrives()
        super().received(pipe, payload)

    def crash(self, power: bool = True) -> None:
        self.burnt = self.burnt or self.disk.gone
        super().crash(power)


class Story:
    """One world; `run` to the end.  `hurt` None: undisturbed, and then `steps` tells what can be hurt."""

    def __init__(self, change: Change, hurt: Hurt | None, seed: int = 0) -> None:
        self.world = World(seed)
        self.steps: Counter[tuple[str, str]] = Counter()  # (node, how) -> how many
        self.made = False  # by the first asking
        self._died = False
        self._change, self._hurt = change, hurt
        self._network = Network(self.world)
        self._checker = Checker(self.world, [], Keep())
        self._cluster: dict[str, _Node] = {}
        self._everybody: dict[str, SimNode] = {}
        self.nodes: list[SimNode] = []
        self._watching = False
        self._arrived = 0
        self._outcomes: list[Outcome] = []
        names = [f"n{number}" for number in range(1, change.founders + 1)]
        members = {name: Member(Standing.VOTER, f"disk-{name}") for name in names}
        for name in names:
            self._make(name, Configuration(members))
        for _, name in (*change.plan, ("add", "n9")):
            if name.startswith("n") and name not in self._cluster:
                self._make(name, None)
        self._client = _Client(
            self.world, "c1", self.nodes, [], self._checker.violation, lambda job_id: False
        )
        self._loading = True
        self._before: Placed = Placed(0, None)

    def _make(self, name: str, founding: Configuration | None) -> None:
        node = _Node(
            self.world,
            self._network,
            name,
            f"disk-{name}",
            founding,
            LIMITS,
            OPTIONS,
            self._checker.applied,
        )
        node.arrives = self._arrives
        node.cluster = self._everybody
        self._cluster[name] = self._everybody[name] = node
        self.nodes.append(node)

    # ---- the course of it ----------------------------------------------------------------------------

    def run(self) -> None:
        """Broken or Violation if a promise is not kept."""
        self._begin()
        plan = [(change, self._who(whom)) for change, whom in self._change.plan]
        durable = {name: node.disk.steps for name, node in self._cluster.items()}
        self._watch()
        self._ask_for(*plan[0])
        if self._hurt is None:
            self._pursue(plan)
            self.world.run_until(self.world.now + 0.3)
            self._count(durable)
            self._watching = False
        else:
            self._until(lambda: self.met or self._is_made(*plan[-1]), 3.0)
            self._pursue(plan[1:] if self._is_made(*plan[0]) else [])
            self.world.run_until(self.world.now + 1.0)
            if not self.met:
                return
        self._loading = False
        self._come_to_rest()
        self._judge_answer(*plan[0])
        self._pursue(plan)
        self._pursue([("add", "n9")])
        self._client.enqueue(1)
        self._come_to_rest()
        self._judge_state()

    def _begin(self) -> None:
        for node in self.nodes:
            node.start()
        self._load()
        self._tell_waiting()
        self.world.run_until(ASK_AT_S)
        if self._change.loses:
            lost = self._followers()[0]
            lost.crash()
            lost.lost = True
            self.world.run_until(ASK_AT_S + 1.0)
        if not self._client.acknowledged:
            raise Broken("nothing was acknowledged before the change")
        leader = self._leader()
        if leader.core is None or leader.core.consensus.first_index < 2:
            raise Broken("the log was not shortened before the change")
        self._before = leader.core.consensus.settled

    def _watch(self) -> None:
        """From now on steps count, and one of them may hurt."""
        self._watching = True
        hurt = self._hurt
        if hurt is not None and hurt.how in ("torn", "stored"):
            disk = self._cluster[hurt.name].disk
            disk.fuse, disk.torn = hurt.step, hurt.how == "torn"

    def _count(self, durable: dict[str, int]) -> None:
        for name, node in self._cluster.items():
            if name == "n9" or node.lost:
                continue
            for how in DOWN_S:
                self.steps[name, how] = self._arrived
            for how in ("torn", "stored"):
                self.steps[name, how] = node.disk.steps - durable[name]

    def _arrives(self) -> None:
        if not self._watching:
            return
        hurt = self._hurt
        if hurt is not None and hurt.how in DOWN_S and hurt.step == self._arrived:
            node = self._cluster[hurt.name]
            self._died = node.up
            node.crash(power=hurt.how == "power")
            self.world.after(DOWN_S[hurt.how], node.start)
        self._arrived += 1

    def _until(self, there: Callable[[], bool], at_most_s: float) -> bool:
        end = self.world.now + at_most_s
        while not there():
            if self.world.now >= end:
                return False
            self.world.run_until(self.world.now + LOOK_S)
        return True

    @property
    def met(self) -> bool:
        """Whoever was to be hurt is."""
        return self._died or any(node.burnt for node in self._cluster.values())

    # ---- who -----------------------------------------------------------------------------------------

    def _leader(self) -> SimNode:
        leaders = [node for node in self.nodes if node.leads]
        if len(leaders) != 1:
            raise Broken(f"{len(leaders)} leaders in calm time")
        return leaders[0]

    def _followers(self) -> list[SimNode]:
        return [node for node in self.nodes if node.counts and node.up and not node.leads]

    def _who(self, whom: str) -> str:
        match whom:
            case "leader":
                return self._leader().name
            case "follower":
                return self._followers()[0].name
            case "lost":
                return next(node.name for node in self.nodes if node.lost)
            case _:
                return whom

    # ---- the operator, the client, the machine that is told ------------------------------------------

    def _load(self) -> None:
        if self._loading:
            self._client.enqueue(1)
            self.world.after(ENQUEUE_S, self._load)

    def _tell_waiting(self) -> None:
        """A node that waits to be added learns of it from any member that knows."""
        for waiting in self.nodes:
            disk_id = waiting.disk.identity.disk_id
            for node in self.nodes:
                if node.core is None or waiting.added:
                    continue
                index, configuration = node.core.consensus.settled
                if configuration is not None and configuration.lists(waiting.name, disk_id):
                    self._told(waiting, index)
        self.world.after(LOOK_S, self._tell_waiting)

    def _told(self, waiting: SimNode, index: int) -> None:
        """It may die in the middle of its first steps; somebody starts it again."""
        try:
            waiting.disk.set_joined("c", index, {})
            waiting.start()
        except DiskGone:
            self._died = True
            waiting.disk.crash()
            self.world.after(DOWN_S["power"], waiting.start)

    def _ask_for(self, change: str, name: str) -> None:
        """At a follower that it does not concern, if there is one."""
        if self._change.joins and name != "n9":
            Joining(self.world, self.nodes, self._cluster[name]).begin()
            return
        asked = next((node for node in self._followers() if node.name != name), None) or self._leader()
        core = asked.core
        if core is None:
            raise Broken("nobody to ask")
        disk_id = self._cluster[name].disk.identity.disk_id if change == "add" else ""
        self._ask_at(asked, core, change, name, disk_id)

    def _ask_at(self, node: SimNode, core: Core, change: str, name: str, disk_id: str) -> None:
        node.act(lambda: core.members.ask(change, name, disk_id, core.now, self._outcomes.append))
        node.poke()

    def _pursue(self, plan: list[tuple[str, str]]) -> None:
        """Ask until all of it is made."""
        for change, name in plan:
            end = self.world.now + REST_S
            while not self._until(lambda c=change, n=name: self._is_made(c, n), ASK_AGAIN_S):  # type: ignore[misc]
                if self.world.now > end:
                    raise Broken(f"{change} {name} is not made, however often it is asked for")
                if sum(node.leads for node in self.nodes) == 1:
                    self._ask_for(change, name)

    # ---- judging -------------------------------------------------------------------------------------

    def _settled(self) -> Placed:
        """The newest committed configuration that a process knows."""
        known = [node.core.consensus.settled for node in self.nodes if node.core is not None]
        return max(known, key=lambda one: one.index, default=self._before)

    def _is_made(self, change: str, name: str) -> bool:
        configuration = self._settled().configuration
        member = configuration.members.get(name) if configuration else None
        if change == "add":
            return member is not None and member.standing is Standing.VOTER
        return configuration is not None and member is None

    def _come_to_rest(self) -> None:
        if not self._until(lambda: not self._unrest(), REST_S):
            raise Broken(f"not at rest: {self._unrest()}")

    def _unrest(self) -> str:
        """What is still under way; "" when nothing is."""
        counting = [node for node in self.nodes if node.counts]
        cores = [node.core for node in counting if node.core is not None]
        if len(cores) != len(counting) or sum(core.leading for core in cores) != 1:
            return "somebody is down, or nobody leads"
        if not self._client.idle or len({core.consensus.applied_index for core in cores}) != 1:
            return "not everything is applied everywhere"
        configuration = cores[0].consensus.settled.configuration
        if configuration is None:
            return "no members are known"
        for core in cores:
            if core.consensus.settled != cores[0].consensus.settled or (
                core.consensus.in_force != core.consensus.settled
            ):
                return f"{core.identity.node_id} knows {core.consensus.in_force}, others {configuration}"
        lost = {node.name for node in self.nodes if node.lost} & set(configuration.members)
        names = {node.name for node in counting}
        if set(configuration.members) != names | lost or set(configuration.voters) != names | lost:
            return f"{configuration} for {sorted(names)}"
        known = self._checker.shadow.state.nodes
        alive = {name for name, node in known.items() if node.health is Health.ALIVE}
        if set(known) != names | lost or alive != names:
            return f"the state knows {known}"
        return ""

    def _judge_answer(self, change: str, name: str) -> None:
        """The first request was answered truly, or not at all."""
        self.made = self._is_made(change, name)
        first = self._outcomes[0] if self._outcomes else None
        if isinstance(first, Done) and not self.made:
            raise Broken(f"{change} {name} was answered as done and is not")
        if isinstance(first, NotApplied) and self.made and len(self._outcomes) == 1:
            raise Broken(f"{change} {name} was answered as not applied ({first}) and is made")

    def _judge_state(self) -> None:
        check(self._checker.shadow)
        shadow = self._checker.shadow.state.digest
        for node in self.nodes:
            if not node.counts or node.core is None:
                continue
            if node.core.state.digest != shadow:
                raise Broken(f"{node.name} ends with another digest")
            for job_id in self._client.acknowledged:
                if node.core.replica.job(job_id) is None:
                    raise Broken(f"{node.name} lost the acknowledged job {job_id.hex()}")
