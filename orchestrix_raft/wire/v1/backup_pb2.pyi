from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BackupRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BackupPiece(_message.Message):
    __slots__ = ("info", "data")
    INFO_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    info: BackupInfo
    data: bytes
    def __init__(self, info: _Optional[_Union[BackupInfo, _Mapping[str, object]]] = ..., data: _Optional[bytes] = ...) -> None: ...

class BackupInfo(_message.Message):
    __slots__ = ("head", "size", "sha256", "index", "term", "digest", "cluster_id", "node_id", "made_ms", "jobs")
    class JobsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    MADE_MS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    head: bytes
    size: int
    sha256: bytes
    index: int
    term: int
    digest: str
    cluster_id: str
    node_id: str
    made_ms: int
    jobs: _containers.ScalarMap[str, int]
    def __init__(self, head: _Optional[bytes] = ..., size: _Optional[int] = ..., sha256: _Optional[bytes] = ..., index: _Optional[int] = ..., term: _Optional[int] = ..., digest: _Optional[str] = ..., cluster_id: _Optional[str] = ..., node_id: _Optional[str] = ..., made_ms: _Optional[int] = ..., jobs: _Optional[_Mapping[str, int]] = ...) -> None: ...

class MarkContentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MarkContentsResponse(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: int
    def __init__(self, index: _Optional[int] = ...) -> None: ...

class GetContentsRequest(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: int
    def __init__(self, index: _Optional[int] = ...) -> None: ...

class GetContentsResponse(_message.Message):
    __slots__ = ("node_id", "ready", "digest", "rows", "size", "why_not")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    WHY_NOT_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    ready: bool
    digest: str
    rows: int
    size: int
    why_not: str
    def __init__(self, node_id: _Optional[str] = ..., ready: _Optional[bool] = ..., digest: _Optional[str] = ..., rows: _Optional[int] = ..., size: _Optional[int] = ..., why_not: _Optional[str] = ...) -> None: ...
