"""A coordinator node as the replicated state knows it."""

from enum import IntEnum
from typing import Final

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.level import FIRST_LEVEL, LEVEL_MAX


class Health(IntEnum):
    """What the cluster agreed on about a node; only changes of it are log entries."""

    ALIVE = 1
    SUSPECT = 2
    DEAD = 3
    STOPPED = 4  # said goodbye

    @property
    def word(self) -> str:
        """The lower-case word used in JSON, Python and docs."""
        return self.name.lower()


OVER: Final = frozenset({Health.DEAD, Health.STOPPED})
"""An incarnation in one of these is fenced for good; only a new NodeStarted speaks for the node again."""


class Drain(msgspec.Struct, array_like=True):
    """A node hands over what it holds: it takes no sessions, and those it has get no assignments.

    It is undone by the operator or by the next start of the node's process.  What becomes of its sessions is
    counted here; those that ended by themselves are in none of the counts below the first two.
    """

    since_ms: int  # wall
    leaving: bool  # its process ends afterwards; else it stays a member of the cluster
    sessions: int  # attached to it when it began
    jobs: int  # slots taken by them
    asked: int = 0  # sessions whose workers were told where to go on
    acknowledged: int = 0  # sessions that went on at another node, with everything they ran
    acknowledged_jobs: int = 0
    orphaned: int = 0  # sessions that were detached instead: their deadline decides
    orphaned_jobs: int = 0


class Node(msgspec.Struct, array_like=True):
    """One process of the cluster and its place as an origin of commands."""

    node_id: str
    address: str  # host:port of its API
    version: str
    incarnation: int  # log index of its NodeStarted; an origin's commands carry it
    boot_id: bytes  # 16 random bytes of the process: the same start announced twice is one start
    health: Health
    sequence: int  # of its newest applied command in this incarnation
    changed_ms: int  # wall, of the last change of health
    drain: Drain | None = None
    level: int = FIRST_LEVEL  # the highest machine level this process can run

    @property
    def takes_sessions(self) -> bool:
        """Whether workers may attach there."""
        return self.drain is None and self.health not in OVER


def same_process(boot_id: bytes, other: bytes) -> bool:
    """Whether two boot ids are of one process, which may have had to begin a new incarnation."""
    return boot_id[: limits.BOOT_START_BYTES] == other[: limits.BOOT_START_BYTES]


def fault_in_node(node_id: str, boot_id: bytes, address: str, version: str, level: int = FIRST_LEVEL) -> str:
    """One line saying what is wrong with what a node says of itself, or ""."""
    if not 0 < len(node_id) <= limits.NODE_ID_CHARS:
        return f"node id must have 1 to {limits.NODE_ID_CHARS} characters"
    if len(boot_id) != limits.BOOT_ID_BYTES:
        return f"boot id has {len(boot_id)} bytes, must have {limits.BOOT_ID_BYTES}"
    if len(address) > limits.ADDRESS_CHARS or len(version) > limits.VERSION_CHARS:
        return f"address has at most {limits.ADDRESS_CHARS}, version {limits.VERSION_CHARS} characters"
    if not FIRST_LEVEL <= level <= LEVEL_MAX:
        return f"machine level is {level}, must be {FIRST_LEVEL} to {LEVEL_MAX}"
    return ""
