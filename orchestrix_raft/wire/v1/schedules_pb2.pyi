from orchestrix_raft.wire.v1 import common_pb2 as _common_pb2
from orchestrix_raft.wire.v1 import jobs_pb2 as _jobs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Misfire(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MISFIRE_LATEST: _ClassVar[Misfire]
    MISFIRE_SKIP: _ClassVar[Misfire]
    MISFIRE_ALL: _ClassVar[Misfire]

class Overlap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OVERLAP_SKIP: _ClassVar[Overlap]
    OVERLAP_ALLOW: _ClassVar[Overlap]
    OVERLAP_BUFFER_ONE: _ClassVar[Overlap]
    OVERLAP_BUFFER_ALL: _ClassVar[Overlap]
    OVERLAP_CANCEL_RUNNING: _ClassVar[Overlap]

class DstGap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DST_GAP_SHIFT: _ClassVar[DstGap]
    DST_GAP_SKIP: _ClassVar[DstGap]

class DstOverlap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DST_OVERLAP_FIRST: _ClassVar[DstOverlap]
    DST_OVERLAP_LAST: _ClassVar[DstOverlap]
    DST_OVERLAP_BOTH: _ClassVar[DstOverlap]

class ScheduleState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCHEDULE_STATE_UNSPECIFIED: _ClassVar[ScheduleState]
    SCHEDULE_STATE_ACTIVE: _ClassVar[ScheduleState]
    SCHEDULE_STATE_PAUSED: _ClassVar[ScheduleState]
    SCHEDULE_STATE_FINISHED: _ClassVar[ScheduleState]
MISFIRE_LATEST: Misfire
MISFIRE_SKIP: Misfire
MISFIRE_ALL: Misfire
OVERLAP_SKIP: Overlap
OVERLAP_ALLOW: Overlap
OVERLAP_BUFFER_ONE: Overlap
OVERLAP_BUFFER_ALL: Overlap
OVERLAP_CANCEL_RUNNING: Overlap
DST_GAP_SHIFT: DstGap
DST_GAP_SKIP: DstGap
DST_OVERLAP_FIRST: DstOverlap
DST_OVERLAP_LAST: DstOverlap
DST_OVERLAP_BOTH: DstOverlap
SCHEDULE_STATE_UNSPECIFIED: ScheduleState
SCHEDULE_STATE_ACTIVE: ScheduleState
SCHEDULE_STATE_PAUSED: ScheduleState
SCHEDULE_STATE_FINISHED: ScheduleState

class CronTiming(_message.Message):
    __slots__ = ("expression", "timezone", "dst_gap", "dst_overlap")
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    TIMEZONE_FIELD_NUMBER: _ClassVar[int]
    DST_GAP_FIELD_NUMBER: _ClassVar[int]
    DST_OVERLAP_FIELD_NUMBER: _ClassVar[int]
    expression: str
    timezone: str
    dst_gap: DstGap
    dst_overlap: DstOverlap
    def __init__(self, expression: _Optional[str] = ..., timezone: _Optional[str] = ..., dst_gap: _Optional[_Union[DstGap, str]] = ..., dst_overlap: _Optional[_Union[DstOverlap, str]] = ...) -> None: ...

class IntervalTiming(_message.Message):
    __slots__ = ("period_ms", "anchor_ms")
    PERIOD_MS_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_MS_FIELD_NUMBER: _ClassVar[int]
    period_ms: int
    anchor_ms: int
    def __init__(self, period_ms: _Optional[int] = ..., anchor_ms: _Optional[int] = ...) -> None: ...

class OneShotTiming(_message.Message):
    __slots__ = ("run_at_ms",)
    RUN_AT_MS_FIELD_NUMBER: _ClassVar[int]
    run_at_ms: int
    def __init__(self, run_at_ms: _Optional[int] = ...) -> None: ...

class ScheduleSpec(_message.Message):
    __slots__ = ("id", "cron", "interval", "one_shot", "job", "misfire", "overlap", "jitter_ms", "pause_on_failure", "start_ms", "end_ms", "max_runs")
    ID_FIELD_NUMBER: _ClassVar[int]
    CRON_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    ONE_SHOT_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    MISFIRE_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    JITTER_MS_FIELD_NUMBER: _ClassVar[int]
    PAUSE_ON_FAILURE_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNS_FIELD_NUMBER: _ClassVar[int]
    id: str
    cron: CronTiming
    interval: IntervalTiming
    one_shot: OneShotTiming
    job: _jobs_pb2.NewJob
    misfire: Misfire
    overlap: Overlap
    jitter_ms: int
    pause_on_failure: int
    start_ms: int
    end_ms: int
    max_runs: int
    def __init__(self, id: _Optional[str] = ..., cron: _Optional[_Union[CronTiming, _Mapping[str, object]]] = ..., interval: _Optional[_Union[IntervalTiming, _Mapping[str, object]]] = ..., one_shot: _Optional[_Union[OneShotTiming, _Mapping[str, object]]] = ..., job: _Optional[_Union[_jobs_pb2.NewJob, _Mapping[str, object]]] = ..., misfire: _Optional[_Union[Misfire, str]] = ..., overlap: _Optional[_Union[Overlap, str]] = ..., jitter_ms: _Optional[int] = ..., pause_on_failure: _Optional[int] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., max_runs: _Optional[int] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("spec", "state", "pause_reason", "version", "created_ms", "changed_ms", "next_slot_ms", "next_run_ms", "active_runs", "active_job_ids", "buffered_ms", "fired", "skipped", "triggered", "failures", "last_slot_ms", "last_fired_ms", "last_job_id", "last_outcome", "last_skip_ms", "last_skip")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PAUSE_REASON_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_MS_FIELD_NUMBER: _ClassVar[int]
    NEXT_SLOT_MS_FIELD_NUMBER: _ClassVar[int]
    NEXT_RUN_MS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_RUNS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    BUFFERED_MS_FIELD_NUMBER: _ClassVar[int]
    FIRED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    TRIGGERED_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    LAST_SLOT_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIRED_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_OUTCOME_FIELD_NUMBER: _ClassVar[int]
    LAST_SKIP_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_SKIP_FIELD_NUMBER: _ClassVar[int]
    spec: ScheduleSpec
    state: ScheduleState
    pause_reason: str
    version: int
    created_ms: int
    changed_ms: int
    next_slot_ms: int
    next_run_ms: int
    active_runs: int
    active_job_ids: _containers.RepeatedScalarFieldContainer[bytes]
    buffered_ms: _containers.RepeatedScalarFieldContainer[int]
    fired: int
    skipped: int
    triggered: int
    failures: int
    last_slot_ms: int
    last_fired_ms: int
    last_job_id: bytes
    last_outcome: str
    last_skip_ms: int
    last_skip: str
    def __init__(self, spec: _Optional[_Union[ScheduleSpec, _Mapping[str, object]]] = ..., state: _Optional[_Union[ScheduleState, str]] = ..., pause_reason: _Optional[str] = ..., version: _Optional[int] = ..., created_ms: _Optional[int] = ..., changed_ms: _Optional[int] = ..., next_slot_ms: _Optional[int] = ..., next_run_ms: _Optional[int] = ..., active_runs: _Optional[int] = ..., active_job_ids: _Optional[_Iterable[bytes]] = ..., buffered_ms: _Optional[_Iterable[int]] = ..., fired: _Optional[int] = ..., skipped: _Optional[int] = ..., triggered: _Optional[int] = ..., failures: _Optional[int] = ..., last_slot_ms: _Optional[int] = ..., last_fired_ms: _Optional[int] = ..., last_job_id: _Optional[bytes] = ..., last_outcome: _Optional[str] = ..., last_skip_ms: _Optional[int] = ..., last_skip: _Optional[str] = ...) -> None: ...

class PutScheduleRequest(_message.Message):
    __slots__ = ("request_id", "spec", "cursor", "version")
    class Cursor(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CURSOR_AUTO: _ClassVar[PutScheduleRequest.Cursor]
        CURSOR_KEEP: _ClassVar[PutScheduleRequest.Cursor]
        CURSOR_RESET: _ClassVar[PutScheduleRequest.Cursor]
    CURSOR_AUTO: PutScheduleRequest.Cursor
    CURSOR_KEEP: PutScheduleRequest.Cursor
    CURSOR_RESET: PutScheduleRequest.Cursor
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    spec: ScheduleSpec
    cursor: PutScheduleRequest.Cursor
    version: int
    def __init__(self, request_id: _Optional[bytes] = ..., spec: _Optional[_Union[ScheduleSpec, _Mapping[str, object]]] = ..., cursor: _Optional[_Union[PutScheduleRequest.Cursor, str]] = ..., version: _Optional[int] = ...) -> None: ...

class PutScheduleResponse(_message.Message):
    __slots__ = ("schedule", "result", "cursor", "applied_index")
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    result: str
    cursor: str
    applied_index: int
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping[str, object]]] = ..., result: _Optional[str] = ..., cursor: _Optional[str] = ..., applied_index: _Optional[int] = ...) -> None: ...

class GetScheduleRequest(_message.Message):
    __slots__ = ("id", "read")
    ID_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    id: str
    read: _common_pb2.ReadOptions
    def __init__(self, id: _Optional[str] = ..., read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ...) -> None: ...

class GetScheduleResponse(_message.Message):
    __slots__ = ("schedule", "read")
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    read: _common_pb2.ReadInfo
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping[str, object]]] = ..., read: _Optional[_Union[_common_pb2.ReadInfo, _Mapping[str, object]]] = ...) -> None: ...

class ListSchedulesRequest(_message.Message):
    __slots__ = ("prefix", "states", "limit", "cursor", "read")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    states: _containers.RepeatedScalarFieldContainer[ScheduleState]
    limit: int
    cursor: bytes
    read: _common_pb2.ReadOptions
    def __init__(self, prefix: _Optional[str] = ..., states: _Optional[_Iterable[_Union[ScheduleState, str]]] = ..., limit: _Optional[int] = ..., cursor: _Optional[bytes] = ..., read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ...) -> None: ...

class ListSchedulesResponse(_message.Message):
    __slots__ = ("schedules", "next_cursor", "read")
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    schedules: _containers.RepeatedCompositeFieldContainer[Schedule]
    next_cursor: bytes
    read: _common_pb2.ReadInfo
    def __init__(self, schedules: _Optional[_Iterable[_Union[Schedule, _Mapping[str, object]]]] = ..., next_cursor: _Optional[bytes] = ..., read: _Optional[_Union[_common_pb2.ReadInfo, _Mapping[str, object]]] = ...) -> None: ...

class PauseScheduleRequest(_message.Message):
    __slots__ = ("request_id", "id", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    id: str
    reason: str
    def __init__(self, request_id: _Optional[bytes] = ..., id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ResumeScheduleRequest(_message.Message):
    __slots__ = ("request_id", "id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    id: str
    def __init__(self, request_id: _Optional[bytes] = ..., id: _Optional[str] = ...) -> None: ...

class TriggerScheduleRequest(_message.Message):
    __slots__ = ("request_id", "id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    id: str
    def __init__(self, request_id: _Optional[bytes] = ..., id: _Optional[str] = ...) -> None: ...

class DeleteScheduleRequest(_message.Message):
    __slots__ = ("request_id", "id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    id: str
    def __init__(self, request_id: _Optional[bytes] = ..., id: _Optional[str] = ...) -> None: ...

class ScheduleResponse(_message.Message):
    __slots__ = ("result", "job_id", "applied_index")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    result: str
    job_id: bytes
    applied_index: int
    def __init__(self, result: _Optional[str] = ..., job_id: _Optional[bytes] = ..., applied_index: _Optional[int] = ...) -> None: ...

class PreviewScheduleRequest(_message.Message):
    __slots__ = ("cron", "id", "from_ms", "count")
    CRON_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    FROM_MS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    cron: CronTiming
    id: str
    from_ms: int
    count: int
    def __init__(self, cron: _Optional[_Union[CronTiming, _Mapping[str, object]]] = ..., id: _Optional[str] = ..., from_ms: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class PreviewedRun(_message.Message):
    __slots__ = ("at_ms", "local", "note")
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    at_ms: int
    local: str
    note: str
    def __init__(self, at_ms: _Optional[int] = ..., local: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class PreviewScheduleResponse(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[PreviewedRun]
    def __init__(self, runs: _Optional[_Iterable[_Union[PreviewedRun, _Mapping[str, object]]]] = ...) -> None: ...
