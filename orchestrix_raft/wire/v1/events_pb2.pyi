from orchestrix_raft.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchRequest(_message.Message):
    __slots__ = ("since", "follow", "kinds", "job_ids", "queues", "types", "read")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    since: str
    follow: bool
    kinds: _containers.RepeatedScalarFieldContainer[str]
    job_ids: _containers.RepeatedScalarFieldContainer[bytes]
    queues: _containers.RepeatedScalarFieldContainer[str]
    types: _containers.RepeatedScalarFieldContainer[str]
    read: _common_pb2.ReadOptions
    def __init__(self, since: _Optional[str] = ..., follow: _Optional[bool] = ..., kinds: _Optional[_Iterable[str]] = ..., job_ids: _Optional[_Iterable[bytes]] = ..., queues: _Optional[_Iterable[str]] = ..., types: _Optional[_Iterable[str]] = ..., read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("events", "cursor", "oldest", "cluster_id")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    cursor: str
    oldest: str
    cluster_id: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping[str, object]]]] = ..., cursor: _Optional[str] = ..., oldest: _Optional[str] = ..., cluster_id: _Optional[str] = ...) -> None: ...

class ListAuditRequest(_message.Message):
    __slots__ = ("after", "limit", "read", "latest")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    LATEST_FIELD_NUMBER: _ClassVar[int]
    after: int
    limit: int
    read: _common_pb2.ReadOptions
    latest: bool
    def __init__(self, after: _Optional[int] = ..., limit: _Optional[int] = ..., read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ..., latest: _Optional[bool] = ...) -> None: ...

class ListAuditResponse(_message.Message):
    __slots__ = ("records", "read", "cluster_id")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[AuditRecord]
    read: _common_pb2.ReadInfo
    cluster_id: str
    def __init__(self, records: _Optional[_Iterable[_Union[AuditRecord, _Mapping[str, object]]]] = ..., read: _Optional[_Union[_common_pb2.ReadInfo, _Mapping[str, object]]] = ..., cluster_id: _Optional[str] = ...) -> None: ...

class AuditRecord(_message.Message):
    __slots__ = ("number", "at_ms", "actor", "action", "target", "outcome")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    number: int
    at_ms: int
    actor: str
    action: str
    target: str
    outcome: str
    def __init__(self, number: _Optional[int] = ..., at_ms: _Optional[int] = ..., actor: _Optional[str] = ..., action: _Optional[str] = ..., target: _Optional[str] = ..., outcome: _Optional[str] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("cursor", "at_ms", "kind", "actor", "reason", "job_id", "queue", "type", "details", "elapsed_ms")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    at_ms: int
    kind: str
    actor: str
    reason: str
    job_id: bytes
    queue: str
    type: str
    details: bytes
    elapsed_ms: int
    def __init__(self, cursor: _Optional[str] = ..., at_ms: _Optional[int] = ..., kind: _Optional[str] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., job_id: _Optional[bytes] = ..., queue: _Optional[str] = ..., type: _Optional[str] = ..., details: _Optional[bytes] = ..., elapsed_ms: _Optional[int] = ...) -> None: ...
