"""What a core is given: who it is, its clocks, and the numbers an operator may tune."""

from collections.abc import Callable
from typing import NamedTuple

from orchestrix_raft.coordinator.beats import BeatLimits
from orchestrix_raft.coordinator.hub import HubLimits
from orchestrix_raft.coordinator.proposer import ProposerLimits
from orchestrix_raft.storage.disk import Starts


class CoreLimits(NamedTuple):
    """Seconds and bytes."""

    proposer: ProposerLimits = ProposerLimits()
    hub: HubLimits = HubLimits()
    beats: BeatLimits = BeatLimits()
    checkpoint_s: float = 5.0  # at the latest so often ...
    checkpoint_bytes: int = 32 << 20  # ... and when so much waits to be written
    read_wait_s: float = 5.0
    lines_kept_s: float = 86_400.0  # job logs, after a job's last line
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
