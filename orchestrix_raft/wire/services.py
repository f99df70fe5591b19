"""The services of orchestrix.v1 as tables, read from the descriptors once, at import.

Both ends use them instead of generated stubs: the API to register handlers, the SDKs to call.  A method
that is added to a .proto file is here at once; the API refuses to start without a handler for it.
"""

from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from orchestrix_raft.wire.v1 import cluster_pb2, jobs_pb2, queues_pb2, schedules_pb2, workers_pb2


class Method(NamedTuple):
    """One method: what to call, and how its messages become bytes."""

    name: str
    path: str  # "/orchestrix.v1.JobService/Enqueue"
    request: type[Message]
    response: type[Message]
    client_streams: bool
    server_streams: bool


class Service(NamedTuple):
    """One service and its methods by name."""

    name: str  # "orchestrix.v1.JobService"
    methods: dict[str, Method]


def _service(file: FileDescriptor, name: str) -> Service:
    found = file.services_by_name[name]
    return Service(found.full_name, {m.name: _method(found.full_name, m) for m in found.methods})


def _method(service: str, method: MethodDescriptor) -> Method:
    streaming: Any = method  # the stubs of protobuf do not know the two flags
    return Method(
        method.name,
        f"/{service}/{method.name}",
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
        streaming.client_streaming,
        streaming.server_streaming,
    )


JOBS: Final = _service(jobs_pb2.DESCRIPTOR, "JobService")
WORKERS: Final = _service(workers_pb2.DESCRIPTOR, "WorkerService")
CLUSTER: Final = _service(cluster_pb2.DESCRIPTOR, "ClusterService")
QUEUES: Final = _service(queues_pb2.DESCRIPTOR, "QueueService")
SCHEDULES: Final = _service(schedules_pb2.DESCRIPTOR, "ScheduleService")
ALL: Final = (JOBS, SCHEDULES, QUEUES, WORKERS, CLUSTER)
