"""What a worker says, checked before it may become a command.

Ids of the wrong length break the session (`Refusal`): no SDK makes them.  What a handler produced is
never a reason to break it: a result that is too large or not JSON becomes a final failure of that job,
long texts are cut.
"""

from typing import Final

from orchestrix_raft.api import checks
from orchestrix_raft.api.errors import invalid
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.report import Completed, Failed, Outcome, ProgressMark, StartedMark
from orchestrix_raft.domain.session import HandlerLine, Observation, ReportMessage, WorkerMessage

_LEVEL_CHARS: Final = 20
_ID: Final = limits.JOB_ID_BYTES
_NULL: Final = b"null"


def accept(message: WorkerMessage) -> list[WorkerMessage]:
    """The message as one or more that keep every limit; raises `Refusal`."""
    if isinstance(message, ReportMessage):
        outcomes = [_outcome(outcome) for outcome in message.outcomes]
        step = limits.BATCH_JOBS
        return [ReportMessage(tuple(outcomes[at : at + step])) for at in range(0, len(outcomes), step)]
    if isinstance(message, Observation):
        return [_observation(message)]
    return [message]


def _outcome(outcome: Outcome) -> Outcome:
    if len(outcome.job_id) != _ID:
        raise _bad_id(outcome.job_id)
    if isinstance(outcome, Completed):
        return _completed(outcome)
    if isinstance(outcome, Failed):
        return _failed(outcome)
    return outcome


def _completed(c: Completed) -> Outcome:
    text = c.result or _NULL
    wrong = "" if text == _NULL else checks.result(text)
    started_ms, finished_ms = min(c.started_ms, checks.TIME_MAX_MS), min(c.finished_ms, checks.TIME_MAX_MS)
    if wrong:
        return Failed(c.job_id, c.token, wrong, started_ms, finished_ms, final=True)
    if text is c.result and started_ms == c.started_ms and finished_ms == c.finished_ms:
        return c
    return Completed(c.job_id, c.token, text, started_ms, finished_ms)


def _failed(f: Failed) -> Failed:
    return Failed(
        f.job_id,
        f.token,
        f.error[: limits.ERROR_CHARS],
        min(f.started_ms, checks.TIME_MAX_MS),
        min(f.finished_ms, checks.TIME_MAX_MS),
        min(f.retry_in_ms, limits.DURATION_MS),
        f.final,
        f.cancelled,
    )


def _observation(seen: Observation) -> Observation:
    for job_id in (x.job_id for part in (seen.started, seen.progress, seen.lines) for x in part):
        if len(job_id) != _ID:
            raise _bad_id(job_id)
    return Observation(
        tuple(StartedMark(s.job_id, s.token, min(s.started_ms, checks.TIME_MAX_MS)) for s in seen.started),
        tuple(
            ProgressMark(p.job_id, p.token, min(p.percent, 100), p.message[: limits.MESSAGE_CHARS])
            for p in seen.progress
        ),
        tuple(
            HandlerLine(
                x.job_id,
                x.token,
                min(x.at_ms, checks.TIME_MAX_MS),
                x.level[:_LEVEL_CHARS],
                x.message[: limits.ERROR_CHARS],
                min(x.number, limits.LINE_NUMBER_MAX),
            )
            for x in seen.lines
        ),
    )


def _bad_id(job_id: bytes) -> Exception:
    return invalid("JOB_ID_INVALID", f"a job id has {len(job_id)} bytes: it must be the {_ID} of a UUID")
