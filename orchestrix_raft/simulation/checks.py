"""What must hold, looked at after every entry and at the end.

A *shadow* machine applies every committed entry once and never stops; every node must agree with it
at every index, however often it crashed, was rebuilt from a checkpoint or took over a snapshot.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.domain.job import TERMINAL, AttemptState, JobState
from orchestrix_raft.domain.node import OVER, Health
from orchestrix_raft.duties.retention import Keep
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.codec import decode_batch, decode_entry, encode_record
from orchestrix_raft.machine.commands import Batch, CloseSession
from orchestrix_raft.machine.events import (
    AttemptEnded,
    Event,
    JobAssigned,
    JobCompleted,
    JobEnqueued,
    JobReleased,
    JobRetried,
    NodeHealthSet,
    NodeJoined,
    NodeRemoved,
    SessionEnded,
)
from orchestrix_raft.machine.invariants import check
from orchestrix_raft.machine.levels import level_record
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.port import Resolved
from orchestrix_raft.machine.rules import RULES
from orchestrix_raft.simulation.clients import SimClient
from orchestrix_raft.simulation.comparing import Comparing
from orchestrix_raft.simulation.drains import OwnershipWatch
from orchestrix_raft.simulation.feeds import FeedWatch
from orchestrix_raft.simulation.histories import SimHistory
from orchestrix_raft.simulation.limits_watch import LimitsWatch
from orchestrix_raft.simulation.lives import Lives
from orchestrix_raft.simulation.mixes import GENTLE, MIXES
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.slots import SlotLedger
from orchestrix_raft.simulation.story import LEADS
from orchestrix_raft.simulation.unique_watch import UniqueWatch
from orchestrix_raft.simulation.versions import NEW, VersionWatch
from orchestrix_raft.simulation.workers import SimWorker
from orchestrix_raft.simulation.world import World

CHECK_EVERY = 32  # entries between two looks at the whole state
SLOT_LATE_MS = 2_000  # by then a leader without faults has decided a slot
CALM_S = 45.0  # a worker left alone for this long must not lose its session


def fingerprint(machine: Machine) -> bytes:
    """A hash of everything the state holds: equal for two machines that will decide alike."""
    mark = hashlib.blake2b(machine.core_record(), digest_size=16)
    state = machine.state
    mark.update(encode_record(state.audit))
    mark.update(level_record(state))
    tables: tuple[Mapping[Any, object], ...] = (
        state.jobs,
        state.sessions,
        state.nodes,
        state.limited,
        state.key_windows,
        state.unique_windows,
        state.schedules,
    )
    for entities in tables:
        mark.update(encode_record([entities[key] for key in sorted(entities)]))
    return mark.digest()


class Violation(Exception):
    """A promise is broken.  The message says which; the seed says how."""


def broken_promise(error: BaseException) -> Violation | None:
    """The violation itself, also when the node in which it was noticed took it for a fault of its own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, Violation):
        cause = cause.__cause__
    return cause


class Checker:
    """Sees every application on every node."""

    def __init__(
        self, world: World, workers: list[SimWorker], keep: Keep, mix: str = "", rest_s: float = 0.0
    ) -> None:
        self.world = world
        self._calm, self._gentle = mix == "calm", mix in GENTLE
        self.workers = workers
        history = MemoryStore()
        self.shadow = Machine(history, history, NEW if mix in MIXES and MIXES[mix].upgrade else RULES)
        self.losses = 0
        self.entries = 0
        self.repeats = 0  # commands in the log a second time
        self.leaders: dict[int, str] = {}
        self.hindered_at = 0.0  # the newest fault that can cost a session
        self.slots = SlotLedger(self.violation)
        self.limits = LimitsWatch()
        self.history = SimHistory(world)
        self.ownership = OwnershipWatch(world, self.violation, self._gentle, rest_s)
        self.feeds = FeedWatch(self.violation)
        self.comparing = Comparing(world, history, self.violation)
        self._unique = UniqueWatch()
        self._committed: dict[int, tuple[int, bytes]] = {}  # term and bytes of every entry
        self._digests: dict[int, bytes] = {}
        self._print = (0, b"")  # index, the shadow's fingerprint there
        self._newest_token: dict[bytes, int] = {}
        self._holder: dict[int, bytes] = {}  # token -> the session that was given it
        self._leaving: set[bytes] = set()  # sessions whose worker says goodbye in the entry that is applied:
        # with it goes what the worker was given and never heard of
        self._completed: set[bytes] = set()
        self._origins: dict[str, int] = {}  # node -> its living incarnation
        self._sequences: Counter[str] = Counter()  # node -> its newest command
        self.versions = VersionWatch(self.violation, self.shadow)
        self._lives = Lives(self.violation, self.shadow, keep, self._calm)

    def violation(self, what: str) -> None:
        """Stop the run."""
        raise Violation(f"seed {self.world.seed} at {self.world.now:.3f} s: {what}")

    # ---- at every application ------------------------------------------------------------------------

    def applied(self, node: SimNode, index: int, term: int, data: bytes) -> None:
        """A node has just applied an entry."""
        known = self._committed.get(index)
        if known is None:
            if self._committed and index <= self.shadow.state.index:
                self.violation(f"{node.name} applied {index}, which nobody applied before a later entry")
            self._committed[index] = (term, data)
            self._advance(node, index, term, data)
        elif known != (term, data):
            self.violation(f"{node.name} applied another entry at {index} than was committed")
        core = node.core
        if core is not None:
            self.versions.applied(core, index)
        if core is not None and core.state.digest != self._digests[index]:
            self.violation(f"{node.name} has another state at {index} (start {node.starts})")
        due = index % CHECK_EVERY == 0 and index == self.shadow.state.index
        if core is not None and due and fingerprint(core.replica.machine) != self._shadow_print(index):
            self.violation(f"{node.name} differs from the machine that never stopped at {index}")

    def _advance(self, node: SimNode, index: int, term: int, data: bytes) -> None:
        self.entries += 1
        self.leading(node)
        entry = decode_entry(data)
        batches = [decode_batch(raw) for raw in entry.batches]
        self._count_repeats(batches)
        self._lives.next_entry(batches)
        self.ownership.next_entry(batches)
        commands = (command for batch in batches for command in batch.commands)
        self._leaving = {one.session_id for one in commands if isinstance(one, CloseSession)}
        result = self.shadow.apply(index, term, entry)
        self._digests[index] = self.shadow.state.digest
        elapsed_ms = self.shadow.state.elapsed_ms
        self.feeds.entry(index, elapsed_ms, result)
        if self.shadow.state.marked == index:
            self.comparing.marked(index)
        if result.faults:
            self.violation(f"an unexpected exception in decide: {result.faults}")
        for resolved in result.resolved:
            self._resolved(resolved)
        self.slots.entry(self.shadow.state.wall_ms, result.events)
        self.history.entry(index, elapsed_ms, self.shadow.state.wall_ms, result.events)
        for event in result.events:
            self._event(event)
            fault = self.limits.see(event, elapsed_ms) or self._unique.see(event, elapsed_ms)
            if fault:
                self.violation(fault)
            self._lives.event(event)
            self.ownership.see(event, self.shadow.state)
        if node.core is not None:
            self.versions.entry(node.core, result.events)
        if self.world.story is not None:
            self.world.story.entry(self.world.now, node.name, index, term, result.events)
        if index % CHECK_EVERY == 0:
            check(self.shadow)

    def _shadow_print(self, index: int) -> bytes:
        """Of the machine that never stopped, which stands at this index; made once for all nodes."""
        if self._print[0] != index:
            self._print = (index, fingerprint(self.shadow))
        return self._print[1]

    def _resolved(self, resolved: Resolved) -> None:
        """An origin's commands count once, in order, and only while its incarnation lives."""
        name = f"command {resolved.sequence} of {resolved.node_id} under {resolved.incarnation}"
        if self._origins.get(resolved.node_id) != resolved.incarnation:
            self.violation(f"{name} was applied although that incarnation was over")
        if resolved.sequence != self._sequences[resolved.node_id] + 1:
            self.violation(f"{name} was applied after {self._sequences[resolved.node_id]}")
        self._sequences[resolved.node_id] = resolved.sequence

    def _count_repeats(self, batches: list[Batch]) -> None:
        """Commands that are in the log again: harmless, but without faults there should be none."""
        for batch in batches:
            node = self.shadow.state.nodes.get(batch.node_id)
            if node is not None and node.incarnation == batch.incarnation and batch.first <= node.sequence:
                self.repeats += node.sequence + 1 - batch.first

    def _event(self, event: Event) -> None:
        match event:
            case JobEnqueued():
                if event.spec.job_id in self._newest_token:
                    self.violation(f"job {event.spec.job_id.hex()} was enqueued twice")
                self._newest_token[event.spec.job_id] = 0
            case JobAssigned():
                if not event.node_id:
                    self.violation(f"job {event.job_id.hex()} was given to a detached session")
                if event.token <= self._newest_token[event.job_id]:
                    self.violation(f"job {event.job_id.hex()} got token {event.token} after a newer one")
                self._newest_token[event.job_id] = event.token
                self._holder[event.token] = event.session_id
            case JobCompleted():
                if event.token != self._newest_token[event.job_id]:
                    self.violation(f"job {event.job_id.hex()} completed by an old token")
                if event.job_id in self._completed:
                    self.violation(f"job {event.job_id.hex()} was completed twice")
                if not any(event.token in worker.ended for worker in self.workers):
                    self.violation(f"token {event.token} was completed before its handler was done")
                self._completed.add(event.job_id)
            case NodeJoined():
                self._origins[event.node_id] = event.incarnation
                self._sequences[event.node_id] = 0
            case NodeHealthSet():
                if event.health in OVER:
                    del self._origins[event.node_id]
            case NodeRemoved():
                self._origins.pop(event.node_id, None)
            case JobReleased():
                if self._gentle:
                    self.violation(f"job {event.job_id.hex()} was given back although no worker left")
            case JobRetried():
                self._completed.discard(event.job_id)
            case AttemptEnded():
                self.losses += event.state is AttemptState.LOST
                told = any(event.token in worker.ended for worker in self.workers)
                if event.reported and not told and self._holder[event.token] not in self._leaving:
                    self.violation(f"token {event.token} was ended by a report that nobody made")
                if self._gentle and event.state is AttemptState.LOST:
                    self.violation(f"an attempt of job {event.job_id.hex()} was lost for no reason")
            case SessionEnded():
                self._session_ended(event)
            case _:
                pass

    def _session_ended(self, event: SessionEnded) -> None:
        if not event.expired:
            return
        for worker in self.workers:
            if worker.alive and worker.session_id == event.session_id:
                if worker.running:
                    self.violation(f"{worker.name} still runs handlers of a session that has just expired")
                calm = self.world.now - max(worker.troubled_at, self.hindered_at)
                if calm > CALM_S:
                    self.violation(
                        f"{worker.name} lost its session although nothing hindered it for {calm:.0f} s"
                    )

    def gone(self, job_id: bytes) -> bool:
        """Whether a job was forgotten."""
        return self._lives.gone(job_id)

    def leading(self, node: SimNode) -> None:
        """Election safety: one leader a term."""
        if node.core is not None and node.leads:
            term = node.core.consensus.term
            if term not in self.leaders:
                self.world.tell(f"{node.name} leads term {term}", LEADS)
            if self.leaders.setdefault(term, node.name) != node.name:
                self.violation(f"{node.name} and {self.leaders[term]} both lead term {term}")

    # ---- at the end ----------------------------------------------------------------------------------

    def slots_left_over(self, nodes: list[SimNode]) -> str:
        """A slot whose time has come, by the leader's clock, and that is still to be decided."""
        leaders = [node.core for node in nodes if node.core is not None and node.core.leading]
        if len(leaders) != 1:
            return "no single leader"
        return self.slots.left_over(leaders[0].wall_ms, SLOT_LATE_MS)

    def settled(self, nodes: list[SimNode], clients: list[SimClient]) -> str:
        """What is still missing before the world is at rest; "" when it is."""
        nodes = [node for node in nodes if node.counts]
        if sum(node.leads for node in nodes) != 1:
            return "no single leader"
        positions = {node.core.consensus.applied_index if node.core else -1 for node in nodes}
        if len(positions) != 1:
            return f"nodes applied up to {sorted(positions)}"
        if not all(client.idle for client in clients):
            return "a client waits for an answer"
        alive = list(self.shadow.state.jobs.values())
        if alive:
            return f"{len(alive)} jobs are not finished, e.g. {alive[0]}"
        for worker in self.workers:
            if worker.busy:
                return f"{worker.name} has handlers that run or results that are not acknowledged"
        return self._left_over(nodes)

    def _left_over(self, nodes: list[SimNode]) -> str:
        """Whatever would pile up in the course of years."""
        by_name = {node.name: node.core for node in nodes}
        for session in self.shadow.state.sessions.values():
            owner = by_name.get(session.node_id)
            if owner is not None and not owner.hub.holds(session.session_id):
                return f"session {session.name} is attached to {session.node_id}, which has no stream of it"
            if owner is None or session.slots:
                return f"session {session} is detached or holds slots"
        for node in nodes:
            core = node.core
            if core is None or core.proposer.backlog or core.reads.waiting or len(core.watches):
                return f"something waits at {node.name}"
            health = self.shadow.state.nodes[node.name].health
            if health is not Health.ALIVE:
                return f"{node.name} runs and counts as {health.word}"
        if self._lives.too_many():
            return "more is kept than may be"
        return self.ownership.left_over(self.shadow.state) or self.versions.left_over(
            len(nodes) < len(self.shadow.state.nodes)
        )

    def final(self, nodes: list[SimNode], clients: list[SimClient]) -> None:
        """Nothing acknowledged is lost, nothing is done twice, everybody agrees."""
        check(self.shadow)
        if self._calm and self.repeats:
            self.violation(f"{self.repeats} commands were sent again although none was lost")
        if self._gentle and any(node.farewells for node in nodes):
            self.violation("a node left in good order and was not told that it may go")
        for node in nodes:
            core = node.core
            if not node.counts:
                continue
            if core is None:
                self.violation(f"{node.name} is down at the end")
                return
            check(core.replica.machine)
            if core.state.digest != self.shadow.state.digest:
                self.violation(f"{node.name} ends with another digest")
            if core.replica.digests.divergent:
                self.violation(f"{node.name} believes that others diverged: {core.replica.digests.divergent}")
            self.feeds.final(node.name, core.feed, core.consensus.applied_index)
            for client in clients:
                self._promises_kept(core, client)
        self._executions_accounted()
        self._lives.final()
        self.versions.final(sum(node.ends_too_old for node in nodes))

    def _promises_kept(self, core: Core, client: SimClient) -> None:
        """What a client was told is what this node holds."""
        for job_id in client.acknowledged:
            job = core.replica.job(job_id)
            if self.gone(job_id):
                if job is not None:
                    self.violation(f"job {job_id.hex()} was forgotten and is here")
            elif job is None:
                self.violation(f"{core.identity.node_id} lost the acknowledged job {job_id.hex()}")
            elif job.state not in TERMINAL:
                self.violation(f"job {job_id.hex()} ended in state {job.state.word}")
        for job_id in client.refused:
            if core.replica.job(job_id) is not None:
                self.violation(f"job {job_id.hex()} exists although its call was answered with NotApplied")
        for job_id, word in client.cancelled.items():
            job = core.replica.job(job_id)
            if word != "cancelled" or job_id in client.retried or self.gone(job_id):
                continue
            if job is None or job.state is not JobState.CANCELLED:
                self.violation(f"job {job_id.hex()} was cancelled and is not")

    def _executions_accounted(self) -> None:
        """Every acknowledged report is in the state, every run of a handler had a token of its own."""
        tokens: dict[int, bytes] = {}
        for worker in self.workers:
            for run in worker.executions:
                if tokens.setdefault(run.token, run.job_id) != run.job_id:
                    self.violation(f"token {run.token} was given to two jobs")
        counts = Counter(run.token for worker in self.workers for run in worker.executions)
        for token, times in counts.items():
            if times > 1:
                self.violation(f"the handler of token {token} ran {times} times")
