"""The faults of a run, and the operator who changes members meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrix_raft.consensus.configuration import Configuration, Standing
from orchestrix_raft.consensus.entries import CONFIGURATION
from orchestrix_raft.consensus.port import Refused
from tests.simulation.raft.invariants import Violation
from tests.simulation.raft.node import RaftNode

if TYPE_CHECKING:
    from tests.simulation.raft.simulator import Simulation

MEMBERS_MAX = 6


class Faults:
    """Draws faults at the rates of the mix."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._wiped: set[str] = set()
        self._changes: list[list[bool | None]] = []

    def schedule(self) -> None:
        sim, mix = self._sim, self._sim.mix
        sim.every(mix.crash, self._crash)
        sim.every(mix.blackout, self._blackout)
        sim.every(mix.partition, self._partition)
        sim.every(mix.isolate, self._isolate)
        sim.every(mix.stall, self._stall)
        sim.every(mix.reconnect, lambda: self._cut_one(0.0))
        sim.every(mix.pause, self._pause)
        sim.every(mix.transfer, self._transfer)
        sim.every(mix.checkpoint * len(sim.nodes), self._checkpoint)
        sim.every(mix.admin, self._admin)
        sim.every(mix.wipe, self._wipe)

    def _some(self) -> str:
        """A node, preferably one that leads."""
        leaders = self._sim.leaders()
        if leaders and self._sim.random.random() < 0.4:
            return self._sim.random.choice(leaders).node_id
        return self._sim.random.choice(list(self._sim.nodes))

    def _duration(self) -> float:
        return self._sim.random.choice([0.2, 0.7, 1.5, 3.0]) * self._sim.random.uniform(0.6, 1.4)

    # -- machines --------------------------------------------------------------------------------
    def _crash(self) -> None:
        """At once, or in the middle of one of the next durable steps."""
        sim, node = self._sim, self._sim.nodes[self._some()]
        if not node.up or node.disk.fuse is not None:
            return
        if sim.random.random() < 0.3:
            sim.power_off(node.node_id)
        else:
            node.disk.torn = sim.random.random() < 0.7
            node.disk.fuse = sim.random.randint(0, 4)

    def _blackout(self) -> None:
        for node in self._sim.nodes.values():
            if node.up:
                self._sim.power_off(node.node_id)

    def _pause(self) -> None:
        self._sim.paused_until[self._some()] = self._sim.now + self._duration()

    def _checkpoint(self) -> None:
        sim = self._sim
        node = sim.nodes[sim.random.choice(list(sim.nodes))]
        if node.up and node.engine.applied_index > 1:
            sim._guard(node, lambda: self._save(node))

    def _save(self, node: RaftNode) -> None:
        node.checkpoint()

    def _transfer(self) -> None:
        for node in self._sim.leaders()[:1]:
            self._sim._guard(node, lambda: self._ask_transfer(node))  # noqa: B023

    def _ask_transfer(self, node: RaftNode) -> None:
        if not isinstance(node.engine.transfer(), Refused):
            self._sim.stats["transfers"] += 1

    # -- network ---------------------------------------------------------------------------------
    def _partition(self) -> None:
        sim = self._sim
        side = [i for i in sim.nodes if sim.random.random() < 0.5]
        duration = self._duration()
        for a in side:
            for b in sim.nodes:
                if b not in side:
                    sim.network.cut(a, b, duration)

    def _isolate(self) -> None:
        self.cut_off(self._some())

    def cut_off(self, node_id: str) -> None:
        duration = self._duration()
        for other in self._sim.nodes:
            if other != node_id:
                self._sim.network.cut(node_id, other, duration)

    def _stall(self) -> None:
        sim, a = self._sim, self._some()
        duration = self._duration()
        others = [i for i in sim.nodes if i != a]
        for b in others if sim.random.random() < 0.4 else others[:1]:
            x, y = (a, b) if sim.random.random() < 0.5 else (b, a)
            sim.network.stall(x, y, duration)

    def _cut_one(self, blocked_s: float) -> None:
        ids = list(self._sim.nodes)
        if len(ids) > 1:
            a, b = self._sim.random.sample(ids, 2)
            self._sim.network.cut(a, b, blocked_s)

    # -- members ---------------------------------------------------------------------------------
    def _admin(self) -> None:
        """An operator who adds and removes, at whoever seems to lead."""
        sim = self._sim
        for leader in sim.leaders()[:2]:
            for _ in range(sim.random.choice([1, 1, 2])):
                if leader.up:
                    self._ask_change(leader)

    def _ask_change(self, leader: RaftNode) -> None:
        sim, configuration = self._sim, leader.engine.configuration
        if configuration is None:
            return
        outside = [i for i in sim.nodes if i not in configuration.members]
        wiped = [i for i in configuration.members if self._lost_disk(i, configuration)]
        draw = sim.random.random()
        if wiped and draw < 0.7:
            change, node_id = "remove", sim.random.choice(wiped)
        elif outside and len(configuration.members) < MEMBERS_MAX and draw < 0.55:
            change, node_id = "add", sim.random.choice(outside)
        else:
            change, node_id = "remove", sim.random.choice([*configuration.members, leader.node_id])
        rest = [i for i in configuration.voters if i != node_id]
        if change == "remove" and 2 * sum(1 for i in rest if i in wiped) >= len(rest):
            return
        answers: list[bool | None] = []
        self._changes.append(answers)
        disk_id = sim.nodes[node_id].disk_id
        sim._guard(
            leader,
            lambda: leader.engine.change_membership(
                change, node_id, disk_id, lambda ok, _why: self._answered(answers, ok)
            ),
        )
        if leader.up and not answers and sim.random.random() < sim.mix.snipe:
            sim.after(sim.random.uniform(0.0, 0.004), lambda: self.cut_off(leader.node_id))

    def _answered(self, answers: list[bool | None], ok: bool | None) -> None:
        answers.append(ok)
        self._sim.stats[{True: "changes ok", False: "changes refused", None: "changes unknown"}[ok]] += 1

    def _lost_disk(self, node_id: str, configuration: Configuration) -> bool:
        return configuration.members[node_id].disk_id != self._sim.nodes[node_id].disk_id

    def _wipe(self) -> None:
        """A member loses its disk, as long as every configuration that may matter can do without it."""
        sim = self._sim
        node_id = sim.random.choice(list(sim.nodes))
        concerned = [c for c in self._configurations_that_matter() if node_id in c.members]
        for configuration in concerned:
            lost = [i for i in configuration.voters if i == node_id or self._lost_disk(i, configuration)]
            if 2 * (len(configuration.voters) - len(lost)) <= len(configuration.voters):
                return
        if not concerned or not sim.nodes[node_id].up:
            return
        sim.stats["wiped"] += 1
        sim.power_off(node_id, down_s=sim.random.choice([0.05, 0.5]))
        sim.nodes[node_id].wipe()

    def _configurations_that_matter(self) -> list[Configuration]:
        """The last committed one and whatever any log holds above it."""
        committed = self._sim.invariants.configurations[-1]
        found = [committed.configuration]
        for node in self._sim.nodes.values():
            for entry in [*node.disk._entries, *(node.journal._entries if node.up else [])]:
                if entry.index > committed.index and entry.data[:1] == CONFIGURATION:
                    found.append(Configuration.decode(entry.data))
        return [configuration for configuration in found if configuration is not None]

    def judge_members(self, leader: RaftNode) -> None:
        """At the end: everybody agrees on the members, and those who live have everything."""
        sim, configuration = self._sim, leader.engine.configuration
        assert configuration is not None
        if leader.node_id not in configuration.voters:
            raise Violation("REMOVED_LEADS", leader.node_id)
        if leader.engine._log.in_force.index > leader.engine.commit_index:
            raise Violation("CHANGE_STUCK", f"{configuration} is not committed")
        for node_id, member in configuration.members.items():
            node = sim.nodes[node_id]
            if member.disk_id != node.disk_id:
                continue
            if member.standing is Standing.STAGING:
                raise Violation("LEARNER_STUCK", f"{node_id} was never made a voter")
            if node.engine.applied_index < leader.engine.applied_index:
                raise Violation("LIVENESS", f"{node_id} lags at {node.engine.applied_index}")
            if node.engine.configuration != configuration:
                raise Violation("CONFIG_LAG", f"{node_id} has {node.engine.configuration}")
