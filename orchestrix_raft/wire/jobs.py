"""jobs.proto: jobs, attempts, log lines, and the batches of Enqueue."""

from collections.abc import Iterable, Mapping
from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import (
    Attempt,
    AttemptState,
    Job,
    JobSpec,
    JobState,
    OnConflict,
    UniqueRule,
    UniqueScope,
)
from orchestrix_raft.domain.retry import DEFAULT_RETRY
from orchestrix_raft.wire.common import firing_message, retry_message, retry_policy
from orchestrix_raft.wire.v1 import jobs_pb2 as pb

NewJob = pb.NewJob
UniqueRuleMessage = pb.UniqueRule
EnqueueRequest = pb.EnqueueRequest
EnqueueResponse = pb.EnqueueResponse
GetJobRequest = pb.GetJobRequest
GetJobResponse = pb.GetJobResponse
WaitJobRequest = pb.WaitJobRequest
ListJobsRequest = pb.ListJobsRequest
ListJobsResponse = pb.ListJobsResponse
GetHistoryRequest = pb.GetHistoryRequest
GetHistoryResponse = pb.GetHistoryResponse
GetLogsRequest = pb.GetLogsRequest
GetLogsResponse = pb.GetLogsResponse
CancelJobsRequest = pb.CancelJobsRequest
RetryJobsRequest = pb.RetryJobsRequest
PurgeJobsRequest = pb.PurgeJobsRequest
JobsResponse = pb.JobsResponse
JobFilterMessage = pb.JobFilter
WhereRequest = pb.WhereRequest
WhereResponse = pb.WhereResponse
ExplainJobRequest = pb.ExplainJobRequest
ExplainJobResponse = pb.ExplainJobResponse
ReasonMessage = pb.Reason
JobMessage = pb.Job
AttemptMessage = pb.Attempt
LogLineMessage = pb.LogLine

LISTED_PAYLOAD_BYTES: Final = 1 << 10  # a page of 1,000 jobs stays within a few MiB
LISTED_ERROR_CHARS: Final = 1_000
_STATES: Final = {s: f"JOB_STATE_{s.name}" for s in JobState}
_SCOPES: Final = {int(pb.UniqueRule.Scope.Value(f"SCOPE_{s.name}")): s for s in UniqueScope}
_ON_CONFLICT: Final = {
    int(pb.UniqueRule.OnConflict.Value(f"ON_CONFLICT_{one.name}")): one for one in OnConflict
}
_NO_RESULT: Final = "no result within "
_ATTEMPT_STATES: Final = {s: f"ATTEMPT_STATE_{s.name}" for s in AttemptState}


def job_specs(request: pb.EnqueueRequest) -> list[JobSpec]:
    """What was asked for, in order, defaults filled in and labels sorted.  Nothing is checked, but ValueError
    for a choice that this version does not know."""
    return [
        JobSpec(
            m.job_id,
            m.type,
            m.queue or "default",
            m.args or b"{}",
            m.priority,
            m.run_at_ms,
            m.delay_ms,
            m.timeout_ms,
            retry_policy(m.retry) if m.HasField("retry") else DEFAULT_RETRY,
            m.unique_key,
            m.correlation_id,
            tuple(sorted(set(labels))) if (labels := m.labels) else (),
            key=m.key,
            unique=_unique_rule(m.unique) if m.HasField("unique") else None,
            expires_ms=m.expires_ms,
            retry_for_ms=m.retry_for_ms,
        )
        for m in request.jobs
    ]


def _unique_rule(message: pb.UniqueRule) -> UniqueRule:
    scope, on_conflict = _SCOPES.get(message.scope), _ON_CONFLICT.get(message.on_conflict)
    if scope is None:
        raise ValueError(f"unique scope {message.scope} is unknown here (there are {_words(_SCOPES)})")
    if on_conflict is None:
        known = _words(_ON_CONFLICT)
        raise ValueError(f"on_conflict {message.on_conflict} is unknown here (there are {known})")
    default_ms = limits.UNIQUE_FOR_MS if scope is UniqueScope.WINDOW else 0
    return UniqueRule(scope, message.for_ms or default_ms, on_conflict)


def _words(choices: Mapping[int, UniqueScope | OnConflict]) -> str:
    return ", ".join(f"{number} {choice.word}" for number, choice in choices.items())


def unique_rule_message(scope: UniqueScope, for_ms: int, on_conflict: OnConflict) -> pb.UniqueRule:
    """The form for the wire."""
    return pb.UniqueRule(
        scope=f"SCOPE_{scope.name}", for_ms=for_ms, on_conflict=f"ON_CONFLICT_{on_conflict.name}"
    )


def new_job_message(spec: JobSpec) -> pb.NewJob:
    """A job as it would be asked for."""
    rule = spec.unique
    return pb.NewJob(
        job_id=spec.job_id,
        type=spec.type,
        queue=spec.queue,
        args=spec.args,
        priority=spec.priority,
        run_at_ms=spec.run_at_ms,
        delay_ms=spec.delay_ms,
        timeout_ms=spec.timeout_ms,
        retry=retry_message(spec.retry),
        unique_key=spec.unique_key,
        correlation_id=spec.correlation_id,
        labels=spec.labels,
        key=spec.key,
        unique=None if rule is None else unique_rule_message(rule.scope, rule.for_ms, rule.on_conflict),
        expires_ms=spec.expires_ms,
        retry_for_ms=spec.retry_for_ms,
    )


def enqueue_response(
    index: int, existing: Mapping[int, bytes], rejected: Mapping[int, Rejected], batch_id: int
) -> pb.EnqueueResponse:
    """The answer to one batch; both mappings are by position in the request."""
    response = pb.EnqueueResponse(applied_index=index, batch_id=batch_id)
    for position, job_id in existing.items():
        response.existing.add(position=position, job_id=job_id)
    for position, why in rejected.items():
        response.rejected.add(position=position, code=why.code, reason=why.reason, message=why.message)
    return response


def enqueue_failure(batch_id: int, code: int, reason: str, message: str) -> pb.EnqueueResponse:
    """The answer to a batch of a stream that was not applied as a whole, or whose outcome is unknown."""
    error = pb.StreamError(code=code, reason=reason, message=message)
    return pb.EnqueueResponse(batch_id=batch_id, error=error)


def job_message(job: Job, args: bytes, scheduled_ms: int) -> pb.Job:
    """A job in full."""
    spec = job.spec
    rule = spec.unique
    return pb.Job(
        job_id=spec.job_id,
        type=spec.type,
        queue=spec.queue,
        args=args,
        priority=spec.priority,
        state=_STATES[job.state],
        attempt=job.attempt,
        failures=job.failures,
        losses=job.losses,
        max_retries=spec.retry.max_retries,
        result=job.result,
        error=_told(job.error),
        reason=job.reason,
        progress_percent=job.progress_percent,
        progress_message=job.progress_message,
        owner=job.owner,
        worker=job.worker,
        fencing_token=job.token,
        created_ms=job.created_ms,
        scheduled_ms=scheduled_ms,
        dispatched_ms=job.dispatched_ms,
        started_ms=job.started_ms,
        finished_ms=job.finished_ms,
        timeout_ms=spec.timeout_ms,
        unique_key=spec.unique_key,
        correlation_id=spec.correlation_id,
        labels=spec.labels,
        retry_for_ms=spec.retry_for_ms,
        key=spec.key,
        unique=None if rule is None else unique_rule_message(rule.scope, rule.for_ms, rule.on_conflict),
        expires_ms=spec.expires_ms,
        firing=None if spec.firing is None else firing_message(spec.firing),
    )


def listed_job_message(job: Job, args: bytes, scheduled_ms: int) -> pb.Job:
    """A job as one of many: long arguments, results and errors are cut, and `abridged` says so."""
    message = job_message(job, b"", scheduled_ms)
    if len(args) <= LISTED_PAYLOAD_BYTES:
        message.args = args
    else:
        message.abridged = True
    if len(job.result) > LISTED_PAYLOAD_BYTES:
        message.result, message.abridged = b"", True
    if len(job.error) > LISTED_ERROR_CHARS:
        message.error, message.abridged = message.error[:LISTED_ERROR_CHARS], True
    return message


def attempt_messages(attempts: Iterable[Attempt]) -> list[pb.Attempt]:
    """Finished attempts, in the order given."""
    return [
        pb.Attempt(
            attempt=a.attempt,
            fencing_token=a.token,
            state=_ATTEMPT_STATES[a.state],
            worker=a.worker,
            node=a.node_id,
            dispatched_ms=a.dispatched_ms,
            started_ms=a.started_ms,
            finished_ms=a.finished_ms,
            error=_told(a.error),
            reason=_told(a.reason),
        )
        for a in attempts
    ]


def _told(words: str) -> str:
    """Why an attempt ended, for people.  Of one that had its time the state says `no result within 5000 ms`;
    the word that people look for is put before it here: nodes of all versions must hold the same state."""
    return f"timeout: {words}" if words.startswith(_NO_RESULT) else words


def logs_response(
    lines: Iterable[tuple[int, int, int, str, str, int]], silent: Iterable[str]
) -> pb.GetLogsResponse:
    """Lines as (token, number, at_ms, level, message, attempt); silent: members that did not answer."""
    response = pb.GetLogsResponse(silent_nodes=silent)
    for token, number, at_ms, level, message, attempt in lines:
        response.lines.add(
            token=token, attempt=attempt, number=number, at_ms=at_ms, level=level, message=message
        )
    return response
