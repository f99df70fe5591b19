"""Named mixes of faults: which, how often in a virtual second, and how a world of theirs is made.

A mix is a row of rates.  What one of its faults does stands in `node_faults` (one machine) and
`wide_faults` (connections, workers, everybody).
"""

from typing import Final, NamedTuple


class Mix(NamedTuple):
    """Rates per second of virtual time."""

    # faults of one node
    crash: float = 0.0  # its process, most often the leader's; power or process only
    at_slot: float = 0.0  # the leader dies around the next due time of a schedule
    fuse: float = 0.0  # death in the middle of a durable step: its last transaction is torn, or just stored
    pause: float = 0.0  # a process stands still
    slow_disk: float = 0.0  # for a while each durable step takes long, and all else waits for it
    io_error: float = 0.0  # a disk fails to write, once: its node ends
    no_room: float = 0.0  # a disk is full for a while: its node ends, again and again
    bad_snapshot: float = 0.0  # its snapshots have flipped or missing bytes, and another node needs one
    leave: float = 0.0  # its process ends in good order and is started again
    drain: float = 0.0  # an operator drains it, and undrains it later
    drain_cut: float = 0.0  # the same, and in the middle of it the node is cut off from some others
    clock_jump: float = 0.0
    upgrade: float = 0.0  # it is started again with the newer version; at first all have the older one
    downgrade: float = 0.0  # and the other way round
    # faults of connections
    partition: float = 0.0
    one_way: float = 0.0  # one direction stalls, the connection stays
    flap: float = 0.0  # a connection breaks
    cut_worker: float = 0.0  # a worker machine cannot reach some nodes
    # faults of many
    storm: float = 0.0  # for some seconds whoever becomes leader stands still or is cut off
    crash_all: float = 0.0
    outage: float = 0.0  # everything is down for hours, of which only the wall clocks tell
    # faults of workers
    worker_crash: float = 0.0
    worker_leave: float = 0.0  # a worker drains and says goodbye
    worker_drain: float = 0.0  # an operator drains a worker
    worker_storm: float = 0.0  # all workers die at once, or lose their connections, and are all back at once
    # aimed at what chance seldom meets
    aim: float = 0.0  # waits until a node is in a state drawn before, and strikes it with a fault of a node
    # no rates
    slow: float = 0.0  # chance that a message takes long
    linger: float = 0.0  # chance that what is under way arrives after its connection broke: reordered
    twice: float = 0.0  # chance that a call reaches two nodes
    poison: float = 0.0  # chance that a job's handler kills its worker, each time
    apart_ms: int = 0  # wall clocks are up to this far off when the world begins
    drift: float = 0.0  # they gain or lose up to so many seconds in a second
    workers: int = 3
    aim_at: str = ""  # the state that `aim` waits for; "": each time another
    nodes: int = 1  # at least
    tail: int = 0  # entries kept behind a checkpoint, so few that who was away needs a snapshot; 0: drawn


NO_RATES: Final = (
    "slow",
    "linger",
    "twice",
    "poison",
    "apart_ms",
    "drift",
    "workers",
    "aim_at",
    "nodes",
    "tail",
)
INJECTED: Final = tuple(name for name in Mix._fields if name not in NO_RATES)
"""The faults, each a family of steps."""

MIXES: Final = {
    "calm": Mix(),
    "rolling": Mix(leave=0.1, drain=0.05),
    "drains": Mix(
        crash=0.04, partition=0.05, flap=0.1, worker_crash=0.03, leave=0.1, drain=0.15, worker_drain=0.05
    ),
    "drains_cut": Mix(
        drain=0.1, drain_cut=0.12, partition=0.08, one_way=0.05, leave=0.05, flap=0.1, worker_drain=0.03
    ),
    "crash": Mix(crash=0.12, at_slot=0.05, fuse=0.05, worker_crash=0.03, twice=0.1),
    "power": Mix(crash=0.05, crash_all=0.03, outage=0.02, fuse=0.1, worker_crash=0.05),
    "torn": Mix(fuse=0.3, crash_all=0.03, aim=0.1, aim_at="checkpoint", flap=0.05, tail=20),
    "partition": Mix(partition=0.12, one_way=0.05, cut_worker=0.05, slow=0.02, worker_crash=0.08, twice=0.1),
    "elections": Mix(
        storm=0.08,
        pause=0.05,
        flap=0.2,
        crash=0.02,
        one_way=0.05,
        aim=0.1,
        aim_at="candidate",
        linger=0.2,
        nodes=3,
        tail=20,
    ),
    "flap": Mix(flap=0.8, one_way=0.1, crash=0.03, slow=0.05, worker_leave=0.05, linger=0.3, twice=0.1),
    "workers": Mix(worker_crash=0.15, cut_worker=0.1, flap=0.2, worker_leave=0.15),
    "worker_storms": Mix(
        worker_storm=0.12, worker_crash=0.1, worker_leave=0.05, crash=0.04, flap=0.2, linger=0.2, workers=10
    ),
    "poison": Mix(poison=0.04, worker_crash=0.03, crash=0.04, flap=0.1, cut_worker=0.03, workers=6),
    "clocks": Mix(at_slot=0.05, clock_jump=0.2, pause=0.1, crash=0.05, apart_ms=180_000, drift=0.05),
    "slots": Mix(
        crash=0.03, outage=0.02, at_slot=0.25, clock_jump=0.05, flap=0.1, apart_ms=60_000, drift=0.01
    ),
    "members": Mix(
        crash=0.06, crash_all=0.01, fuse=0.05, partition=0.04, one_way=0.03, flap=0.1, worker_crash=0.03
    ),
    "replaced": Mix(
        crash=0.05, fuse=0.04, partition=0.03, flap=0.15, pause=0.03, linger=0.1, worker_crash=0.03, tail=20
    ),
    "disks": Mix(crash=0.02, io_error=0.15, no_room=0.06, fuse=0.03, flap=0.05, worker_crash=0.02),
    "slow_disks": Mix(slow_disk=0.15, crash=0.04, io_error=0.03, flap=0.1, leave=0.02, slow=0.02),
    "snapshots": Mix(
        crash=0.08,
        aim=0.25,
        aim_at="snapshot",
        bad_snapshot=0.1,
        flap=0.1,
        partition=0.05,
        linger=0.1,
        nodes=3,
        tail=20,
    ),
    "upgrade": Mix(
        upgrade=0.2,
        downgrade=0.05,
        aim=0.15,
        crash=0.06,
        fuse=0.05,
        flap=0.2,
        partition=0.03,
        leave=0.02,
        pause=0.02,
    ),
    "members_upgrade": Mix(upgrade=0.25, downgrade=0.06, crash=0.04, fuse=0.03, partition=0.03, flap=0.1),
    "aimed": Mix(aim=0.6, crash=0.05, flap=0.2, partition=0.04, leave=0.03, drain=0.03, nodes=3, tail=20),
    "full": Mix(
        crash=0.06,
        crash_all=0.01,
        outage=0.01,
        at_slot=0.03,
        fuse=0.04,
        partition=0.06,
        one_way=0.05,
        flap=0.3,
        pause=0.05,
        slow_disk=0.02,
        bad_snapshot=0.02,
        storm=0.01,
        aim=0.05,
        worker_crash=0.03,
        worker_storm=0.01,
        clock_jump=0.05,
        slow=0.03,
        linger=0.1,
        twice=0.05,
        poison=0.01,
        cut_worker=0.03,
        leave=0.02,
        worker_leave=0.05,
        drain=0.03,
        drain_cut=0.02,
        worker_drain=0.02,
    ),
}

GROWING: Final = ("members", "members_upgrade")
"""Mixes under which an operator changes the members, from one node on."""

REPLACING: Final = ("replaced",)
"""Mixes under which an operator replaces machines that are lost for good, one after the other."""

GENTLE: Final = ("calm", "rolling")
"""Mixes under which no attempt may be lost."""
