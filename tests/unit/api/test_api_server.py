"""The server as a whole: health, reflection, addresses, status."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from orchestrix_raft.api import calls, health
from orchestrix_raft.api.calls import handlers
from orchestrix_raft.api.errors import ApiError, invalid
from orchestrix_raft.api.server import ApiServer
from orchestrix_raft.wire.cluster import (
    StatusRequest,
    StatusResponse,
    TransferLeadershipRequest,
    TransferLeadershipResponse,
)
from orchestrix_raft.wire.services import JOBS
from orchestrix_raft.wire.status import reason_of
from orchestrix_raft.wire.transport import TlsFiles
from tests.unit.api.fake_node import FakeNode, serving

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def call(channel: grpc.aio.Channel, path: str, response: Any, streams: str = "unary_unary") -> Any:
    make: Any = getattr(channel, streams)
    return make(path, lambda message: message.SerializeToString(), response.FromString)


@pytest.mark.parametrize(
    "service", ["", "orchestrix.v1.JobService", "orchestrix.v1.WorkerService", "orchestrix.v1.ClusterService"]
)
async def test_health_follows_the_contact_with_a_leader(
    node: FakeNode, channel: grpc.aio.Channel, service: str
) -> None:
    check = call(channel, "/grpc.health.v1.Health/Check", health_pb2.HealthCheckResponse)
    request = health_pb2.HealthCheckRequest(service=service)
    assert (await check(request)).status == SERVING
    node.stale = True
    assert (await check(request)).status == NOT_SERVING


async def test_health_of_an_unknown_service_is_not_found(channel: grpc.aio.Channel) -> None:
    check = call(channel, "/grpc.health.v1.Health/Check", health_pb2.HealthCheckResponse)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(health_pb2.HealthCheckRequest(service="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    trailers: Any = caught.value.trailing_metadata()
    assert reason_of(trailers) == "SERVICE_UNKNOWN"
    watch = call(channel, "/grpc.health.v1.Health/Watch", health_pb2.HealthCheckResponse, "unary_stream")
    stream = watch(health_pb2.HealthCheckRequest(service="nobody"))
    assert (await stream.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    stream.cancel()


async def test_a_watcher_of_health_hears_of_each_change(
    node: FakeNode, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "WATCH_S", 0.001)
    watch = call(channel, "/grpc.health.v1.Health/Watch", health_pb2.HealthCheckResponse, "unary_stream")
    stream = watch(health_pb2.HealthCheckRequest())
    assert (await stream.read()).status == SERVING
    node.stale = True
    assert (await stream.read()).status == NOT_SERVING
    stream.cancel()


async def test_a_stopping_server_is_not_serving(node: FakeNode) -> None:
    answers = health.Health(lambda: node, [])
    context: Any = None
    assert (await answers.check(health_pb2.HealthCheckRequest(), context)).status == SERVING
    answers.stop()
    assert (await answers.check(health_pb2.HealthCheckRequest(), context)).status == NOT_SERVING


async def test_reflection_lists_every_service(channel: grpc.aio.Channel) -> None:
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    stream = call(channel, path, reflection_pb2.ServerReflectionResponse, "stream_stream")()
    await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = {service.name for service in (await stream.read()).list_services_response.service}
    assert listed >= {
        "orchestrix.v1.JobService",
        "orchestrix.v1.WorkerService",
        "orchestrix.v1.ClusterService",
        "grpc.health.v1.Health",
    }
    await stream.write(
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="orchestrix.v1.JobService")
    )
    assert (await stream.read()).file_descriptor_response.file_descriptor_proto
    stream.cancel()


async def test_a_port_in_use_is_one_clear_line(node: FakeNode) -> None:
    async with serving(node) as address:
        with pytest.raises(ApiError, match=f"cannot listen on {address}") as caught:
            await ApiServer(lambda: node).start(address)
    assert "\n" not in str(caught.value)


async def test_a_tls_file_that_is_not_there_is_one_clear_line(node: FakeNode) -> None:
    server = ApiServer(lambda: node, TlsFiles(cert="/nowhere/cert.pem", key="/nowhere/key.pem"))
    with pytest.raises(ApiError, match=r"TLS: .*key\.pem"):
        await server.start("127.0.0.1:0")
    with pytest.raises(ApiError, match="both a certificate and a key"):
        await ApiServer(lambda: node, TlsFiles()).start("127.0.0.1:0")


async def test_status_shows_what_the_node_knows(node: FakeNode, channel: grpc.aio.Channel) -> None:
    node.members = ["a:1", "b:2"]
    status = await call(channel, "/orchestrix.v1.ClusterService/Status", StatusResponse)(StatusRequest())
    assert (status.leader, status.term, status.commit_index, status.applied_index) == ("n1", 3, 7, 6)
    assert [(n.address, n.role, n.health, n.version) for n in status.nodes] == [
        ("a:1", "leader", "alive", "v"),
        ("b:2", "leader", "alive", "v"),
    ]
    assert [(q.name, q.scheduled, q.pending, q.dispatched, q.running) for q in status.queues] == [
        ("default", 1, 2, 3, 4)
    ]
    assert (status.answered_by, status.digest, status.wall_ms) == ("n1", "01", 1_700_000_000_000)


async def test_leadership_is_handed_to_whom_was_named(channel: grpc.aio.Channel) -> None:
    transfer = call(channel, "/orchestrix.v1.ClusterService/TransferLeadership", TransferLeadershipResponse)
    assert (await transfer(TransferLeadershipRequest(node_id="n3"))).target == "n3"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await transfer(TransferLeadershipRequest(node_id="n" * 101))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_method_without_a_handler_is_an_error_at_the_start() -> None:
    with pytest.raises(LookupError, match="Enqueue"):
        handlers(JOBS, {})


class ServerStopped(grpc.aio.BaseError):
    """Stands for the error that grpc keeps to itself."""


@pytest.mark.parametrize("over", [grpc.aio.InternalError("execute_batch failed"), ServerStopped("stopped")])
async def test_a_caller_or_a_server_that_has_gone_away_is_no_error_of_the_node(
    caplog: pytest.LogCaptureFixture, over: Exception
) -> None:
    async def serve(context: Any) -> None:
        await context.write(None)

    async def serve_in_tasks(context: Any) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(context.write(None))
            tasks.create_task(context.write(None))

    class Gone:
        """What a call looks like whose other end has vanished."""

        async def send_initial_metadata(self, metadata: object) -> None:
            """As if it had been before it vanished."""

        async def write(self, message: object) -> None:
            raise over

        async def abort(self, *arguments: object) -> None:
            raise over

    async def refuse(context: Any) -> None:
        raise invalid("ANY", "any")

    for stream in (serve, serve_in_tasks, refuse):
        with pytest.raises(asyncio.CancelledError):
            await calls._stream(stream)(None, Gone())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
