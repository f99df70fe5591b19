"""A worker process's tie to the cluster: the session."""

import hashlib

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import Timer, fault_in_labels


class JobHandoff(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The worker was told to go on at another node.  It has done so when its session is resumed there: that
    is the acknowledgement, and all its jobs change their owner with it."""

    node_id: str  # where to
    tries: int  # how often it was told since it was attached here, this time included


class Session(msgspec.Struct, array_like=True):
    """Attached to a node (node_id set) or detached with a deadline (node_id "", timer set)."""

    session_id: bytes  # 16 bytes, fresh for every worker process
    name: str  # a label for people
    queues: tuple[str, ...]  # sorted, without repeats
    capacity: int  # slots
    labels: tuple[str, ...]  # sorted, without repeats
    node_id: str  # the owner; "" while detached
    epoch: int  # grows with every resume: an owner that lost the session can no longer speak for it
    slots: dict[int, bytes]  # fencing token -> job id, for every slot not yet reported free
    idle_seq: int  # counter value of the last assignment: the smallest has been idle longest
    attached_ms: int  # wall
    draining: bool = False  # takes nothing new
    timer: Timer | None = None
    leftovers: dict[int, tuple[str, str]] = msgspec.field(default_factory=dict)
    # token -> (queue, key) of the slots whose attempt is over and whose handler was not heard of
    handoff: JobHandoff | None = None  # only while attached, and never to the node it is attached to

    @property
    def worker_id(self) -> bytes:
        """What the session is called in front of others, see `worker_id`."""
        return worker_id(self.session_id)


def worker_id(session_id: bytes) -> bytes:
    """16 bytes that name a session and say nothing of its id: whoever knows the id may resume the session, so
    only its worker does.  The same at every node and for the session's whole life."""
    return hashlib.sha256(b"worker" + session_id).digest()[: limits.SESSION_ID_BYTES]


def fault_in_worker(
    session_id: bytes, name: str, queues: tuple[str, ...], capacity: int, labels: tuple[str, ...]
) -> str:
    """One line saying what is wrong with what a worker says of itself, or ""."""
    if len(session_id) != limits.SESSION_ID_BYTES:
        return f"session id has {len(session_id)} bytes, must have {limits.SESSION_ID_BYTES}"
    if len(name) > limits.KEY_CHARS:
        return f"a worker's name has at most {limits.KEY_CHARS} characters"
    if not 0 < len(queues) <= limits.QUEUES_OF_A_WORKER:
        return f"a worker serves 1 to {limits.QUEUES_OF_A_WORKER} queues"
    before = ""
    for queue in queues:
        if queue <= before:
            return "queues must be sorted, without repeats, and not empty"
        if len(queue) > limits.QUEUE_CHARS:
            return f"a queue has at most {limits.QUEUE_CHARS} characters"
        before = queue
    if not 0 < capacity <= limits.CAPACITY:
        return f"capacity must be within 1..{limits.CAPACITY}"
    return fault_in_labels(labels)
