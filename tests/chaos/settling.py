"""The end of a run: what the clients were told, against what the cluster holds, what handlers wrote down, and
what the event feed told."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from orchestrix_raft.client.aio import AsyncClient
from orchestrix_raft.client.model import TERMINAL, Job
from orchestrix_raft.testing.accounts import Accounts, compare
from orchestrix_raft.testing.ledger import Ledger
from orchestrix_raft.wire.errors import JobNotFound
from tests.chaos.load import LIMITED, SCHEDULES, Books
from tests.chaos.watch import Watch

ALL: Final = 10_000_000
SHOWN: Final = 5  # examples of what is wrong
MAY_END: Final[Mapping[str, frozenset[str]]] = {
    "doomed": frozenset({"dead", "completed"}),
    "long": frozenset({"completed", "cancelled"}),
    "delayed": frozenset({"completed", "cancelled"}),
}
"""Sort of job -> how one may end; all others are completed.  Any may be dead of five lost workers."""


class Settled(msgspec.Struct, kw_only=True):
    """Counts, and what must not be."""

    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0  # completions counted twice, executions without a cause, slots fired twice
    executions: int = 0
    again: int = 0  # executions beyond the first, each with its cause
    in_doubt: int = 0
    in_doubt_exist: int = 0
    refused: int = 0
    slots: int = 0
    cancelled: int = 0
    events: int = 0
    problems: list[str] = []

    def wrong(self, what: str, of: list[str]) -> int:
        """One line if there is any; how many there are."""
        if of:
            more = f" and {len(of) - SHOWN} more" if len(of) > SHOWN else ""
            self.problems.append(f"{what}: {', '.join(of[:SHOWN])}{more}")
        return len(of)


async def settle(client: AsyncClient, books: Books, ledger: Ledger, watch: Watch) -> Settled:
    """To be called when the cluster is at rest."""
    told = Settled(in_doubt=len(books.in_doubt), refused=len(books.refused))
    jobs = {job.id: job for job in await client.list_jobs(limit=ALL)}
    found = [job_id for job_id in books.in_doubt if job_id in jobs]
    told.in_doubt_exist = len(found)
    sorts = books.acknowledged | {job_id: books.in_doubt[job_id] for job_id in found}
    told.acknowledged = len(books.acknowledged)
    absent = [job_id for job_id in books.acknowledged if job_id not in jobs]
    told.lost += told.wrong("acknowledged and gone", [i for i in absent if await _is_gone(client, i)])
    unfinished = [job_id for job_id, job in jobs.items() if job.state not in TERMINAL]
    told.lost += told.wrong("not over", [f"{i} {jobs[i].state}" for i in unfinished])
    told.wrong("acknowledged and then not found by a read", books.unseen)
    told.wrong("said to be certainly not enqueued, and there", [i for i in books.refused if i in jobs])
    fired = {job_id: "schedule" for job_id, job in jobs.items() if job.schedule}
    accounts = await compare(client, [*sorts, *fired], jobs, ledger)
    _judge_executions(told, accounts, ledger, watch)
    _judge_ends(told, sorts | fired, jobs, books)
    await _judge_slots(client, told, books, jobs)
    return told


async def _is_gone(client: AsyncClient, job_id: str) -> bool:
    try:
        await client.get(job_id)
    except JobNotFound:
        return True
    return False


def _judge_executions(told: Settled, accounts: Accounts, ledger: Ledger, watch: Watch) -> None:
    told.executions = accounts.executions
    told.again = accounts.executions - len({line.job_id for line in ledger.lines() if line.what == "start"})
    unexplained = [f"{job_id} {why}" for job_id, why in accounts.unexplained.items()]
    told.doubled += told.wrong("executions without a cause", unexplained)
    twice = [job_id for job_id, count in watch.completions.items() if count > 1]
    told.doubled += told.wrong("completions counted twice", twice)
    told.wrong("completed without an effect", list(accounts.never_ended))
    strange = {
        f"{line.job_id} under {line.token}"
        for line in ledger.lines()
        if line.what == "start" and line.token not in watch.assigned.get(line.job_id, ())
    }
    told.wrong("started under a token that no event assigned", sorted(strange))
    open_ended = [
        f"{job_id} under {token}"
        for job_id, tokens in watch.assigned.items()
        for token in tokens
        if token not in watch.ended
    ]
    told.wrong("assignments without an end", open_ended)


def _judge_ends(told: Settled, sorts: Mapping[str, str], jobs: Mapping[str, Job], books: Books) -> None:
    strange = []
    for job_id, sort in sorts.items():
        job = jobs.get(job_id)
        if job is None or job.state not in TERMINAL:
            continue
        poison = job.state == "dead" and job.reason == "poison"
        if job.state not in MAY_END.get(sort, {"completed"}) and not poison:
            strange.append(f"{job_id} {sort} {job.state} {job.reason} {job.error}")
        if job.state == "cancelled" and job_id not in books.cancelled:
            strange.append(f"{job_id} is cancelled, and nobody asked for it")
    told.wrong("ended as they should not", strange)
    cancelled = [i for i, word in books.cancelled.items() if word == "cancelled" and i in jobs]
    unheeded = [i for i in cancelled if jobs[i].state != "cancelled"]
    told.wrong("said to be cancelled, and not", unheeded)
    told.cancelled = sum(job.state == "cancelled" for job in jobs.values())
    told.wrong(
        "in a queue of no kind", [i for i, job in jobs.items() if job.queue not in ("default", LIMITED)]
    )


async def _judge_slots(client: AsyncClient, told: Settled, books: Books, jobs: Mapping[str, Job]) -> None:
    fired: defaultdict[str, Counter[datetime]] = defaultdict(Counter)
    for job in jobs.values():
        if job.schedule and job.scheduled_for is not None:
            fired[job.schedule][job.scheduled_for] += 1
    for name, period_s in SCHEDULES.items():
        schedule = await client.schedules.get(name)
        if schedule.last_slot is None:
            told.problems.append(f"the schedule {name} has never fired")
            continue
        first, last = books.first_slots[name], schedule.last_slot
        count = round((last - first) / timedelta(seconds=period_s)) + 1
        expected = {first + number * timedelta(seconds=period_s) for number in range(count)}
        told.slots += sum(fired[name].values())
        lost = sorted(str(slot) for slot in expected - fired[name].keys())
        if len(lost) != schedule.skipped:  # a clock that leaps makes more slots due than are made up for
            told.lost += told.wrong(f"slots of {name} without a run, {schedule.skipped} skipped", lost)
        twice = [str(slot) for slot, runs in fired[name].items() if runs > 1]
        told.doubled += told.wrong(f"slots of {name} fired twice", twice)
        told.wrong(f"runs of {name} without a slot", [str(s) for s in fired[name].keys() - expected])
