"""When a checkpoint is made, of what, and what its end means."""

from orchestrix_raft.coordinator.checkpoints import Checkpoints, CheckpointWork
from orchestrix_raft.coordinator.history import LayeredHistory
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import Position

EVERY_S, EVERY_BYTES = 5.0, 1_000


class Node:
    """What `Checkpoints` asks of consensus, and the parts around it."""

    def __init__(self) -> None:
        self.applied_index, self.applied_term = 7, 2
        self.told: list[int] = []
        self.store = MemoryDisk("disk").open_state_store()
        self.history = LayeredHistory(self.store)
        self.checkpoints = Checkpoints(self.history, self.store, EVERY_S, EVERY_BYTES)
        assert self.begin(0.0) is None

    def configuration_at(self, index: int) -> tuple[int, bytes]:
        return index - 1, b"c"

    def checkpointed(self, index: int) -> None:
        self.told.append(index)

    def begin(self, now: float) -> CheckpointWork | None:
        return self.checkpoints.begin(self, now)  # type: ignore[arg-type]  # all that is asked for

    def put(self, size: int = 1) -> None:
        self.history.put("t", b"k", bytes(size))

    def carry_out(self, work: CheckpointWork | None) -> None:
        assert work is not None
        self.checkpoints.write(work)
        self.checkpoints.done(work, self)  # type: ignore[arg-type]


def test_one_is_made_when_it_is_time() -> None:
    node = Node()
    node.put()
    assert node.begin(EVERY_S - 0.1) is None
    node.carry_out(node.begin(EVERY_S))
    assert node.store.position() == Position(7, 2, 6, b"c", b"")
    assert node.told == [7]
    node.put()
    assert node.begin(EVERY_S + 0.1) is None
    assert node.begin(2 * EVERY_S) is not None


def test_one_is_made_when_much_has_changed() -> None:
    node = Node()
    node.put(EVERY_BYTES)
    assert node.begin(0.1) is not None


def test_without_changes_none_is_made_unless_it_is_asked_for() -> None:
    node = Node()
    assert node.begin(EVERY_S) is None
    node.checkpoints.ask()
    assert node.begin(EVERY_S) is not None


def test_the_next_one_waits_until_the_last_is_written() -> None:
    node = Node()
    node.put()
    work = node.begin(EVERY_S)
    node.put(EVERY_BYTES)
    assert node.begin(3 * EVERY_S) is None
    assert node.told == []
    node.carry_out(work)
    assert node.begin(3 * EVERY_S) is not None


def test_marks_from_before_a_snapshot_are_not_written() -> None:
    node = Node()
    node.put()
    assert node.checkpoints.mark(node, 7, 2)  # type: ignore[arg-type]
    node.checkpoints.replaced()
    assert node.begin(0.1) is None
