"""Kill the leader again and again under load, and measure how long no job was started."""

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from orchestrix_raft.testing.cluster import LocalCluster
from orchestrix_raft.testing.ledger import Ledger, longest_pause
from orchestrix_raft.testing.load import Load, Make
from orchestrix_raft.testing.waiting import eventually

STEADY_JOBS: Final = 200  # starts in a row before the next kill, and after the last
LONG_EVERY: Final = 20  # one job of so many ...
LONG_S: Final = 2.0  # ... takes this long: it runs while the leader dies
WINDOW_S: Final = 15.0  # after the last kill; the pause is looked for here, or until the next kill


class Crashes(NamedTuple):
    """What came of it."""

    load: Load
    failovers_s: list[float]  # of each kill: from it to the end of the longest pause between two starts


def job_number(number: int) -> tuple[str, Mapping[str, Any]]:
    """The load: short jobs, among them some that outlive a change of leader."""
    if number % LONG_EVERY == 0:
        return "sleep", {"seconds": LONG_S}
    return "noop", {"n": number}


def kill_leaders(cluster: LocalCluster, ledger: Ledger, *, kills: int, per_s: float, make: Make) -> Crashes:
    """`kills` times: under a steady load, SIGKILL the leader, wait until jobs start again, restart the node
    and wait until it has caught up.  The ledger is that of the workers, which must run already."""
    killed_at_s: list[float] = []

    with Load(cluster.servers, per_s, make) as load:
        for _ in range(kills):
            _await_more(ledger, "jobs start")
            victim = cluster.leader()
            killed_at_s.append(time.monotonic())
            cluster.kill(victim)
            cluster.leader()
            _await_more(ledger, "jobs start again after the leader was killed")
            cluster.restart(victim)
            cluster.await_healthy()
        _await_more(ledger, "jobs start to the end")
    lines = ledger.lines()
    ends_s = [*killed_at_s[1:], killed_at_s[-1] + WINDOW_S]
    failovers_s = [
        longest_pause(lines, at_s, end_s - at_s)[1] - at_s
        for at_s, end_s in zip(killed_at_s, ends_s, strict=True)
    ]
    return Crashes(load, failovers_s)


def _await_more(ledger: Ledger, what: str) -> None:
    """Wait for STEADY_JOBS further starts."""
    begun = ledger.count("start")
    eventually(lambda: ledger.count("start") >= begun + STEADY_JOBS, what)
