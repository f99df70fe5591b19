"""The API of a node without a cluster: `Status` says for what it waits, everything else is refused."""

import uuid
from collections.abc import AsyncIterator
from typing import cast

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

from orchestrix_raft import AsyncClient, OrchestrixError, Unavailable
from orchestrix_raft.coordinator.entrance import Waiting
from orchestrix_raft.coordinator.port import NodePort
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.session import CoordinatorMessage, Hello, Refused
from tests.unit.api.fake_node import FakeNode, serving_door

WHY = "node n1 has no cluster yet: waits for h2:7400: not reached yet"


class Entrance:
    """Who answers now."""

    def __init__(self) -> None:
        why = "waits for h2:7400: not reached yet"
        self.node: NodePort = Waiting("n1", lambda: why, lambda: 5_000)

    def door(self) -> NodePort:
        return self.node


@pytest.fixture
def entrance() -> Entrance:
    return Entrance()


@pytest.fixture
async def client(entrance: Entrance) -> AsyncIterator[AsyncClient]:
    async with (
        serving_door(entrance.door) as address,
        AsyncClient(address, deadline=0.5) as client,
    ):
        yield client


async def test_status_names_the_node_and_what_it_waits_for(client: AsyncClient) -> None:
    status = await client.status()
    assert status.answered_by == "n1"
    assert status.problems == ["this node has no cluster yet: waits for h2:7400: not reached yet"]
    assert (status.leader, status.stale, status.nodes) == ("", True, [])


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.enqueue("noop"),
        lambda client: client.get(str(uuid.uuid4())),
        lambda client: client.logs(str(uuid.uuid4())),
        lambda client: client.cancel(str(uuid.uuid4())),
        lambda client: client.explain(str(uuid.uuid4())),
        lambda client: client.queues.list(),
        lambda client: client.queues.get("q"),
        lambda client: client.queues.pause("q"),
        lambda client: client.schedules.list(),
        lambda client: client.schedules.get("s"),
        lambda client: client.schedules.every("s", 5.0, "noop"),
    ],
)
async def test_everything_else_is_refused_with_the_reason(entrance: Entrance, ask: object) -> None:
    async with serving_door(entrance.door) as address:
        for deadline_s in (0.5, 10.0):
            async with AsyncClient(address, deadline=deadline_s) as client:
                with pytest.raises(OrchestrixError) as refused:
                    await ask(client)  # type: ignore[operator]
            # Else the machine was too busy for an answer in that time, and what became of a job is not known.
            if isinstance(refused.value, Unavailable) and WHY in str(refused.value):
                return
    pytest.fail(str(refused.value))


async def test_it_has_nothing_to_hand_over() -> None:
    rejected = await Waiting("n1", lambda: "waits", lambda: 0).transfer_leadership("n2")
    assert isinstance(rejected, Rejected)
    assert rejected.message == "node n1 has no cluster yet: waits"


async def test_it_is_not_healthy(entrance: Entrance) -> None:
    async with (
        serving_door(entrance.door) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        answer = await check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_a_worker_is_refused_with_a_reason_that_makes_it_come_again() -> None:
    said: list[CoordinatorMessage] = []
    session = Waiting("n1", lambda: "waits", lambda: 0).open_session(cast(Hello, None), said.append)
    assert said == [Refused("NODE_FORMING", "node n1 has no cluster yet: waits")]
    session.closed()


async def test_once_the_node_is_there_it_answers(entrance: Entrance, client: AsyncClient) -> None:
    with pytest.raises(OrchestrixError):
        await client.enqueue("noop")
    entrance.node = FakeNode()
    assert await client.enqueue("noop")
