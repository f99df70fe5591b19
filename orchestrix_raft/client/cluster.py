"""The cluster's members as clients change them: `client.cluster`."""

from typing import Final

import msgspec

from orchestrix_raft.client.calls import ATTEMPT_S, Caller
from orchestrix_raft.client.draining import Draining
from orchestrix_raft.wire import cluster as wire
from orchestrix_raft.wire import services
from orchestrix_raft.wire.arguments import refused, text
from orchestrix_raft.wire.errors import OrchestrixError

_CLUSTER: Final = services.CLUSTER.methods
_DECIDE_S: Final = 15.0 + ATTEMPT_S  # a change waits for the one before it, and for a leader


class AddedNode(msgspec.Struct, frozen=True):
    """What became of adding a node."""

    node_id: str
    already: bool  # it was a member before


class AsyncCluster(Draining):
    """Add, remove and drain members, as coroutines, through any node."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def add(self, address: str) -> AddedNode:
        """Let the cluster add the node that waits at `address` (`host:port` of its API), started there with
        an empty data directory and `--join`.

        Returns when that is committed: the node then receives the log, and votes once it has caught up.
        """
        with refused():
            text("address", address)
        request = wire.AddMemberRequest(address=address)
        method = _CLUSTER["AddMember"]
        response: wire.AddMemberResponse = await self._caller.call(method, request, attempt_s=_DECIDE_S)
        return AddedNode(response.node_id, response.already)

    async def remove(self, node_id: str) -> None:
        """Remove a member, dead or alive; of the leader, it hands over.

        Refused (`OrchestrixError` with reason `MEMBER_CHANGE_REFUSED`) when the others would be no quorum,
        and for the last voter.  A node that runs learns of it and ends.
        """
        with refused():
            text("node_id", node_id)
        status: wire.StatusResponse = await self._caller.call(_CLUSTER["Status"], wire.StatusRequest())
        request = wire.RemoveMemberRequest(node_id=node_id)
        try:
            await self._caller.call(_CLUSTER["RemoveMember"], request, attempt_s=_DECIDE_S)
        except OrchestrixError as error:
            # It was a member a moment ago: this call has removed it, and the answer was lost.
            if error.reason != "NOT_A_MEMBER" or node_id not in {node.node_id for node in status.nodes}:
                raise
