"""Restart every node, one after the other, while jobs run, and measure how long no job was started.

The jobs that matter run before the first restart and end after the last.  Short ones beside them show the
gaps.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from orchestrix_raft.client.model import Job
from orchestrix_raft.client.sync import Client
from orchestrix_raft.testing.cluster import LocalCluster
from orchestrix_raft.testing.ledger import Ledger, longest_pause
from orchestrix_raft.testing.load import Load
from orchestrix_raft.testing.waiting import eventually

PER_S: Final = 50.0  # of the short jobs
STEADY_JOBS: Final = 40  # short jobs that start before the next restart, and after the last


class Restart(NamedTuple):
    """One node."""

    number: int
    took_s: float  # from the signal to the end of the process
    gap_s: float  # the longest time without a start from the signal until the node is back
    said: str  # by the process that ended


def short_job(number: int) -> tuple[str, Mapping[str, Any]]:
    """What shows the gaps."""
    return "noop", {"n": number}


def rolling_restart(
    cluster: LocalCluster, ledger: Ledger, *, kill: bool, order: Sequence[int] = ()
) -> tuple[Load, list[Restart]]:
    """Each node in `order` (default: all): SIGTERM, or SIGKILL if `kill`, then start it again and wait until
    it follows.  The ledger is that of the workers, which must run already."""
    done: list[Restart] = []
    with Load(cluster.servers, PER_S, short_job) as load:
        _await_more(ledger)
        for number in order or range(len(cluster)):
            process = cluster.node(number)
            began_s = time.monotonic()
            if kill:
                process.kill()
            else:
                process.stop()
            took_s = time.monotonic() - began_s
            cluster.start_node(number)
            cluster.await_following(number)
            cluster.await_healthy()
            _await_more(ledger)
            begin, end = longest_pause(ledger.lines(), began_s, time.monotonic() - began_s)
            done.append(Restart(number, took_s, end - begin, process.text()))
    return load, done


def _await_more(ledger: Ledger) -> None:
    begun = ledger.count("start")
    eventually(lambda: ledger.count("start") >= begun + STEADY_JOBS, "short jobs start")


def restarted_or_counted(client: Client, job_ids: Sequence[str]) -> list[Job]:
    """Those of the jobs for which a restart was more than nothing: another attempt, a failure, a loss."""
    jobs = [client.wait(job_id, timeout=60.0) for job_id in job_ids]
    return [
        job for job in jobs if (job.state, job.attempt, job.failures, job.losses) != ("completed", 1, 0, 0)
    ]
