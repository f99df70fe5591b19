"""What waits for a time: one heap per clock, over the one timer that each entity may have.

The entities hold the truth; the heaps are indexes with lazy deletion and can be rebuilt from them.  Timers
fall due in the order (due_ms, seq), which no layout of a heap influences.
"""

from typing import TYPE_CHECKING, Final, Protocol

from orchestrix_raft.domain.job import Timer, TimerKind
from orchestrix_raft.machine.heap import LazyHeap

if TYPE_CHECKING:
    from orchestrix_raft.machine.state import State

_WALL: Final = TimerKind.READY_AT_WALL
_OTHERS: Final = frozenset(
    {
        TimerKind.SESSION_DEADLINE,
        TimerKind.QUEUE_WINDOW,
        TimerKind.KEY_WINDOW,
        TimerKind.UNIQUE_WINDOW,
        TimerKind.KEY_SWEEP,
    }
)
"""Timers of entities that are no jobs."""

Item = tuple[int, int, int, bytes]
"""(due_ms, seq, kind, key of the entity)"""


def is_set(state: "State", item: Item) -> bool:
    """Whether the entity still waits for exactly this timer."""
    entity = entity_of(state, item[2], item[3])
    return entity is not None and entity.timer is not None and entity.timer.seq == item[1]


class Waits(Protocol):
    """An entity that may wait for one thing."""

    timer: Timer | None


def entity_of(state: "State", kind: int, key: bytes) -> Waits | None:
    """Whose timer it is."""
    if kind not in _OTHERS:
        return state.jobs.get(key)
    match kind:
        case TimerKind.SESSION_DEADLINE:
            return state.sessions.get(key)
        case TimerKind.QUEUE_WINDOW:
            return state.limited.get(key.decode())
        case TimerKind.KEY_SWEEP:
            queue = state.limited.get(key.decode())
            return None if queue is None else queue.sweep
        case TimerKind.KEY_WINDOW:
            return state.key_windows.get(key)
        case TimerKind.UNIQUE_WINDOW:
            return state.unique_windows.get(key)
    raise KeyError(f"no entity for a timer of kind {kind}")


TimerHeap = LazyHeap["State", Item]
"""The timers on one clock."""


def heap_of(state: "State", kind: int) -> TimerHeap:
    """The heap of the clock that a kind of timer follows."""
    return state.wall_timers if kind == _WALL else state.elapsed_timers


def set_timer(state: "State", entity: Waits, key: bytes, timer: Timer | None) -> None:
    """Replace what the entity waits for; None: nothing any more."""
    old = entity.timer
    if old is not None:
        entity.timer = None
        heap_of(state, old.kind).lost(state)
    if timer is not None:
        entity.timer = timer
        index_timer(state, key, timer)


def index_timer(state: "State", key: bytes, timer: Timer) -> None:
    """Put an entity's timer into its heap."""
    # A plain number: a member of an enum would make every item a matter of the garbage collector.
    heap_of(state, timer.kind).push((timer.due_ms, timer.seq, int(timer.kind), key))
