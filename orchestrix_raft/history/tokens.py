"""A single valid token: they grow, each is used once, and what an old one says counts for nothing."""

from typing import Final

from orchestrix_raft.history.gathered import Execution, History
from orchestrix_raft.history.records import Event, Line
from orchestrix_raft.history.verdict import Findings, Verdict

CHECK: Final = "tokens"

_ENDS: Final = frozenset({"job_completed", "attempt_ended", "job_released"})


def check_tokens(history: History) -> Verdict:
    """Executions, attempts, and the events if there are any."""
    findings = Findings(CHECK)
    findings.looked_at = len(history.executions)
    _used_once(findings, history)
    _accepted_late(findings, history)
    _attempts_grow(findings, history)
    _events_in_order(findings, history)
    _seen(findings, history)
    return findings.verdict()


def _used_once(findings: Findings, history: History) -> None:
    for token, runs in sorted(history.executions.items()):
        lines = [line for run in runs for line in run.lines]
        if len({run.start.job for run in runs}) > 1:
            findings.violation(f"token {token} was given to two jobs", lines)
        elif len(runs) > 1:
            processes = len({run.start.p for run in runs})
            where = f"in {processes} processes" if processes > 1 else "in one process"
            findings.violation(f"the handler of token {token} was started {len(runs)} times {where}", lines)


def _accepted_late(findings: Findings, history: History) -> None:
    """A report that was made after the job had begun under a newer token cannot count."""
    for job_id, tokens in sorted(history.tokens.items()):
        runs = sorted((run for token in set(tokens) for run in history.executions[token]), key=_token)
        for position, run in enumerate(runs):
            newer = [other for other in runs[position + 1 :] if other.start.token > run.start.token]
            late = next((other for other in newer if _reported_after(run, other)), None)
            if late is not None:
                what = (
                    f"a report of token {run.start.token} of job {job_id} was accepted after token"
                    f" {late.start.token} had been assigned"
                )
                findings.violation(what, (*late.lines[:1], *run.lines))


def _token(run: Execution) -> int:
    return run.start.token


def _reported_after(run: Execution, newer: Execution) -> bool:
    end = run.end
    return end is not None and run.accepted is not None and run.clock == newer.clock and newer.start.t < end.t


def _attempts_grow(findings: Findings, history: History) -> None:
    owners: dict[int, tuple[str, Line]] = {}
    for job_id, (final, line) in sorted(history.jobs.items()):
        newest = 0
        for attempt in final.attempts:
            if attempt.token <= newest:
                findings.violation(f"attempt {attempt.attempt} of job {job_id} has an older token", (line,))
            newest = max(newest, attempt.token)
            other, other_line = owners.setdefault(attempt.token, (job_id, line))
            if other != job_id:
                findings.violation(f"token {attempt.token} is in two jobs", (other_line, line))
            for run in history.executions.get(attempt.token, ()):
                if run.start.job != job_id:
                    what = f"token {attempt.token} of job {job_id} was started as another job's"
                    findings.violation(what, (run.start_line, line))
        begun = max(history.tokens.get(job_id, ()), default=0)
        if max(newest, begun) > final.token:
            lines = (*(run.start_line for run in history.executions.get(begun, ())), line)
            findings.violation(f"job {job_id} ends with token {final.token} and had a newer one", lines)


def _events_in_order(findings: Findings, history: History) -> None:
    """Assignments have ever newer tokens, and what ends an attempt names the newest one of its job."""
    newest = 0
    of_job: dict[str, tuple[int, Line]] = {}
    ended: dict[int, Line] = {}
    for event, line in history.events:
        token = event.d.get("token", 0)
        if event.kind == "job_assigned":
            if token <= newest:
                findings.violation(f"token {token} was assigned after {newest}", (line,))
            newest = max(newest, token)
            of_job[event.job] = (token, line)
        elif event.kind in _ENDS:
            valid, assigned = of_job.get(event.job, (token, line))
            if token != valid:
                what = f"{event.kind} of job {event.job} under token {token}; the valid one was {valid}"
                findings.violation(what, (assigned, line))
            elif token in ended:
                findings.violation(f"token {token} of job {event.job} ended twice", (ended[token], line))
            ended[token] = line


def _seen(findings: Findings, history: History) -> None:
    """What clients saw as the token of a job is not another one's, and was assigned if that is known."""
    owners = {event.d.get("token", 0): (event.job, line) for event, line in history.events if _assigns(event)}
    first = min(owners, default=None)
    for runs in history.executions.values():
        for run in runs:
            owners.setdefault(run.start.token, (run.start.job, run.start_line))
    for operation in history.operations:
        told, told_at = operation.told, operation.told_at
        if told is None or told_at is None or not told.token:
            continue
        job_id = operation.asked.job
        owner, line = owners.get(told.token, ("", None))
        if owner and owner != job_id and line is not None:
            findings.violation(f"job {job_id} was seen with the token of another one", (line, told_at))
        elif not owner and history.has_events and first is not None and told.token >= first:
            findings.violation(f"job {job_id} was seen with a token that was never assigned", (told_at,))


def _assigns(event: Event) -> bool:
    return event.kind == "job_assigned"
