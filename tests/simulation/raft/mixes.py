"""What goes wrong in one run of the simulator, as rates per second of virtual time."""

from dataclasses import dataclass, replace

from orchestrix_raft.consensus.options import Options

OPTIONS = Options(
    tail_entries=100_000,
    chunk_bytes=120,
    chunk_window=2,
    append_bytes=600,
    in_flight_bytes=2_000,
    snapshot_retry_s=0.2,
    snapshot_stall_s=1.0,
    linger_s=3.0,
    apply_entries=50,
)
SNAPSHOTS = replace(OPTIONS, tail_entries=3)


@dataclass(frozen=True)
class Mix:
    """Rates are events per second; durations and sizes are drawn from the seed."""

    sizes: tuple[int, ...] = (3, 5)
    faults_until_s: float = 8.0
    end_s: float = 14.0
    proposals: float = 20.0
    bursts: float = 0.3
    reads: float = 6.0
    crash: float = 0.0  # power loss of one node, at any durable step
    blackout: float = 0.0  # power loss of all of them
    partition: float = 0.0  # two groups
    isolate: float = 0.0  # one node, preferably the leader
    stall: float = 0.0  # one direction of one link holds its messages back
    reconnect: float = 0.0  # a connection breaks and comes back
    pause: float = 0.0  # a process stands still
    transfer: float = 0.0
    slow: float = 0.0  # share of messages that are much later than the rest
    checkpoint: float = 0.0  # of each node
    bad_snapshot: float = 0.0  # share of snapshot chunks that are damaged on the way
    admin: float = 0.0  # requests to change the members
    wipe: float = 0.0  # members that lose their disk and come back under the old id
    spares: int = 0
    snipe: float = 0.0  # share of changes after which the leader is cut off at once
    options: Options = OPTIONS


_MEMBERS = Mix(sizes=(1, 2, 3, 4, 5), admin=1.0, spares=3, proposals=12.0, end_s=17.0)

MIXES = {
    "calm": Mix(),
    "power": Mix(crash=0.5, blackout=0.08),
    "partition": Mix(partition=0.4, isolate=0.4, slow=0.02),
    "stall": Mix(stall=1.2, pause=0.4, isolate=0.2, slow=0.05, bursts=0.6),
    "reconnect": Mix(reconnect=2.5, crash=0.3, slow=0.05, bursts=0.8),
    "snapshot": Mix(
        isolate=0.5, crash=0.4, checkpoint=1.2, slow=0.05, reconnect=0.4, bad_snapshot=0.05, options=SNAPSHOTS
    ),
    "transfer": Mix(transfer=1.0, partition=0.2, crash=0.2, slow=0.05),
    "one": Mix(sizes=(1,), crash=0.6, checkpoint=0.6),
    "full": Mix(
        crash=0.35,
        blackout=0.05,
        partition=0.25,
        isolate=0.25,
        stall=0.5,
        reconnect=0.6,
        pause=0.3,
        transfer=0.15,
        checkpoint=0.6,
        bursts=0.5,
        slow=0.05,
        options=SNAPSHOTS,
    ),
    "member-calm": _MEMBERS,
    "member-fast": replace(_MEMBERS, admin=4.0, partition=0.5, isolate=0.6, crash=0.3),
    "member-snipe": replace(_MEMBERS, admin=1.5, snipe=0.6, isolate=0.2),
    "member-snapshot": replace(
        _MEMBERS, isolate=0.4, crash=0.4, checkpoint=1.0, partition=0.2, options=SNAPSHOTS
    ),
    "member-wipe": replace(_MEMBERS, wipe=0.4, crash=0.2, isolate=0.2, snipe=0.3),
    "member-full": replace(
        _MEMBERS,
        crash=0.3,
        blackout=0.04,
        partition=0.25,
        isolate=0.25,
        stall=0.4,
        reconnect=0.5,
        pause=0.3,
        transfer=0.15,
        checkpoint=0.5,
        wipe=0.05,
        snipe=0.2,
        slow=0.05,
        options=SNAPSHOTS,
    ),
}
