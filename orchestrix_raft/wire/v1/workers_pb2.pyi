from orchestrix_raft.wire.v1 import common_pb2 as _common_pb2
from orchestrix_raft.wire.v1 import drain_pb2 as _drain_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkerMessage(_message.Message):
    __slots__ = ("hello", "heartbeat", "report", "observation", "goodbye", "drain")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    OBSERVATION_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    heartbeat: Heartbeat
    report: Report
    observation: Observation
    goodbye: Goodbye
    drain: Drain
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping[str, object]]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping[str, object]]] = ..., report: _Optional[_Union[Report, _Mapping[str, object]]] = ..., observation: _Optional[_Union[Observation, _Mapping[str, object]]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping[str, object]]] = ..., drain: _Optional[_Union[Drain, _Mapping[str, object]]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("session_id", "name", "queues", "capacity", "labels", "epoch", "held", "sdk")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    SDK_FIELD_NUMBER: _ClassVar[int]
    session_id: bytes
    name: str
    queues: _containers.RepeatedScalarFieldContainer[str]
    capacity: int
    labels: _containers.RepeatedScalarFieldContainer[str]
    epoch: int
    held: _containers.RepeatedCompositeFieldContainer[Held]
    sdk: str
    def __init__(self, session_id: _Optional[bytes] = ..., name: _Optional[str] = ..., queues: _Optional[_Iterable[str]] = ..., capacity: _Optional[int] = ..., labels: _Optional[_Iterable[str]] = ..., epoch: _Optional[int] = ..., held: _Optional[_Iterable[_Union[Held, _Mapping[str, object]]]] = ..., sdk: _Optional[str] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("job_id", "token")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    token: int
    def __init__(self, job_id: _Optional[bytes] = ..., token: _Optional[int] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("completed", "failed", "released")
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    completed: _containers.RepeatedCompositeFieldContainer[Completed]
    failed: _containers.RepeatedCompositeFieldContainer[Failed]
    released: _containers.RepeatedCompositeFieldContainer[Held]
    def __init__(self, completed: _Optional[_Iterable[_Union[Completed, _Mapping[str, object]]]] = ..., failed: _Optional[_Iterable[_Union[Failed, _Mapping[str, object]]]] = ..., released: _Optional[_Iterable[_Union[Held, _Mapping[str, object]]]] = ...) -> None: ...

class Completed(_message.Message):
    __slots__ = ("job_id", "token", "result", "started_ms", "finished_ms")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_MS_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    token: int
    result: bytes
    started_ms: int
    finished_ms: int
    def __init__(self, job_id: _Optional[bytes] = ..., token: _Optional[int] = ..., result: _Optional[bytes] = ..., started_ms: _Optional[int] = ..., finished_ms: _Optional[int] = ...) -> None: ...

class Failed(_message.Message):
    __slots__ = ("job_id", "token", "error", "started_ms", "finished_ms", "retry_in_ms", "final", "cancelled")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_MS_FIELD_NUMBER: _ClassVar[int]
    RETRY_IN_MS_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    token: int
    error: str
    started_ms: int
    finished_ms: int
    retry_in_ms: int
    final: bool
    cancelled: bool
    def __init__(self, job_id: _Optional[bytes] = ..., token: _Optional[int] = ..., error: _Optional[str] = ..., started_ms: _Optional[int] = ..., finished_ms: _Optional[int] = ..., retry_in_ms: _Optional[int] = ..., final: _Optional[bool] = ..., cancelled: _Optional[bool] = ...) -> None: ...

class Observation(_message.Message):
    __slots__ = ("started", "progress", "logs")
    STARTED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    started: _containers.RepeatedCompositeFieldContainer[Started]
    progress: _containers.RepeatedCompositeFieldContainer[Progress]
    logs: _containers.RepeatedCompositeFieldContainer[HandlerLog]
    def __init__(self, started: _Optional[_Iterable[_Union[Started, _Mapping[str, object]]]] = ..., progress: _Optional[_Iterable[_Union[Progress, _Mapping[str, object]]]] = ..., logs: _Optional[_Iterable[_Union[HandlerLog, _Mapping[str, object]]]] = ...) -> None: ...

class Started(_message.Message):
    __slots__ = ("job_id", "token", "started_ms")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    token: int
    started_ms: int
    def __init__(self, job_id: _Optional[bytes] = ..., token: _Optional[int] = ..., started_ms: _Optional[int] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("job_id", "token", "percent", "message")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    token: int
    percent: int
    message: str
    def __init__(self, job_id: _Optional[bytes] = ..., token: _Optional[int] = ..., percent: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class HandlerLog(_message.Message):
    __slots__ = ("job_id", "token", "at_ms", "level", "message", "number")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    token: int
    at_ms: int
    level: str
    message: str
    number: int
    def __init__(self, job_id: _Optional[bytes] = ..., token: _Optional[int] = ..., at_ms: _Optional[int] = ..., level: _Optional[str] = ..., message: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CoordinatorMessage(_message.Message):
    __slots__ = ("welcome", "assignments", "report_ack", "stop", "heartbeat_ack", "refused", "redirect", "farewell", "drain_asked")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    REPORT_ACK_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_ACK_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_FIELD_NUMBER: _ClassVar[int]
    FAREWELL_FIELD_NUMBER: _ClassVar[int]
    DRAIN_ASKED_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    assignments: Assignments
    report_ack: ReportAck
    stop: Stop
    heartbeat_ack: HeartbeatAck
    refused: Refused
    redirect: Redirect
    farewell: Farewell
    drain_asked: DrainAsked
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping[str, object]]] = ..., assignments: _Optional[_Union[Assignments, _Mapping[str, object]]] = ..., report_ack: _Optional[_Union[ReportAck, _Mapping[str, object]]] = ..., stop: _Optional[_Union[Stop, _Mapping[str, object]]] = ..., heartbeat_ack: _Optional[_Union[HeartbeatAck, _Mapping[str, object]]] = ..., refused: _Optional[_Union[Refused, _Mapping[str, object]]] = ..., redirect: _Optional[_Union[Redirect, _Mapping[str, object]]] = ..., farewell: _Optional[_Union[Farewell, _Mapping[str, object]]] = ..., drain_asked: _Optional[_Union[DrainAsked, _Mapping[str, object]]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("epoch", "node_id", "heartbeat_interval_ms", "fence_after_ms", "servers")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    FENCE_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    node_id: str
    heartbeat_interval_ms: int
    fence_after_ms: int
    servers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, epoch: _Optional[int] = ..., node_id: _Optional[str] = ..., heartbeat_interval_ms: _Optional[int] = ..., fence_after_ms: _Optional[int] = ..., servers: _Optional[_Iterable[str]] = ...) -> None: ...

class Assignments(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Assignment]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Assignment, _Mapping[str, object]]]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("job_id", "token", "type", "queue", "args", "attempt", "max_retries", "correlation_id", "timeout_ms", "firing")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    FIRING_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    token: int
    type: str
    queue: str
    args: bytes
    attempt: int
    max_retries: int
    correlation_id: str
    timeout_ms: int
    firing: _common_pb2.Firing
    def __init__(self, job_id: _Optional[bytes] = ..., token: _Optional[int] = ..., type: _Optional[str] = ..., queue: _Optional[str] = ..., args: _Optional[bytes] = ..., attempt: _Optional[int] = ..., max_retries: _Optional[int] = ..., correlation_id: _Optional[str] = ..., timeout_ms: _Optional[int] = ..., firing: _Optional[_Union[_common_pb2.Firing, _Mapping[str, object]]] = ...) -> None: ...

class ReportAck(_message.Message):
    __slots__ = ("tokens", "stale")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedScalarFieldContainer[int]
    stale: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, tokens: _Optional[_Iterable[int]] = ..., stale: _Optional[_Iterable[int]] = ...) -> None: ...

class Stop(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[StopJob]
    def __init__(self, jobs: _Optional[_Iterable[_Union[StopJob, _Mapping[str, object]]]] = ...) -> None: ...

class StopJob(_message.Message):
    __slots__ = ("job_id", "token", "reason")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    token: int
    reason: str
    def __init__(self, job_id: _Optional[bytes] = ..., token: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class HeartbeatAck(_message.Message):
    __slots__ = ("number", "servers")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    number: int
    servers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, number: _Optional[int] = ..., servers: _Optional[_Iterable[str]] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Redirect(_message.Message):
    __slots__ = ("servers",)
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    servers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, servers: _Optional[_Iterable[str]] = ...) -> None: ...

class DrainAsked(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Farewell(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListWorkersRequest(_message.Message):
    __slots__ = ("read",)
    READ_FIELD_NUMBER: _ClassVar[int]
    read: _common_pb2.ReadOptions
    def __init__(self, read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ...) -> None: ...

class Worker(_message.Message):
    __slots__ = ("worker_id", "name", "queues", "labels", "capacity", "used", "stuck", "node_id", "epoch", "draining", "attached_ms", "moving_to")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    STUCK_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_MS_FIELD_NUMBER: _ClassVar[int]
    MOVING_TO_FIELD_NUMBER: _ClassVar[int]
    worker_id: bytes
    name: str
    queues: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.RepeatedScalarFieldContainer[str]
    capacity: int
    used: int
    stuck: int
    node_id: str
    epoch: int
    draining: bool
    attached_ms: int
    moving_to: str
    def __init__(self, worker_id: _Optional[bytes] = ..., name: _Optional[str] = ..., queues: _Optional[_Iterable[str]] = ..., labels: _Optional[_Iterable[str]] = ..., capacity: _Optional[int] = ..., used: _Optional[int] = ..., stuck: _Optional[int] = ..., node_id: _Optional[str] = ..., epoch: _Optional[int] = ..., draining: _Optional[bool] = ..., attached_ms: _Optional[int] = ..., moving_to: _Optional[str] = ...) -> None: ...

class ListWorkersResponse(_message.Message):
    __slots__ = ("workers", "read")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[Worker]
    read: _common_pb2.ReadInfo
    def __init__(self, workers: _Optional[_Iterable[_Union[Worker, _Mapping[str, object]]]] = ..., read: _Optional[_Union[_common_pb2.ReadInfo, _Mapping[str, object]]] = ...) -> None: ...
