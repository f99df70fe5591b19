"""A schedule on a real cluster whose leaders are killed: which slots became runs, and how often."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from orchestrix_raft.client.model import Job
from orchestrix_raft.client.sync import Client
from orchestrix_raft.testing.cluster import LocalCluster
from orchestrix_raft.testing.waiting import eventually

PERIOD_S = 1.0
BEFORE_SLOT_S = (0.02, 0.15, 0.4, 0.7, -0.01)
"""When leaders die, in turn: before a slot, or just after."""
SCHEDULE = "every-second"


class Slots(NamedTuple):
    """What became of the slots between the first run and the last."""

    expected: int
    fired: list[datetime]  # with repeats, if there are any
    unfinished: int
    most_late_s: float  # from a slot to the creation of its job

    @property
    def lost(self) -> int:
        """Slots without a run."""
        return self.expected - len(set(self.fired))

    @property
    def doubled(self) -> int:
        """Runs beyond one a slot."""
        return len(self.fired) - len(set(self.fired))


def fire_through_kills(cluster: LocalCluster, kills: int, runs_between: int) -> Slots:
    """Run a job every second, and kill the leader after every `runs_between` runs, around a slot; it is
    started again.  That a slot found nobody to lead is shown by `most_late_s`."""
    with Client(cluster.servers) as client:
        made = client.schedules.every(SCHEDULE, PERIOD_S, "noop", misfire="all", overlap="allow")
        for kill in range(1, kills + 1):
            _await_runs(client, kill * runs_between)
            victim = cluster.leader()
            _await_slot(client, BEFORE_SLOT_S[kill % len(BEFORE_SLOT_S)])
            cluster.kill(victim)
            cluster.leader()
            cluster.start_node(victim)
        _await_runs(client, (kills + 1) * runs_between)
        client.schedules.pause(SCHEDULE)
        jobs = eventually(lambda: _finished(client), "all runs to be completed")
        last = client.schedules.get(SCHEDULE).last_slot
    assert made.next_slot is not None
    assert last is not None
    fired = [job.scheduled_for for job in jobs if job.scheduled_for is not None]
    late = [job.created_at - job.scheduled_for for job in jobs if job.created_at and job.scheduled_for]
    expected = round((last - made.next_slot) / timedelta(seconds=PERIOD_S)) + 1
    unfinished = sum(job.state != "completed" for job in jobs)
    return Slots(expected, fired, unfinished, max(late).total_seconds())


def _await_runs(client: Client, count: int) -> None:
    eventually(
        lambda: client.schedules.get(SCHEDULE).fired >= count, f"{count} runs", timeout_s=count * 2 + 60
    )


def _await_slot(client: Client, before_s: float) -> None:
    """Return so many seconds before the next slot."""
    due = client.schedules.get(SCHEDULE).next_slot
    assert due is not None
    moment = due - timedelta(seconds=before_s)
    if moment < datetime.now(UTC):
        moment += timedelta(seconds=PERIOD_S)
    eventually(lambda: datetime.now(UTC) >= moment, f"{before_s} s before a slot", poll_s=0.002)


def _finished(client: Client) -> list[Job]:
    jobs = client.list_jobs(type="noop", limit=10_000)
    return jobs if all(job.finished for job in jobs) else []
