from orchestrix_raft.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NewJob(_message.Message):
    __slots__ = ("job_id", "type", "queue", "args", "priority", "run_at_ms", "delay_ms", "timeout_ms", "retry", "unique_key", "correlation_id", "labels", "key", "unique", "expires_ms", "retry_for_ms")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    RUN_AT_MS_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_KEY_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    RETRY_FOR_MS_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    type: str
    queue: str
    args: bytes
    priority: int
    run_at_ms: int
    delay_ms: int
    timeout_ms: int
    retry: _common_pb2.RetryPolicy
    unique_key: str
    correlation_id: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    key: str
    unique: UniqueRule
    expires_ms: int
    retry_for_ms: int
    def __init__(self, job_id: _Optional[bytes] = ..., type: _Optional[str] = ..., queue: _Optional[str] = ..., args: _Optional[bytes] = ..., priority: _Optional[int] = ..., run_at_ms: _Optional[int] = ..., delay_ms: _Optional[int] = ..., timeout_ms: _Optional[int] = ..., retry: _Optional[_Union[_common_pb2.RetryPolicy, _Mapping[str, object]]] = ..., unique_key: _Optional[str] = ..., correlation_id: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., key: _Optional[str] = ..., unique: _Optional[_Union[UniqueRule, _Mapping[str, object]]] = ..., expires_ms: _Optional[int] = ..., retry_for_ms: _Optional[int] = ...) -> None: ...

class UniqueRule(_message.Message):
    __slots__ = ("scope", "for_ms", "on_conflict")
    class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SCOPE_UNTIL_DONE: _ClassVar[UniqueRule.Scope]
        SCOPE_UNTIL_STARTED: _ClassVar[UniqueRule.Scope]
        SCOPE_WINDOW: _ClassVar[UniqueRule.Scope]
    SCOPE_UNTIL_DONE: UniqueRule.Scope
    SCOPE_UNTIL_STARTED: UniqueRule.Scope
    SCOPE_WINDOW: UniqueRule.Scope
    class OnConflict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ON_CONFLICT_RETURN_EXISTING: _ClassVar[UniqueRule.OnConflict]
        ON_CONFLICT_REPLACE: _ClassVar[UniqueRule.OnConflict]
        ON_CONFLICT_REJECT: _ClassVar[UniqueRule.OnConflict]
    ON_CONFLICT_RETURN_EXISTING: UniqueRule.OnConflict
    ON_CONFLICT_REPLACE: UniqueRule.OnConflict
    ON_CONFLICT_REJECT: UniqueRule.OnConflict
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    FOR_MS_FIELD_NUMBER: _ClassVar[int]
    ON_CONFLICT_FIELD_NUMBER: _ClassVar[int]
    scope: UniqueRule.Scope
    for_ms: int
    on_conflict: UniqueRule.OnConflict
    def __init__(self, scope: _Optional[_Union[UniqueRule.Scope, str]] = ..., for_ms: _Optional[int] = ..., on_conflict: _Optional[_Union[UniqueRule.OnConflict, str]] = ...) -> None: ...

class EnqueueRequest(_message.Message):
    __slots__ = ("jobs", "batch_id")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[NewJob]
    batch_id: int
    def __init__(self, jobs: _Optional[_Iterable[_Union[NewJob, _Mapping[str, object]]]] = ..., batch_id: _Optional[int] = ...) -> None: ...

class EnqueueResponse(_message.Message):
    __slots__ = ("existing", "rejected", "applied_index", "batch_id", "error")
    class Existing(_message.Message):
        __slots__ = ("position", "job_id")
        POSITION_FIELD_NUMBER: _ClassVar[int]
        JOB_ID_FIELD_NUMBER: _ClassVar[int]
        position: int
        job_id: bytes
        def __init__(self, position: _Optional[int] = ..., job_id: _Optional[bytes] = ...) -> None: ...
    class Rejected(_message.Message):
        __slots__ = ("position", "code", "reason", "message")
        POSITION_FIELD_NUMBER: _ClassVar[int]
        CODE_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        position: int
        code: int
        reason: str
        message: str
        def __init__(self, position: _Optional[int] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
    EXISTING_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    existing: _containers.RepeatedCompositeFieldContainer[EnqueueResponse.Existing]
    rejected: _containers.RepeatedCompositeFieldContainer[EnqueueResponse.Rejected]
    applied_index: int
    batch_id: int
    error: StreamError
    def __init__(self, existing: _Optional[_Iterable[_Union[EnqueueResponse.Existing, _Mapping[str, object]]]] = ..., rejected: _Optional[_Iterable[_Union[EnqueueResponse.Rejected, _Mapping[str, object]]]] = ..., applied_index: _Optional[int] = ..., batch_id: _Optional[int] = ..., error: _Optional[_Union[StreamError, _Mapping[str, object]]] = ...) -> None: ...

class StreamError(_message.Message):
    __slots__ = ("code", "reason", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("job_id", "type", "queue", "args", "priority", "state", "attempt", "failures", "losses", "max_retries", "result", "error", "reason", "progress_percent", "progress_message", "owner", "worker", "fencing_token", "created_ms", "scheduled_ms", "dispatched_ms", "started_ms", "finished_ms", "timeout_ms", "unique_key", "correlation_id", "labels", "abridged", "retry_for_ms", "key", "unique", "expires_ms", "firing")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_MS_FIELD_NUMBER: _ClassVar[int]
    DISPATCHED_MS_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_MS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_KEY_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ABRIDGED_FIELD_NUMBER: _ClassVar[int]
    RETRY_FOR_MS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    FIRING_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    type: str
    queue: str
    args: bytes
    priority: int
    state: _common_pb2.JobState
    attempt: int
    failures: int
    losses: int
    max_retries: int
    result: bytes
    error: str
    reason: str
    progress_percent: int
    progress_message: str
    owner: str
    worker: str
    fencing_token: int
    created_ms: int
    scheduled_ms: int
    dispatched_ms: int
    started_ms: int
    finished_ms: int
    timeout_ms: int
    unique_key: str
    correlation_id: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    abridged: bool
    retry_for_ms: int
    key: str
    unique: UniqueRule
    expires_ms: int
    firing: _common_pb2.Firing
    def __init__(self, job_id: _Optional[bytes] = ..., type: _Optional[str] = ..., queue: _Optional[str] = ..., args: _Optional[bytes] = ..., priority: _Optional[int] = ..., state: _Optional[_Union[_common_pb2.JobState, str]] = ..., attempt: _Optional[int] = ..., failures: _Optional[int] = ..., losses: _Optional[int] = ..., max_retries: _Optional[int] = ..., result: _Optional[bytes] = ..., error: _Optional[str] = ..., reason: _Optional[str] = ..., progress_percent: _Optional[int] = ..., progress_message: _Optional[str] = ..., owner: _Optional[str] = ..., worker: _Optional[str] = ..., fencing_token: _Optional[int] = ..., created_ms: _Optional[int] = ..., scheduled_ms: _Optional[int] = ..., dispatched_ms: _Optional[int] = ..., started_ms: _Optional[int] = ..., finished_ms: _Optional[int] = ..., timeout_ms: _Optional[int] = ..., unique_key: _Optional[str] = ..., correlation_id: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., abridged: _Optional[bool] = ..., retry_for_ms: _Optional[int] = ..., key: _Optional[str] = ..., unique: _Optional[_Union[UniqueRule, _Mapping[str, object]]] = ..., expires_ms: _Optional[int] = ..., firing: _Optional[_Union[_common_pb2.Firing, _Mapping[str, object]]] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("job_id", "read")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    read: _common_pb2.ReadOptions
    def __init__(self, job_id: _Optional[bytes] = ..., read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job", "read")
    JOB_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    job: Job
    read: _common_pb2.ReadInfo
    def __init__(self, job: _Optional[_Union[Job, _Mapping[str, object]]] = ..., read: _Optional[_Union[_common_pb2.ReadInfo, _Mapping[str, object]]] = ...) -> None: ...

class WaitJobRequest(_message.Message):
    __slots__ = ("job_id", "timeout_ms", "read")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    timeout_ms: int
    read: _common_pb2.ReadOptions
    def __init__(self, job_id: _Optional[bytes] = ..., timeout_ms: _Optional[int] = ..., read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("states", "queue", "type", "limit", "cursor", "read", "owner", "worker_id")
    STATES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[_common_pb2.JobState]
    queue: str
    type: str
    limit: int
    cursor: bytes
    read: _common_pb2.ReadOptions
    owner: str
    worker_id: bytes
    def __init__(self, states: _Optional[_Iterable[_Union[_common_pb2.JobState, str]]] = ..., queue: _Optional[str] = ..., type: _Optional[str] = ..., limit: _Optional[int] = ..., cursor: _Optional[bytes] = ..., read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ..., owner: _Optional[str] = ..., worker_id: _Optional[bytes] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_cursor", "read", "by_assignment")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    BY_ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_cursor: bytes
    read: _common_pb2.ReadInfo
    by_assignment: bool
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping[str, object]]]] = ..., next_cursor: _Optional[bytes] = ..., read: _Optional[_Union[_common_pb2.ReadInfo, _Mapping[str, object]]] = ..., by_assignment: _Optional[bool] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("attempt", "fencing_token", "state", "worker", "node", "dispatched_ms", "started_ms", "finished_ms", "error", "reason")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    DISPATCHED_MS_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_MS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    fencing_token: int
    state: _common_pb2.AttemptState
    worker: str
    node: str
    dispatched_ms: int
    started_ms: int
    finished_ms: int
    error: str
    reason: str
    def __init__(self, attempt: _Optional[int] = ..., fencing_token: _Optional[int] = ..., state: _Optional[_Union[_common_pb2.AttemptState, str]] = ..., worker: _Optional[str] = ..., node: _Optional[str] = ..., dispatched_ms: _Optional[int] = ..., started_ms: _Optional[int] = ..., finished_ms: _Optional[int] = ..., error: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class GetHistoryRequest(_message.Message):
    __slots__ = ("job_id", "read")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    read: _common_pb2.ReadOptions
    def __init__(self, job_id: _Optional[bytes] = ..., read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ...) -> None: ...

class GetHistoryResponse(_message.Message):
    __slots__ = ("attempts", "read")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    read: _common_pb2.ReadInfo
    def __init__(self, attempts: _Optional[_Iterable[_Union[Attempt, _Mapping[str, object]]]] = ..., read: _Optional[_Union[_common_pb2.ReadInfo, _Mapping[str, object]]] = ...) -> None: ...

class GetLogsRequest(_message.Message):
    __slots__ = ("job_id", "after_token", "after_number", "limit")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AFTER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    after_token: int
    after_number: int
    limit: int
    def __init__(self, job_id: _Optional[bytes] = ..., after_token: _Optional[int] = ..., after_number: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("attempt", "number", "at_ms", "level", "message", "token")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    number: int
    at_ms: int
    level: str
    message: str
    token: int
    def __init__(self, attempt: _Optional[int] = ..., number: _Optional[int] = ..., at_ms: _Optional[int] = ..., level: _Optional[str] = ..., message: _Optional[str] = ..., token: _Optional[int] = ...) -> None: ...

class GetLogsResponse(_message.Message):
    __slots__ = ("lines", "silent_nodes")
    LINES_FIELD_NUMBER: _ClassVar[int]
    SILENT_NODES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[LogLine]
    silent_nodes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, lines: _Optional[_Iterable[_Union[LogLine, _Mapping[str, object]]]] = ..., silent_nodes: _Optional[_Iterable[str]] = ...) -> None: ...

class CancelJobsRequest(_message.Message):
    __slots__ = ("request_id", "job_ids", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    job_ids: _containers.RepeatedScalarFieldContainer[bytes]
    reason: str
    def __init__(self, request_id: _Optional[bytes] = ..., job_ids: _Optional[_Iterable[bytes]] = ..., reason: _Optional[str] = ...) -> None: ...

class RetryJobsRequest(_message.Message):
    __slots__ = ("request_id", "job_ids")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    job_ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, request_id: _Optional[bytes] = ..., job_ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PurgeJobsRequest(_message.Message):
    __slots__ = ("request_id", "job_ids")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    job_ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, request_id: _Optional[bytes] = ..., job_ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class JobFilter(_message.Message):
    __slots__ = ("states", "queue", "type", "older_than_ms")
    STATES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    OLDER_THAN_MS_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[_common_pb2.JobState]
    queue: str
    type: str
    older_than_ms: int
    def __init__(self, states: _Optional[_Iterable[_Union[_common_pb2.JobState, str]]] = ..., queue: _Optional[str] = ..., type: _Optional[str] = ..., older_than_ms: _Optional[int] = ...) -> None: ...

class WhereRequest(_message.Message):
    __slots__ = ("request_id", "filter", "cursor", "limit", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    filter: JobFilter
    cursor: bytes
    limit: int
    reason: str
    def __init__(self, request_id: _Optional[bytes] = ..., filter: _Optional[_Union[JobFilter, _Mapping[str, object]]] = ..., cursor: _Optional[bytes] = ..., limit: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class WhereResponse(_message.Message):
    __slots__ = ("done", "skipped", "next_cursor", "applied_index")
    DONE_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    done: int
    skipped: int
    next_cursor: bytes
    applied_index: int
    def __init__(self, done: _Optional[int] = ..., skipped: _Optional[int] = ..., next_cursor: _Optional[bytes] = ..., applied_index: _Optional[int] = ...) -> None: ...

class ExplainJobRequest(_message.Message):
    __slots__ = ("job_id", "read")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    read: _common_pb2.ReadOptions
    def __init__(self, job_id: _Optional[bytes] = ..., read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ...) -> None: ...

class ExplainJobResponse(_message.Message):
    __slots__ = ("job", "reasons", "read")
    JOB_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    job: Job
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    read: _common_pb2.ReadInfo
    def __init__(self, job: _Optional[_Union[Job, _Mapping[str, object]]] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping[str, object]]]] = ..., read: _Optional[_Union[_common_pb2.ReadInfo, _Mapping[str, object]]] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "text", "facts")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    code: str
    text: str
    facts: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[str] = ..., text: _Optional[str] = ..., facts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class JobsResponse(_message.Message):
    __slots__ = ("results", "applied_index")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedScalarFieldContainer[str]
    applied_index: int
    def __init__(self, results: _Optional[_Iterable[str]] = ..., applied_index: _Optional[int] = ...) -> None: ...
