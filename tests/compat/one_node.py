"""A node alone on a real data directory, under clocks that are moved by hand: it writes recordings and opens
them."""

import random
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrix_raft.consensus.configuration import Configuration, Member, Standing
from orchestrix_raft.consensus.engine import Engine
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.consensus.port import Apply, Consensus, Restore
from orchestrix_raft.coordinator import starts
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.port import Done, Outcome
from orchestrix_raft.coordinator.settings import Clocks, CoreLimits, Identity, Keeping
from orchestrix_raft.duties.retention import Keep
from orchestrix_raft.machine.commands import Command
from orchestrix_raft.machine.port import Result
from orchestrix_raft.storage.disk import Member as Founder
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.storage.views import contents_of
from orchestrix_raft.version import VERSION

NODE_ID = "n1"
NAMES = ("n2", "n8", "n9")
ADDRESS = "127.0.0.1:7400"
CLUSTER_ID = "c0" * 16
WALL_START_MS = 1_700_000_000_000
STEP_S = 0.05
KEEPING = Keeping(Keep(finished_ms=60_000, dead_ms=120_000))
LIMITS = CoreLimits(checkpoint_s=1e9, keeping=KEEPING)  # checkpoints are made when asked for


def members_of(disk_id: str) -> Configuration:
    """The node, and the names of others of which it is told; they never count."""
    others = {name: Member(Standing.LEARNER, f"disk-{name}") for name in NAMES}
    return Configuration({NODE_ID: Member(Standing.VOTER, disk_id), **others})


class OneNode:
    """begins_s: where its monotonic clock stands; a later process of the same directory begins later."""

    def __init__(self, path: Path, begins_s: float = 100.0) -> None:
        self.disk = DataDirectory.open(path)
        self.now = begins_s
        self.digests: dict[int, bytes] = {}  # after each entry that this process applied
        rng = random.Random(str(begins_s))
        nonce = rng.randbytes(starts.START_BYTES)
        self.disk.set_node_id(NODE_ID)
        identity = self.disk.identity
        founders = members_of(identity.disk_id).members.items()
        self.disk.set_bootstrap(Founder(name, one.disk_id, ADDRESS) for name, one in founders)
        self.disk.set_cluster_id(CLUSTER_ID)
        self.disk.set_addresses({NODE_ID: ADDRESS})
        self.disk.set_starts(starts.begun(identity.starts, nonce))
        journal, store = self.disk.open_journal(), self.disk.open_state_store()
        self.local = self.disk.open_local_store()
        self.journal, self.store = journal, store

        def make(apply: Apply, restore: Restore) -> Consensus:
            def observed(index: int, term: int, data: bytes) -> None:
                apply(index, term, data)
                self.digests[index] = self.core.state.digest

            return Engine(
                node_id=NODE_ID,
                disk_id=identity.disk_id,
                journal=journal,
                store=store,
                apply=observed,
                restore=restore,
                clock=lambda: self.now,
                rng=rng,
                options=Options(),
                bootstrap=members_of(identity.disk_id),
            )

        me = Identity(NODE_ID, ADDRESS, VERSION, starts.first_boot_id(nonce), self.disk.identity.starts)
        clocks = Clocks(lambda: self.now, lambda: WALL_START_MS + int(self.now * 1_000))
        self.core = Core(me, clocks, LIMITS, store, self.local, make, rng, lambda: (ADDRESS,))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.core.stop("the test is over")
        self.core.consensus.close()
        self.disk.close()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(int(seconds / STEP_S)):
            self.now += STEP_S
            for _ in range(100):
                if not self.core.step():
                    break
            self.core.outbox.clear()
            self._write()

    def do(self, command: Command) -> Result:
        """Through the log; what it was answered."""
        outcomes: list[Outcome] = []
        self.core.submit(command, outcomes.append)
        self.run(2 * STEP_S)
        (outcome,) = outcomes
        assert isinstance(outcome, Done), outcome
        return outcome.result

    def checkpoint(self) -> int:
        """Write one now; its index."""
        self.core.replica.checkpoints.ask()
        self.run(2 * STEP_S)
        position = self.store.position()
        assert position is not None
        return position.index

    def _write(self) -> None:
        """The disk work of the node."""
        core = self.core
        for work in core.disk_work:
            core.checkpoint_done(work, core.replica.checkpoints.write(work))
            for index, view in core.replica.contents.take():
                core.replica.contents.end(index, contents_of(view))
                view.close()
        core.disk_work.clear()
