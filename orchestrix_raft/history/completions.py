"""Completions counted exactly once, nothing acknowledged lost, nothing begun again without a cause."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from orchestrix_raft.history.gathered import Execution, History, Operation
from orchestrix_raft.history.jobs import forgotten_jobs
from orchestrix_raft.history.records import OK, REFUSED, FinalJob, Line
from orchestrix_raft.history.verdict import Findings, Verdict

CHECK: Final = "completions"
COMPLETED: Final = "completed"
TOO_LARGE: Final = "result_too_large"
"""A handler completed, and its result is more than a job may have: the attempt failed with this reason."""

NO_END: Final = (
    "the history has no final observation (see `check-history --servers`): what became of jobs is unknown"
)


def check_completions(history: History) -> Verdict:
    """What workers and clients were told against the final observation."""
    findings = Findings(CHECK)
    if history.observed is None:
        findings.undecided(NO_END)
        return findings.verdict()
    gone = _may_be_gone(history)
    findings.looked_at = len(history.jobs) + len(history.missing)
    for operation, job_id in _acknowledged(history):
        if job_id in history.missing and job_id not in gone and not history.observed[0].forgets:
            lines = (*operation.lines, history.missing[job_id][1])
            findings.violation(f"job {job_id} was acknowledged, and is lost", lines)
    released = _released(history)
    accepted = _accepted(history)
    for job_id, (final, line) in sorted(history.jobs.items()):
        _attempts(findings, final, line)
        _counted(findings, final, line, accepted.pop(job_id, []))
        _causes(findings, history, final, line, released)
    for job_id, runs in sorted(accepted.items()):
        done = [run for run in runs if run.end is not None and run.end.outcome == COMPLETED]
        if done and job_id in history.missing and job_id not in gone and not history.observed[0].forgets:
            what = f"a completion of job {job_id} was accepted, and the job is lost"
            findings.violation(what, (*done[0].lines, history.missing[job_id][1]))
    return findings.verdict()


def _acknowledged(history: History) -> Iterator[tuple[Operation, str]]:
    """Jobs that a client was told exist, each where it was told first."""
    seen: set[str] = set()
    for operation in history.operations:
        told = operation.told
        if operation.asked.op != "enqueue" or told is None or told.outcome != OK:
            continue
        for placed in told.placed:
            if placed.id and not placed.refused and placed.id not in seen:
                seen.add(placed.id)
                yield operation, placed.id


def _may_be_gone(history: History) -> set[str]:
    """Jobs that somebody may have purged, or that the events say were forgotten."""
    gone = forgotten_jobs(history)
    filters = []
    for operation in history.operations:
        told = operation.told
        if told is not None and told.outcome == REFUSED:
            continue
        if operation.asked.op == "purge" and (told is None or told.word in ("", "purged")):
            gone.add(operation.asked.job)
        elif operation.asked.op == "purge_where":
            filters.append(operation.asked)
    for operation in history.operations:
        for spec in operation.asked.jobs:
            if any(
                (not asked.queue or asked.queue == spec.queue) and (not asked.type or asked.type == spec.type)
                for asked in filters
            ):
                gone.add(spec.id)
    return gone


def _accepted(history: History) -> dict[str, list[Execution]]:
    """Executions whose report was accepted, by job."""
    found: dict[str, list[Execution]] = defaultdict(list)
    for runs in history.executions.values():
        for run in runs:
            if run.accepted is not None and run.end is not None:
                found[run.start.job].append(run)
    return found


def _released(history: History) -> set[int]:
    """Tokens of assignments that were given back: they leave no attempt."""
    tokens = {event.d.get("token", 0) for event, _ in history.events if event.kind == "job_released"}
    for token, runs in history.executions.items():
        if any(run.end is not None and run.end.outcome == "released" for run in runs):
            tokens.add(token)
    return tokens


def _attempts(findings: Findings, final: FinalJob, line: Line) -> None:
    """The job's own history by itself."""
    done = [attempt for attempt in final.attempts if attempt.state == COMPLETED]
    if len(done) > 1:
        findings.violation(f"job {final.id} was completed {len(done)} times", (line,))
    if (final.state == COMPLETED) != bool(done) and not final.cut:
        words = "has no completed attempt" if final.state == COMPLETED else "has a completed attempt"
        findings.violation(f"job {final.id} is {final.state} and {words}", (line,))


def _counted(findings: Findings, final: FinalJob, line: Line, runs: list[Execution]) -> None:
    """A result that was accepted is in the job's history, as what it was."""
    known = {attempt.token: attempt for attempt in final.attempts}
    oldest = min(known, default=0) if final.cut else 0
    for run in runs:
        attempt = known.get(run.start.token)
        end = run.end
        if end is None or run.start.token < oldest:
            continue
        name = f"token {run.start.token} of job {final.id}"
        if end.outcome == COMPLETED:
            if attempt is None:
                findings.violation(
                    f"the accepted completion of {name} is not in its history", (*run.lines, line)
                )
            elif attempt.state != COMPLETED and attempt.reason != TOO_LARGE:
                what = f"the completion of {name} was accepted, and counts as {attempt.state}"
                findings.violation(what, (*run.lines, line))
        elif attempt is not None and attempt.state == COMPLETED:
            what = f"{name} counts as completed, and its handler ended as {end.outcome}"
            findings.violation(what, (*run.lines, line))


def _causes(findings: Findings, history: History, final: FinalJob, line: Line, released: set[int]) -> None:
    """Each start but the last has an end in the job's history that calls for another one."""
    tokens = sorted(set(history.tokens.get(final.id, ())))
    known = {attempt.token: attempt for attempt in final.attempts}
    oldest = min(known, default=0) if final.cut else 0
    for token, following in itertools.pairwise(tokens):
        attempt = known.get(token)
        if token < oldest or token in released or (attempt is not None and attempt.state != COMPLETED):
            continue
        why = "was completed" if attempt is not None else "has no end in its history"
        lines = (*history.executions[token][0].lines, *history.executions[following][0].lines, line)
        findings.violation(f"job {final.id} was started again although token {token} {why}", lines)
