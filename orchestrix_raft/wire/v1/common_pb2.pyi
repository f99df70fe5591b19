from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_SCHEDULED: _ClassVar[JobState]
    JOB_STATE_PENDING: _ClassVar[JobState]
    JOB_STATE_DISPATCHED: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_COMPLETED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]
    JOB_STATE_DEAD: _ClassVar[JobState]

class AttemptState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPT_STATE_UNSPECIFIED: _ClassVar[AttemptState]
    ATTEMPT_STATE_COMPLETED: _ClassVar[AttemptState]
    ATTEMPT_STATE_FAILED: _ClassVar[AttemptState]
    ATTEMPT_STATE_TIMED_OUT: _ClassVar[AttemptState]
    ATTEMPT_STATE_CANCELLED: _ClassVar[AttemptState]
    ATTEMPT_STATE_LOST: _ClassVar[AttemptState]
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_SCHEDULED: JobState
JOB_STATE_PENDING: JobState
JOB_STATE_DISPATCHED: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_COMPLETED: JobState
JOB_STATE_CANCELLED: JobState
JOB_STATE_DEAD: JobState
ATTEMPT_STATE_UNSPECIFIED: AttemptState
ATTEMPT_STATE_COMPLETED: AttemptState
ATTEMPT_STATE_FAILED: AttemptState
ATTEMPT_STATE_TIMED_OUT: AttemptState
ATTEMPT_STATE_CANCELLED: AttemptState
ATTEMPT_STATE_LOST: AttemptState

class RetryPolicy(_message.Message):
    __slots__ = ("max_retries", "delay_ms", "multiplier_permille", "max_delay_ms", "jitter_percent", "preset")
    class Preset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PRESET_DEFAULT: _ClassVar[RetryPolicy.Preset]
        PRESET_FAST: _ClassVar[RetryPolicy.Preset]
        PRESET_PATIENT: _ClassVar[RetryPolicy.Preset]
    PRESET_DEFAULT: RetryPolicy.Preset
    PRESET_FAST: RetryPolicy.Preset
    PRESET_PATIENT: RetryPolicy.Preset
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    MAX_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    JITTER_PERCENT_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    max_retries: int
    delay_ms: int
    multiplier_permille: int
    max_delay_ms: int
    jitter_percent: int
    preset: RetryPolicy.Preset
    def __init__(self, max_retries: _Optional[int] = ..., delay_ms: _Optional[int] = ..., multiplier_permille: _Optional[int] = ..., max_delay_ms: _Optional[int] = ..., jitter_percent: _Optional[int] = ..., preset: _Optional[_Union[RetryPolicy.Preset, str]] = ...) -> None: ...

class Firing(_message.Message):
    __slots__ = ("schedule_id", "scheduled_for_ms", "fired_ms", "missed_count")
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FOR_MS_FIELD_NUMBER: _ClassVar[int]
    FIRED_MS_FIELD_NUMBER: _ClassVar[int]
    MISSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    schedule_id: str
    scheduled_for_ms: int
    fired_ms: int
    missed_count: int
    def __init__(self, schedule_id: _Optional[str] = ..., scheduled_for_ms: _Optional[int] = ..., fired_ms: _Optional[int] = ..., missed_count: _Optional[int] = ...) -> None: ...

class ReadOptions(_message.Message):
    __slots__ = ("min_index", "linearizable")
    MIN_INDEX_FIELD_NUMBER: _ClassVar[int]
    LINEARIZABLE_FIELD_NUMBER: _ClassVar[int]
    min_index: int
    linearizable: bool
    def __init__(self, min_index: _Optional[int] = ..., linearizable: _Optional[bool] = ...) -> None: ...

class ReadInfo(_message.Message):
    __slots__ = ("applied_index", "stale")
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    applied_index: int
    stale: bool
    def __init__(self, applied_index: _Optional[int] = ..., stale: _Optional[bool] = ...) -> None: ...
