"""Simulated node processes: a real core and engine on a simulated disk, stepped by the world."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from orchestrix_raft.consensus.configuration import Configuration
from orchestrix_raft.consensus.engine import Engine
from orchestrix_raft.consensus.messages import SnapshotChunk
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.consensus.port import Apply, Consensus, Restore, Role, SafetyFault
from orchestrix_raft.coordinator import starts
from orchestrix_raft.coordinator.checkpoints import CheckpointWork
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.settings import Clocks, CoreLimits, Identity
from orchestrix_raft.coordinator.standing import GRACE_S
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.session import CoordinatorMessage, Hello
from orchestrix_raft.machine.rules import TooOld
from orchestrix_raft.simulation.hardware import SimMachine
from orchestrix_raft.simulation.network import Network, Pipe, spoiled
from orchestrix_raft.simulation.versions import NEW
from orchestrix_raft.simulation.world import World
from orchestrix_raft.storage.memory import DiskGone
from orchestrix_raft.storage.port import StorageError
from orchestrix_raft.storage.views import Contents, contents_of

LEAVE_S = 60.0  # a process that was told to end is gone by then
_ENDS = (DiskGone, starts.Superseded, StorageError, SafetyFault)  # each may be the end of a process

Observer = Callable[["SimNode", int, int, bytes], None]
"""(node, index, term, data) after a node applied an entry."""


class SimNode(SimMachine):
    """One machine that runs, at times, one node process."""

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        disk_id: str,
        bootstrap: Configuration | None,
        limits: CoreLimits,
        options: Options,
        observe: Observer,
    ) -> None:
        """`bootstrap`: of a founder; another node is first added by the others."""
        super().__init__(world, name, disk_id, bootstrap)
        self.network = network
        self._rng = world.stream(name)
        self.limits = limits
        self.options = options
        self.cluster: dict[str, SimNode] = {}
        self._settled_index = -1
        self.compare: Callable[[str, int, Contents], None] = _ignore
        self._observe = observe
        self._pipes: dict[str, Pipe] = {}
        self._streams: dict[Pipe, Stream | None] = {}
        self._scheduled = False
        self._wake = 0.0  # when the next wake-up is in the world's queue; not before now: none is
        self._due = 0.0  # when the newest step wanted the next one
        self.led: Callable[[SimNode], None] = lambda node: None
        self._led_term = 0
        self._applied_index = -1

    # ---- life ----------------------------------------------------------------------------------------

    @property
    def peers(self) -> list[str]:
        """Whoever may be a member; strangers are turned away."""
        return [name for name, node in self.cluster.items() if node.added and name != self.name]

    def start(self) -> None:
        """Power on."""
        if self.core is not None or self.superseded or not self.counts:
            return
        self.starts += 1
        rng = self.world.stream(f"start {self.starts} of {self.name}")
        nonce = rng.randbytes(starts.START_BYTES)
        known = starts.begun(self.disk.identity.starts, nonce)
        try:
            self.disk.set_starts(known)
        except StorageError as refusal:
            self.disk.kill()
            self._end_of_disk(refusal)
            return
        journal = self.disk.open_journal()
        store = self.store = self.disk.open_state_store()

        def make(apply: Apply, restore: Restore) -> Consensus:
            def observed(index: int, term: int, data: bytes) -> None:
                apply(index, term, data)
                self._observe(self, index, term, data)

            return Engine(
                node_id=self.name,
                disk_id=self.disk.identity.disk_id,
                journal=journal,
                store=store,
                apply=observed,
                restore=restore,
                clock=self.clock.monotonic,
                rng=rng,
                options=self.options,
                bootstrap=self._bootstrap,
            )

        disk = self.disk.identity
        address, boot_id = f"{self.name}:7400", starts.first_boot_id(nonce)
        identity = Identity(self.name, address, "sim", boot_id, known, disk.disk_id, disk.joined_index)
        clocks, local = Clocks(self.clock.monotonic, self.clock.wall_ms), self.disk.open_local_store()
        try:
            self.core = Core(
                identity, clocks, self.limits, store, local, make, rng, self._servers, self.rules
            )
        except starts.Superseded as error:
            self.disk.kill()
            self._end_for_good(error)
            return
        except TooOld as error:
            self.disk.kill()
            self._end_too_old(error)
            return
        self._drive(self.core)
        self.world.tell(f"{self.name} starts ({self.starts}), applied {self.core.consensus.applied_index}")
        for peer in self.peers:
            if self.name > peer:
                self._dial_later(peer)
            else:
                self.cluster[peer]._dial_later(self.name)
        self.poke()

    def _drive(self, core: Core) -> None:
        core.carry = self._carry
        self._wake, self._led_term, self._applied_index = 0.0, 0, -1
        self._stepping = partial(self._step, core)
        self._waking = partial(self._woken, core)

    def _servers(self) -> tuple[str, ...]:
        return (self.name, *self.peers)

    def crash(self, power: bool = True) -> None:
        """The process ends here and now; with `power`, unsynced writes go too."""
        if self.core is None:
            return
        self.world.tell(f"{self.name} crashes, applied {self.core.consensus.applied_index}")
        self.snapshots += self.core.replica.checkpoints.generation
        self.core = None
        if power:
            self.disk.crash()
        else:
            self.disk.kill()
        self._pipes.clear()
        self._streams.clear()
        self._inbox.clear()
        self._scheduled = False
        self.network.ended(self.name)

    def leave(self, down_s: float) -> None:
        """SIGTERM: hand over leadership and sessions, commit the farewell, end; start again later."""
        core = self.core
        if core is None or self._leaving is core:
            return
        self._leaving = core
        self._down_s = down_s
        self.world.tell(f"{self.name} leaves")
        self.farewells += 1
        self.act(lambda: core.drain.leave(self.clock.monotonic()))
        self.poke()
        self.world.after(LEAVE_S, lambda: self._end(core))

    def _end(self, core: Core) -> None:
        if self.core is core:
            if core.drain.said_goodbye or not core.incarnation:  # nobody knew of a process not announced
                self.farewells -= 1
            self.crash(power=False)
            self.world.after(self._down_s, self.start)

    def _leave_for_good(self, core: Core) -> None:
        """The process has learnt that it is no member any more: its workers are sent elsewhere."""
        self.world.tell(f"{self.name} learns that it was removed")
        self._leaving = core
        self.disk.set_removed(core.removed_index)
        core.hub.redirect_all()
        self.poke()

        def end() -> None:
            if self.core is core:
                self.removed = True
                self.crash(power=False)

        self.world.after(5.0, end)

    def turns_away(self, other: "SimNode") -> bool:
        """By what it knows of the members that node was removed, and not just not added yet."""
        if self.core is None or other.core is None:
            return False
        index, configuration = self.core.consensus.settled
        theirs = max(other.core.consensus.settled.index, other.disk.identity.joined_index)
        listed = configuration is None or configuration.lists(other.name, other.disk.identity.disk_id)
        return index > theirs and not listed

    def _judge_anew(self, core: Core) -> None:
        """The members have changed a while ago: who is none any more is told so."""
        if self.core is core:
            for peer in list(self._pipes):
                if self.turns_away(self.cluster[peer]):
                    self.cluster[peer].turned_away()

    def turned_away(self) -> None:
        """The process is told that it was removed."""
        if self.core is not None:
            self.world.tell(f"{self.name} is told that it was removed")
            self.removed = True
            self.crash(power=False)

    # ---- stepping ------------------------------------------------------------------------------------

    def act(self, action: Callable[[], Any]) -> None:
        """Let something happen to the process: now, or once it no longer stands still."""
        core = self.core
        if core is None:
            return
        if self.runs:
            self.guarded(action)
            return
        if not self._inbox:
            self.world.after(self.paused_until - self.world.now, lambda: self._catch_up(core))
        self._inbox.append(action)

    def _catch_up(self, core: Core) -> None:
        if self.core is not core:
            return
        if self.paused_until > self.world.now:
            self.world.after(self.paused_until - self.world.now, lambda: self._catch_up(core))
            return
        inbox, self._inbox = self._inbox, deque()
        for action in inbox:
            if self.core is core:
                self.guarded(action)
        self.poke()

    def poke(self) -> None:
        """Something happened: step soon, once."""
        if not self._scheduled and self.core is not None:
            self._scheduled = True
            at = self.world.now + self._soon_s * self._rng.random()
            self.world.at(at if at > self.paused_until else self.paused_until, self._stepping)

    def guarded(self, action: Callable[[], Any]) -> None:
        """Run a piece of the process; it may die in the middle of it."""
        try:
            action()
        except _ENDS as error:
            self._ends_of(error)

    def _ends_of(self, error: BaseException) -> None:
        """What becomes of a process that meets this."""
        if isinstance(error, DiskGone):
            self.crash(power=True)
            self.world.after(self._rng.uniform(0.05, 3.0), self.start)
        elif isinstance(error, starts.Superseded):
            self._end_for_good(error)
        else:
            cause = error if isinstance(error, StorageError) else error.__cause__
            if isinstance(cause, TooOld):
                self._end_too_old(cause)
            elif isinstance(cause, StorageError):
                self._end_of_disk(cause)
            else:
                raise error

    def _end_too_old(self, why: TooOld) -> None:
        """The process has found a level that its version cannot run; somebody installs another one."""
        self.world.tell(f"{self.name} ends: {why}")
        self.crash(power=False)
        self.ends_too_old += 1
        self.rules = NEW
        self.world.after(self._rng.uniform(0.05, 3.0), self.start)

    def _end_of_disk(self, why: StorageError) -> None:
        """The disk refused: the process ends, and somebody starts it again now and then."""
        self.world.tell(f"{self.name} ends: {why}")
        self.refusals += 1
        self.crash(power=False)
        self.world.after(self._rng.uniform(0.5, 3.0), self.start)

    def _end_for_good(self, why: starts.Superseded) -> None:
        """The process has learnt that its disk is an old copy."""
        self.world.tell(f"{self.name} ends: {why}")
        self.superseded = str(why)
        self.crash(power=False)

    def _step(self, core: Core) -> None:
        if self.core is not core:
            return
        self._scheduled = False
        if self.paused_until > self.world.now:
            self.poke()
            return
        try:
            self._step_now(core)
        except _ENDS as error:
            self._ends_of(error)

    def _step_now(self, core: Core) -> None:
        synced = self.disk.steps
        more = core.step()
        if self.sync_s and self.disk.steps > synced:
            self._wait_for_disk(core)
        elif core.outbox:
            self._carry()
        consensus = core.consensus
        if consensus.role is Role.LEADER and consensus.term != self._led_term:
            self._led_term = consensus.term
            self.led(self)
        if consensus.applied_index != self._applied_index:
            self._applied_index = consensus.applied_index
            self._follow_members(core)
        if core.drain.over:
            self._end(core)
            return
        if core.disk_work:
            for work in core.disk_work:
                self._checkpoint_later(core, work)
            core.disk_work.clear()
        if more:
            self.poke()
        else:
            self._wake_later(core)

    def _follow_members(self, core: Core) -> None:
        if core.consensus.settled.index != self._settled_index:
            self._settled_index = core.consensus.settled.index
            self.world.after(GRACE_S, lambda: self._judge_anew(core))
        if core.removed_index and self._leaving is not core:
            self._leave_for_good(core)

    def _carry(self) -> None:
        """Send what the core has for its peers; also called in the middle of a step."""
        if self.core is not None and self.core.outbox:
            for peer, message in self.core.outbox:
                pipe = self._pipes.get(peer)
                if pipe is not None:
                    if self.spoils is not None and isinstance(message, SnapshotChunk):
                        message = spoiled(message, self.spoils)
                    pipe.send(self.name, message)
            self.core.outbox.clear()

    def _wait_for_disk(self, core: Core) -> None:
        """The step is over once its sync is: only then leaves what it has to say."""
        duration = self._rng.uniform(0.0, self.sync_s)
        self.stand_still(duration)

        def synced() -> None:
            if self.core is core:
                self._carry()

        self.world.after(duration, synced)

    def _wake_later(self, core: Core) -> None:
        now = self.world.now
        self._due = at = now + self.clock.until(core.wake_at) + 0.0001
        if self._wake <= now or at < self._wake:
            self._wake = at
            self.world.at(at, self._waking)

    def _woken(self, core: Core) -> None:
        """A wake-up that was asked for; a step since then may want a later one."""
        if self.core is not core:
            return
        now = self.world.now
        if now >= self._due:
            self.poke()
        elif self._wake <= now:
            self._wake = self._due
            self.world.at(self._due, self._waking)

    def _checkpoint_later(self, core: Core, work: CheckpointWork) -> None:
        def write() -> None:
            if self.core is core:
                self.act(lambda: self._checkpoint(core, work))

        self.world.after(self._rng.uniform(0.001, 0.5), write)

    def _checkpoint(self, core: Core, work: CheckpointWork) -> None:
        core.checkpoint_done(work, core.replica.checkpoints.write(work))
        contents = core.replica.contents
        for index, view in contents.take():
            found = contents_of(view)
            view.close()
            contents.end(index, found)
            self.compare(self.name, index, found)
        self.poke()

    # ---- connections between nodes -------------------------------------------------------------------

    def _dial_later(self, peer: str) -> None:
        self.world.after(self._rng.uniform(0.01, 0.3), lambda: self._dial(peer))

    def _dial(self, peer: str) -> None:
        other = self.cluster[peer]
        if self.core is None or peer in self._pipes or not other.counts:
            return
        for one, two in ((self, other), (other, self)):
            if one.turns_away(two):
                two.turned_away()
                return
        if other.core is None:
            self._dial_later(peer)
            return
        pipe = self.network.connect((self.name, peer), (self, other))
        if pipe is None:
            self._dial_later(peer)
            return
        self.joined(peer, pipe)
        other.joined(self.name, pipe)

    def joined(self, peer: str, pipe: Pipe) -> None:
        """A connection to a peer is up."""
        self._pipes[peer] = pipe
        core = self.core
        if core is not None:
            disk_id = self.cluster[peer].disk.identity.disk_id
            self.act(lambda: core.connected(peer, disk_id))
            self.poke()

    def received(self, pipe: Pipe, payload: Any) -> None:
        """From a peer or a worker."""
        if self.core is None:
            return
        if self.runs:
            try:
                self._received(pipe, payload)
            except _ENDS as error:
                self._ends_of(error)
        else:
            self.act(partial(self._received, pipe, payload))
            self.poke()

    def _received(self, pipe: Pipe, payload: Any) -> None:
        core = self.core
        if core is None:
            return
        if pipe in self._streams:
            stream = self._streams[pipe]
            if stream is not None:
                stream.receive(payload)
        elif isinstance(payload, Hello):
            self.open_stream(pipe, payload)
        else:
            core.receive(pipe.other(self.name), payload)
            if core.outbox:
                self._carry()
            if not core.wants_step:
                return
        self.poke()

    def broken(self, pipe: Pipe) -> None:
        """A connection ended."""
        self.act(lambda: self._broken(pipe))

    def _broken(self, pipe: Pipe) -> None:
        core = self.core
        if core is None:
            return
        if pipe in self._streams:
            stream = self._streams.pop(pipe)
            if stream is not None:
                stream.closed()
            self.poke()
            return
        peer = pipe.other(self.name)
        if self._pipes.get(peer) is pipe:
            del self._pipes[peer]
            core.disconnected(peer)
            self.poke()
            if self.name > peer:
                self._dial_later(peer)

    def open_stream(self, pipe: Pipe, hello: Hello) -> None:
        """A worker's Hello arrived on a new connection."""
        core = self.core
        if core is None:
            return

        def deliver(message: CoordinatorMessage) -> None:
            pipe.send(self.name, message)

        self._streams[pipe] = None
        self._streams[pipe] = core.open_session(hello, deliver)
        self.poke()


def _ignore(name: str, index: int, contents: Contents) -> None:
    """Default of `SimNode.compare`."""
