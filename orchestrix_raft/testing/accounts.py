"""The accounts of a run: what was acknowledged against what the cluster and the ledger of effects say.

Nothing is taken on trust: a job counts as completed when the cluster says so *and*, with a ledger, when
its handler wrote that it ended.  An execution beyond the first must have a cause in the job's history.
"""

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from orchestrix_raft.client.aio import AsyncClient
from orchestrix_raft.client.model import TERMINAL, Attempt, Job
from orchestrix_raft.testing.ledger import Ledger, LedgerLine, per_job
from orchestrix_raft.wire.errors import DeadlineExceeded, JobNotFound

PARALLEL: Final = 50  # reads under way

Answer = TypeVar("Answer")


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the jobs whose ids a client holds."""

    enqueued: int  # acknowledged
    states: dict[str, int]  # of those that exist
    missing: tuple[str, ...]  # acknowledged, and nobody knows them
    unfinished: tuple[str, ...]
    executions: int  # handler starts in the ledger
    ends: int  # handler ends in the ledger
    reexecuted: dict[str, str]  # job -> why it was started again, from its history
    unexplained: dict[str, str]  # job -> what is in the ledger and has no reason in the history
    ended_twice: tuple[str, ...]  # jobs whose effect happened more than once
    never_ended: tuple[str, ...]  # completed jobs without an end in the ledger

    @property
    def completed(self) -> int:
        return self.states.get("completed", 0)

    @property
    def lost(self) -> int:
        """Acknowledged jobs that are gone, or did not come to an end."""
        return len(self.missing) + len(self.unfinished)

    @property
    def clean(self) -> bool:
        """Every job completed, with its effect exactly once, and nothing is without an explanation."""
        return (
            self.completed == self.enqueued
            and not self.lost
            and not self.unexplained
            and not self.ended_twice
            and not self.never_ended
        )


async def audit(
    client: AsyncClient,
    job_ids: Sequence[str],
    ledger: Ledger | None = None,
    patience_s: float = 0.0,
    in_doubt: Collection[str] = (),
) -> Accounts:
    """Look up every job and compare; to be called when the jobs should be over, or will be soon.

    in_doubt: ids of jobs whose enqueueing had an unknown outcome; they may have run.
    """
    jobs = await lookup(client, job_ids, patience_s)
    return await compare(client, job_ids, jobs, ledger, in_doubt)


async def lookup(client: AsyncClient, job_ids: Sequence[str], patience_s: float = 0.0) -> dict[str, Job]:
    """The jobs that exist, each when it is over, or as it is after `patience_s`.

    They are listed a thousand at a time (then long results are left out); what is not found among the
    finished ones is asked for by id.
    """
    wanted = set(job_ids)
    listed = await client.list_jobs(TERMINAL, limit=2 * len(wanted) + 1_000)
    found = {job.id: job for job in listed if job.id in wanted}
    until = time.monotonic() + patience_s

    async def ask(job_id: str) -> Job | None:
        with contextlib.suppress(JobNotFound, DeadlineExceeded):
            return await client.wait(job_id, max(0.0, until - time.monotonic()))
        with contextlib.suppress(JobNotFound):
            return await client.get(job_id)
        return None

    left = [job_id for job_id in job_ids if job_id not in found]
    return found | {job.id: job for job in await _gather(ask, left) if job is not None}


async def compare(
    client: AsyncClient,
    job_ids: Sequence[str],
    jobs: Mapping[str, Job],
    ledger: Ledger | None,
    in_doubt: Collection[str] = (),
) -> Accounts:
    """The accounts of jobs that were looked up; asks for the history of those that started again."""
    lines = ledger.lines() if ledger else None
    starts = per_job(lines or (), "start")
    again = [job_id for job_id, count in starts.items() if count > 1 and job_id in jobs]
    histories = dict(zip(again, await _gather(client.history, again), strict=True))
    return account(job_ids, jobs, lines, histories, in_doubt)


def account(
    job_ids: Sequence[str],
    jobs: Mapping[str, Job],
    lines: Sequence[LedgerLine] | None,
    histories: Mapping[str, Sequence[Attempt]],
    in_doubt: Collection[str] = (),
) -> Accounts:
    """The comparison itself.  jobs: those that exist.  lines: None without a ledger.  histories: at least of
    the jobs with more than one start."""
    acknowledged = set(job_ids)
    starts, ends = (per_job(lines or (), what) for what in ("start", "end"))
    reexecuted: dict[str, str] = {}
    unexplained: dict[str, str] = {}
    tokens: defaultdict[str, list[LedgerLine]] = defaultdict(list)
    for line in lines or ():
        if line.what == "start":
            tokens[line.job_id].append(line)
    for job_id, begun in tokens.items():
        if job_id not in acknowledged:
            if job_id in in_doubt:
                continue
            unexplained[job_id] = "was never offered by the client"
        elif len(begun) > 1:
            why, fault = _explain(begun, histories.get(job_id, ()))
            (unexplained if fault else reexecuted)[job_id] = fault or why
    completed = [job_id for job_id in job_ids if job_id in jobs and jobs[job_id].state == "completed"]
    return Accounts(
        enqueued=len(acknowledged),
        states=dict(Counter(job.state for job in jobs.values())),
        missing=tuple(job_id for job_id in job_ids if job_id not in jobs),
        unfinished=tuple(job_id for job_id, job in jobs.items() if job.state not in TERMINAL),
        executions=starts.total(),
        ends=ends.total(),
        reexecuted=reexecuted,
        unexplained=unexplained,
        ended_twice=tuple(job_id for job_id, count in ends.items() if count > 1),
        never_ended=() if lines is None else tuple(job_id for job_id in completed if not ends[job_id]),
    )


def _explain(begun: Sequence[LedgerLine], history: Sequence[Attempt]) -> tuple[str, str]:
    """(why it was started again, or what cannot be explained): each start needs a token of its own, and each
    but the last a history entry that says how that attempt ended, short of completing."""
    known = {attempt.fencing_token: attempt for attempt in history}
    used = Counter(line.token for line in begun)
    twice = [token for token, count in used.items() if count > 1]
    if twice:
        return "", f"assignment {twice[0]} was started {used[twice[0]]} times"
    reasons = []
    for line in sorted(begun, key=lambda line: line.token)[:-1]:
        attempt = known.get(line.token)
        if attempt is None or attempt.state == "completed":
            return "", f"attempt {line.attempt} was followed by another one, and its history does not say why"
        reasons.append(f"{attempt.state}: {attempt.reason or attempt.error}".strip(": "))
    return "; ".join(reasons), ""


async def _gather(ask: Callable[[str], Awaitable[Answer]], job_ids: Sequence[str]) -> list[Answer]:
    """Answers in order, PARALLEL questions at a time."""
    answers: list[Answer] = []
    for first in range(0, len(job_ids), PARALLEL):
        answers += await asyncio.gather(*(ask(job_id) for job_id in job_ids[first : first + PARALLEL]))
    return answers
