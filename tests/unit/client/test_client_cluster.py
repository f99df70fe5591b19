"""`client.cluster`: adding and removing members, against a node in memory."""

from collections.abc import AsyncIterator

import pytest

from orchestrix_raft import AsyncClient, Client, OrchestrixError
from orchestrix_raft.client.cluster import AddedNode
from orchestrix_raft.coordinator.port import NotApplied
from orchestrix_raft.domain.errors import Code, Rejected
from tests.unit.api.fake_node import FakeNode, serving

LAST = Rejected(Code.FAILED_PRECONDITION, "MEMBER_CHANGE_REFUSED", "n1 is the last voter")


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
async def client(node: FakeNode) -> AsyncIterator[AsyncClient]:
    async with serving(node) as address, AsyncClient(address, deadline=5.0) as client:
        yield client


async def test_adding_says_which_node_it_was_and_whether_it_was_one_before(client: AsyncClient) -> None:
    assert await client.cluster.add("h3:7400") == AddedNode("n3", already=False)
    assert await client.cluster.add("h3:7400") == AddedNode("n3", already=True)


async def test_removing_is_refused_with_the_reason(client: AsyncClient, node: FakeNode) -> None:
    await client.cluster.remove("n2")
    assert node.changes.ids == ["n1"]
    node.changes.answer = NotApplied(LAST)
    with pytest.raises(OrchestrixError, match="n1 is the last voter") as refused:
        await client.cluster.remove("n1")
    assert refused.value.reason == "MEMBER_CHANGE_REFUSED"


async def test_a_removal_whose_answer_was_lost_is_done_and_one_of_nobody_is_refused(
    client: AsyncClient, node: FakeNode
) -> None:
    node.members = ["h1:7400", "h2:7400"]
    node.names = {"h1:7400": "n1", "h2:7400": "n2"}
    node.changes.ids = ["n1"]  # the first sending has removed it
    await client.cluster.remove("n2")
    with pytest.raises(OrchestrixError) as refused:
        await client.cluster.remove("n9")
    assert refused.value.reason == "NOT_A_MEMBER"


def test_the_synchronous_face_has_the_same_methods() -> None:
    with Client("127.0.0.1:1") as client:
        assert client.cluster.add.__doc__
        assert client.cluster.remove.__doc__
