from orchestrix_raft.wire.v1 import drain_pb2 as _drain_pb2
from orchestrix_raft.wire.v1 import events_pb2 as _events_pb2
from orchestrix_raft.wire.v1 import members_pb2 as _members_pb2
from orchestrix_raft.wire.v1 import backup_pb2 as _backup_pb2
from orchestrix_raft.wire.v1 import workers_pb2 as _workers_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("leader", "term", "commit_index", "applied_index", "nodes", "jobs", "queues", "workers", "answered_by", "cluster_id", "digest", "problems", "stale", "wall_ms", "machine_level", "level_waits_for")
    class JobsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LEADER_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    COMMIT_INDEX_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    WALL_MS_FIELD_NUMBER: _ClassVar[int]
    MACHINE_LEVEL_FIELD_NUMBER: _ClassVar[int]
    LEVEL_WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    leader: str
    term: int
    commit_index: int
    applied_index: int
    nodes: _containers.RepeatedCompositeFieldContainer[NodeStatus]
    jobs: _containers.ScalarMap[str, int]
    queues: _containers.RepeatedCompositeFieldContainer[QueueStatus]
    workers: _containers.RepeatedCompositeFieldContainer[_workers_pb2.Worker]
    answered_by: str
    cluster_id: str
    digest: str
    problems: _containers.RepeatedScalarFieldContainer[str]
    stale: bool
    wall_ms: int
    machine_level: int
    level_waits_for: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, leader: _Optional[str] = ..., term: _Optional[int] = ..., commit_index: _Optional[int] = ..., applied_index: _Optional[int] = ..., nodes: _Optional[_Iterable[_Union[NodeStatus, _Mapping[str, object]]]] = ..., jobs: _Optional[_Mapping[str, int]] = ..., queues: _Optional[_Iterable[_Union[QueueStatus, _Mapping[str, object]]]] = ..., workers: _Optional[_Iterable[_Union[_workers_pb2.Worker, _Mapping[str, object]]]] = ..., answered_by: _Optional[str] = ..., cluster_id: _Optional[str] = ..., digest: _Optional[str] = ..., problems: _Optional[_Iterable[str]] = ..., stale: _Optional[bool] = ..., wall_ms: _Optional[int] = ..., machine_level: _Optional[int] = ..., level_waits_for: _Optional[_Iterable[str]] = ...) -> None: ...

class NodeStatus(_message.Message):
    __slots__ = ("node_id", "address", "role", "health", "applied_index", "lag", "owned_jobs", "last_heartbeat_ms", "version", "sessions", "drain", "machine_level", "votes")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    OWNED_JOBS_FIELD_NUMBER: _ClassVar[int]
    LAST_HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    MACHINE_LEVEL_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    address: str
    role: str
    health: str
    applied_index: int
    lag: int
    owned_jobs: int
    last_heartbeat_ms: int
    version: str
    sessions: int
    drain: _drain_pb2.DrainProgress
    machine_level: int
    votes: bool
    def __init__(self, node_id: _Optional[str] = ..., address: _Optional[str] = ..., role: _Optional[str] = ..., health: _Optional[str] = ..., applied_index: _Optional[int] = ..., lag: _Optional[int] = ..., owned_jobs: _Optional[int] = ..., last_heartbeat_ms: _Optional[int] = ..., version: _Optional[str] = ..., sessions: _Optional[int] = ..., drain: _Optional[_Union[_drain_pb2.DrainProgress, _Mapping[str, object]]] = ..., machine_level: _Optional[int] = ..., votes: _Optional[bool] = ...) -> None: ...

class QueueStatus(_message.Message):
    __slots__ = ("name", "scheduled", "pending", "dispatched", "running", "paused")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    DISPATCHED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    name: str
    scheduled: int
    pending: int
    dispatched: int
    running: int
    paused: bool
    def __init__(self, name: _Optional[str] = ..., scheduled: _Optional[int] = ..., pending: _Optional[int] = ..., dispatched: _Optional[int] = ..., running: _Optional[int] = ..., paused: _Optional[bool] = ...) -> None: ...

class TransferLeadershipRequest(_message.Message):
    __slots__ = ("node_id",)
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    def __init__(self, node_id: _Optional[str] = ...) -> None: ...

class TransferLeadershipResponse(_message.Message):
    __slots__ = ("target",)
    TARGET_FIELD_NUMBER: _ClassVar[int]
    target: str
    def __init__(self, target: _Optional[str] = ...) -> None: ...
