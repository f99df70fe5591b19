from orchestrix_raft.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RateLimit(_message.Message):
    __slots__ = ("count", "window_ms")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    count: int
    window_ms: int
    def __init__(self, count: _Optional[int] = ..., window_ms: _Optional[int] = ...) -> None: ...

class Queue(_message.Message):
    __slots__ = ("name", "paused", "rate", "concurrency", "key_rate", "key_concurrency", "scheduled", "pending", "dispatched", "running", "held", "rate_used", "rate_opens_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    KEY_RATE_FIELD_NUMBER: _ClassVar[int]
    KEY_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    DISPATCHED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    RATE_USED_FIELD_NUMBER: _ClassVar[int]
    RATE_OPENS_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    paused: bool
    rate: RateLimit
    concurrency: int
    key_rate: RateLimit
    key_concurrency: int
    scheduled: int
    pending: int
    dispatched: int
    running: int
    held: int
    rate_used: int
    rate_opens_ms: int
    def __init__(self, name: _Optional[str] = ..., paused: _Optional[bool] = ..., rate: _Optional[_Union[RateLimit, _Mapping[str, object]]] = ..., concurrency: _Optional[int] = ..., key_rate: _Optional[_Union[RateLimit, _Mapping[str, object]]] = ..., key_concurrency: _Optional[int] = ..., scheduled: _Optional[int] = ..., pending: _Optional[int] = ..., dispatched: _Optional[int] = ..., running: _Optional[int] = ..., held: _Optional[int] = ..., rate_used: _Optional[int] = ..., rate_opens_ms: _Optional[int] = ...) -> None: ...

class ListQueuesRequest(_message.Message):
    __slots__ = ("read",)
    READ_FIELD_NUMBER: _ClassVar[int]
    read: _common_pb2.ReadOptions
    def __init__(self, read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ...) -> None: ...

class ListQueuesResponse(_message.Message):
    __slots__ = ("queues", "read")
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedCompositeFieldContainer[Queue]
    read: _common_pb2.ReadInfo
    def __init__(self, queues: _Optional[_Iterable[_Union[Queue, _Mapping[str, object]]]] = ..., read: _Optional[_Union[_common_pb2.ReadInfo, _Mapping[str, object]]] = ...) -> None: ...

class GetQueueRequest(_message.Message):
    __slots__ = ("name", "read")
    NAME_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    name: str
    read: _common_pb2.ReadOptions
    def __init__(self, name: _Optional[str] = ..., read: _Optional[_Union[_common_pb2.ReadOptions, _Mapping[str, object]]] = ...) -> None: ...

class GetQueueResponse(_message.Message):
    __slots__ = ("queue", "read")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    queue: Queue
    read: _common_pb2.ReadInfo
    def __init__(self, queue: _Optional[_Union[Queue, _Mapping[str, object]]] = ..., read: _Optional[_Union[_common_pb2.ReadInfo, _Mapping[str, object]]] = ...) -> None: ...

class ConfigureQueueRequest(_message.Message):
    __slots__ = ("request_id", "name", "paused", "rate", "concurrency", "key_rate", "key_concurrency", "clear")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    KEY_RATE_FIELD_NUMBER: _ClassVar[int]
    KEY_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    CLEAR_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    name: str
    paused: bool
    rate: RateLimit
    concurrency: int
    key_rate: RateLimit
    key_concurrency: int
    clear: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[bytes] = ..., name: _Optional[str] = ..., paused: _Optional[bool] = ..., rate: _Optional[_Union[RateLimit, _Mapping[str, object]]] = ..., concurrency: _Optional[int] = ..., key_rate: _Optional[_Union[RateLimit, _Mapping[str, object]]] = ..., key_concurrency: _Optional[int] = ..., clear: _Optional[_Iterable[str]] = ...) -> None: ...

class ConfigureQueueResponse(_message.Message):
    __slots__ = ("queue", "applied_index")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    queue: Queue
    applied_index: int
    def __init__(self, queue: _Optional[_Union[Queue, _Mapping[str, object]]] = ..., applied_index: _Optional[int] = ...) -> None: ...

class PurgeQueueRequest(_message.Message):
    __slots__ = ("request_id", "name", "cursor")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    name: str
    cursor: bytes
    def __init__(self, request_id: _Optional[bytes] = ..., name: _Optional[str] = ..., cursor: _Optional[bytes] = ...) -> None: ...

class PurgeQueueResponse(_message.Message):
    __slots__ = ("purged", "next_cursor", "applied_index")
    PURGED_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    purged: int
    next_cursor: bytes
    applied_index: int
    def __init__(self, purged: _Optional[int] = ..., next_cursor: _Optional[bytes] = ..., applied_index: _Optional[int] = ...) -> None: ...
