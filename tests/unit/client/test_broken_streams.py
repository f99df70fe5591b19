"""A stream that ends without a word of the node: the client goes on elsewhere and never calls it a refusal.

grpc.aio reports a stream that breaks while a message is being written to it as INTERNAL, "Internal error from
Core", in place of what the transport said.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from orchestrix_raft import AsyncClient, OutcomeUnknown
from orchestrix_raft.wire import services
from tests.unit.api.fake_node import FakeNode, serving

ECHO = "Internal error from Core"


@asynccontextmanager
async def breaking() -> AsyncIterator[str]:
    """A server that takes the first message of any call and ends it as grpc.aio says that a stream broke; its
    address."""

    async def end_stream(_: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        await context.read()
        await context.abort(grpc.StatusCode.INTERNAL, ECHO)

    async def end_call(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await context.abort(grpc.StatusCode.INTERNAL, ECHO)

    server = grpc.aio.server()
    for service in services.ALL:
        handlers = {
            method.name: grpc.stream_stream_rpc_method_handler(end_stream)
            if method.client_streams
            else grpc.unary_unary_rpc_method_handler(end_call)
            for method in service.methods.values()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@pytest.fixture(autouse=True)
def _first_server_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.randrange", lambda _: 0)


async def test_jobs_of_a_stream_that_broke_while_it_was_written_to_are_sent_again_elsewhere() -> None:
    node = FakeNode("n1")
    async with breaking() as broken, serving(node) as good, AsyncClient([broken, good]) as client:
        job_id = await client.enqueue("t")
        assert (await client.get(job_id)).id == job_id
    assert len(node.jobs) == 1


async def test_a_call_that_ended_so_goes_to_the_next_server() -> None:
    node = FakeNode("n1")
    async with breaking() as broken, serving(node) as good, AsyncClient([broken, good]) as client:
        assert len(await client.enqueue_many([("t", None)])) == 1
    assert len(node.jobs) == 1


async def test_without_another_server_the_outcome_is_unknown() -> None:
    async with breaking() as broken, AsyncClient(broken, deadline=0.5) as client:
        with pytest.raises(OutcomeUnknown, match=ECHO):
            await client.enqueue("t")
        with pytest.raises(OutcomeUnknown, match=ECHO):
            await client.enqueue_many([("t", None)])
