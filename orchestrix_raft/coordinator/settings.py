"""What a core is given: who it is, its clocks, and the numbers an operator may tune."""

from collections.abc import Callable
from typing import NamedTuple

from orchestrix_raft.coordinator.beats import BeatLimits
from orchestrix_raft.coordinator.feed import FeedKeep
from orchestrix_raft.coordinator.proposer import ProposerLimits
from orchestrix_raft.coordinator.pulse import HubLimits
from orchestrix_raft.coordinator.rebalance import RebalanceLimits
from orchestrix_raft.domain import limits
from orchestrix_raft.duties.retention import Keep
from orchestrix_raft.storage.disk import Starts


class Keeping(NamedTuple):
    """What is kept, and how gently the rest goes: 25,000 records a second at most."""

    keep: Keep = Keep()
    at_once: int = limits.FORGET_AT_ONCE  # records of a kind in one command
    pause_s: float = 0.02  # between two such commands, so that other work has its turn


class DrainLimits(NamedTuple):
    """Seconds, from the commit of the drain if nothing else is said."""

    close_s: float = 30.0  # streams that are left are closed
    ack_s: float = 5.0  # a worker that was told where to go is somewhere else by then, or told again
    transfer_s: float = 5.0  # for handing over leadership, from the wish to end
    hold_s: float = 1.0  # new entries are held back for as long, while somebody takes over
    breath_s: float = 0.25  # before the next attempt, if nobody has
    again_s: float = 1.0  # between two attempts to commit
    look_s: float = 0.05  # between two looks at the sessions that are left
    at_once: int = limits.HANDOFFS_AT_ONCE


class CoreLimits(NamedTuple):
    """Seconds and bytes."""

    proposer: ProposerLimits = ProposerLimits()
    hub: HubLimits = HubLimits()
    beats: BeatLimits = BeatLimits()
    drain: DrainLimits = DrainLimits()
    rebalance: RebalanceLimits = RebalanceLimits()
    checkpoint_s: float = 5.0  # at the latest so often ...
    checkpoint_bytes: int = 32 << 20  # ... and when so much waits to be written
    read_wait_s: float = 5.0
    keeping: Keeping = Keeping()
    lines_kept_s: float = 86_400.0  # job logs, after a job's last line
    feed: FeedKeep = FeedKeep()
    stale_s: float = 2.0  # without contact to a leader, local answers are marked as possibly old


class Clocks(NamedTuple):
    """Readings are functions, so that the simulator can bend them."""

    monotonic: Callable[[], float]  # seconds
    wall_ms: Callable[[], int]


class Identity(NamedTuple):
    """Who this process is."""

    node_id: str
    address: str  # of its API, as others reach it
    version: str
    boot_id: bytes  # fresh for every process start
    starts: Starts = Starts()  # of this node's data directory, this process included
    disk_id: str = ""  # of that directory
    joined_index: int = 0  # log index of the configuration that added it; 0: a founder
