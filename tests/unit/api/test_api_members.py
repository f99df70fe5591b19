"""ClusterService: adding and removing members, over a real gRPC connection, with a node in memory."""

from typing import Any

import grpc.aio
import pytest

from orchestrix_raft.api.cluster import _node
from orchestrix_raft.client.model import status_of
from orchestrix_raft.coordinator.port import NodeView, NotApplied, Unknown
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.node import Health
from orchestrix_raft.wire import cluster as wire
from orchestrix_raft.wire.services import CLUSTER
from orchestrix_raft.wire.status import reason_of
from tests.unit.api.fake_node import FakeNode

REFUSED = Rejected(Code.FAILED_PRECONDITION, "MEMBER_CHANGE_REFUSED", "n1 is the last voter")


async def call(channel: grpc.aio.Channel, request: Any) -> Any:
    method = CLUSTER.methods[type(request).__name__.removesuffix("Request")]
    make: Any = channel.unary_unary
    return await make(method.path, method.request.SerializeToString, method.response.FromString)(request)


async def refusal(channel: grpc.aio.Channel, request: Any) -> tuple[str, str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(channel, request)
    trailers: Any = caught.value.trailing_metadata()
    return caught.value.code().name, reason_of(trailers), caught.value.details() or ""


async def test_a_node_is_added_once(channel: grpc.aio.Channel) -> None:
    for already in (False, True):
        response = await call(channel, wire.AddMemberRequest(address="h3:7400"))
        assert (response.node_id, response.already) == ("n3", already)


async def test_a_member_is_removed(channel: grpc.aio.Channel, node: FakeNode) -> None:
    await call(channel, wire.RemoveMemberRequest(node_id="n2"))
    assert node.changes.ids == ["n1"]
    assert (await refusal(channel, wire.RemoveMemberRequest(node_id="n2")))[1] == "NOT_A_MEMBER"


@pytest.mark.parametrize(
    "asked", [wire.AddMemberRequest(address="h3:7400"), wire.RemoveMemberRequest(node_id="n2")]
)
async def test_refusals_and_doubt_are_told_apart(
    channel: grpc.aio.Channel, node: FakeNode, asked: Any
) -> None:
    node.changes.answer = NotApplied(REFUSED)
    assert await refusal(channel, asked) == ("FAILED_PRECONDITION", REFUSED.reason, REFUSED.message)
    node.changes.answer = Unknown("not decided in time")
    assert (await refusal(channel, asked))[:2] == ("UNKNOWN", "OUTCOME_UNKNOWN")


async def test_what_is_too_long_is_refused_before_the_node_sees_it(
    channel: grpc.aio.Channel, node: FakeNode
) -> None:
    assert (await refusal(channel, wire.AddMemberRequest(address="h" * 301)))[1] == "ADDRESS_INVALID"
    assert (await refusal(channel, wire.RemoveMemberRequest(node_id="n" * 101)))[1] == "NODE_ID_INVALID"
    assert node.changes.asked == []


@pytest.mark.parametrize(
    ("health", "reached", "word"),
    [
        (Health.ALIVE, True, "alive"),
        (Health.ALIVE, False, "unreachable"),
        (Health.SUSPECT, False, "suspect"),
        (Health.DEAD, False, "dead"),
        (Health.STOPPED, False, "stopped"),
        (None, False, "unknown"),
    ],
)
def test_health_says_what_the_cluster_has_not_noticed_yet(
    health: Health | None, reached: bool, word: str
) -> None:
    view = NodeView("n2", "h2:7400", "follower", health, 7, 0, 0, 0, 0, "1", votes=True, reached=reached)
    message = _node(view)
    assert (message.role, message.health, message.votes) == ("follower", word, True)
    (shown,) = status_of(wire.StatusResponse(nodes=[message])).nodes
    assert (shown.role, shown.health, shown.votes) == ("follower", word, True)


def test_a_node_of_an_earlier_version_does_not_say_who_votes() -> None:
    (shown,) = status_of(wire.StatusResponse(nodes=[wire.NodeStatus(node_id="n2")])).nodes
    assert shown.votes is None
