"""This node's copy of the replicated state: entries go in, what they did comes out, checkpoints keep it.

The machine, its window on the disk, its digests, its checkpoints and its feed of events belong together: an
installed snapshot replaces them all, and what is seen here until the new state is loaded is old (`loading`).
"""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from orchestrix_raft.consensus.port import Consensus
from orchestrix_raft.coordinator.checkpoints import Checkpoints, CheckpointWork
from orchestrix_raft.coordinator.contents import ContentsTrail
from orchestrix_raft.coordinator.digests import DigestTrail
from orchestrix_raft.coordinator.feed import Feed
from orchestrix_raft.coordinator.history import LayeredHistory
from orchestrix_raft.domain.job import Job
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.codec import decode_job
from orchestrix_raft.machine.history import FINISHED, PAYLOADS
from orchestrix_raft.machine.levels import read_entry
from orchestrix_raft.machine.loading import StoredStateDamaged
from orchestrix_raft.machine.port import Applied
from orchestrix_raft.machine.rules import RULES, Rules
from orchestrix_raft.machine.state import State
from orchestrix_raft.storage.port import Damaged, StateStore, StateView
from orchestrix_raft.undecodable import UNDECODABLE, words_of


@contextmanager
def _readable() -> Iterator[None]:
    """Rows that are no state are this node's trouble: Damaged, with what to do."""
    try:
        yield
    except (StoredStateDamaged, *UNDECODABLE) as error:
        raise Damaged(
            f"the checkpoint in this node's data directory cannot be read ({words_of(error)}); remove the "
            "node from the cluster and add it again with an empty data directory"
        ) from error


class Replica:
    """Of one node.  `every_s`, `every_bytes`: when a checkpoint is due.  `rules`: of this version."""

    def __init__(
        self, store: StateStore, feed: Feed, every_s: float, every_bytes: int, rules: Rules = RULES
    ) -> None:
        self.store = store
        self.history = LayeredHistory(store)
        self.checkpoints = Checkpoints(self.history, store, every_s, every_bytes)
        self.digests = DigestTrail()
        self.contents = ContentsTrail()
        self.loading = False
        """A snapshot is installed and its state not loaded: what is seen here is old."""
        self._rules = rules
        self.machine = Machine(self.history, self.history, rules)
        if store.position() is not None:
            with _readable():
                self.machine.load(self.history.tables)
        self._feed = feed
        self._feed.begin(self.machine.state.index)
        self.unfollowed: deque[tuple[int, Applied]] = deque()
        """(index, what it did) of each entry whose effects nobody has followed yet, oldest first."""
        self.replaced = False
        """The state is another one since `take_replaced` was asked last."""

    @property
    def state(self) -> State:
        """As of the newest applied entry; another object after a snapshot."""
        return self.machine.state

    # ---- entries and snapshots -----------------------------------------------------------------------

    def apply(self, index: int, term: int, data: bytes) -> None:
        """A committed entry; what it did is added to `unfollowed`."""
        applied = self.machine.apply(index, term, read_entry(self._rules, index, data))
        state = self.machine.state
        self.digests.note(index, state.digest)
        self._feed.note(index, state.wall_ms, state.elapsed_ms, applied)
        self.unfollowed.append((index, applied))

    def restore(self) -> Generator[object, None, None]:
        """An installed snapshot replaces the state, once it is loaded: see `consensus.port.Restore`."""
        self.unfollowed.clear()
        self.checkpoints.replaced()
        self.contents.replaced()
        self.loading = True
        return self._load_beside()

    def _load_beside(self) -> Generator[object, None, None]:
        machine = Machine(self.history, self.history, self._rules)
        with _readable():
            yield from machine.load_in_steps(self.history.tables)
        self.machine = machine
        self._feed.begin(machine.state.index)
        self.loading = False
        self.replaced = True

    def take_replaced(self) -> bool:
        """Whether the state is another one since this was asked last."""
        replaced, self.replaced = self.replaced, False
        if replaced:
            self.digests.clear()
        return replaced

    # ---- checkpoints ---------------------------------------------------------------------------------

    def begin_checkpoint(self, consensus: Consensus, now: float) -> CheckpointWork | None:
        """What to write now, if it is time: `checkpoints.write`, then `checkpoint_done`."""
        work = self.checkpoints.begin(consensus, now)
        if work is not None:
            self._feed.write()
        return work

    def mark(self, consensus: Consensus, index: int, term: int) -> None:
        """The entry that was applied just now asks for a look at all that is held."""
        self.contents.begin(index, self.checkpoints.mark(consensus, index, term))

    def checkpoint_done(self, work: CheckpointWork, view: StateView | None, consensus: Consensus) -> None:
        """It is written; `view`: what writing it gave."""
        self.checkpoints.done(work, consensus)
        if work.marked:
            self.contents.written(work.position.index, view)

    # ---- lookups in state and history ----------------------------------------------------------------

    def job(self, job_id: bytes) -> Job | None:
        """Live or finished."""
        live = self.machine.state.jobs.get(job_id)
        if live is not None:
            return live
        data = self.history.get(FINISHED, job_id)
        return decode_job(data) if data else None

    def args_of(self, job: Job) -> bytes:
        """A job's arguments, from disk if they are large."""
        if not job.args_stored:
            return job.spec.args
        return self.history.get(PAYLOADS, job.spec.job_id) or b""
