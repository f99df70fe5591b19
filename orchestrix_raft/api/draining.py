"""Drain and undrain of nodes, drain of workers: parts of ClusterService and WorkerService."""

from typing import Final

from orchestrix_raft.api.errors import Refusal, applied, invalid
from orchestrix_raft.coordinator.port import NodePort
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.node import Node
from orchestrix_raft.machine.commands import DrainNode, DrainSession, UndrainNode
from orchestrix_raft.wire import drain as wire

_NO_NODE: Final = "no node of this id has ever been part of the cluster"


class NodeDrains:
    """Of one server; holds nothing but the node."""

    def __init__(self, node: NodePort) -> None:
        self._node = node

    async def drain(self, request: wire.DrainNodeRequest) -> wire.DrainNodeResponse:
        """Committed; how far it has come is to be seen in Status."""
        known = await self._known(request.node_id)
        cost = self._node.cost_of_leaving(known.node_id)
        if cost and not request.force:
            raise Refusal(Rejected(Code.FAILED_PRECONDITION, "DRAIN_COSTS_TOO_MUCH", cost))
        done = applied(await self._node.submit(DrainNode(known.node_id, known.incarnation, False)))
        now = self._node.find_node(known.node_id)
        drain = None if now is None else wire.drain_message(now.drain)
        return wire.DrainNodeResponse(drain=drain, applied_index=done.index)

    async def undrain(self, request: wire.UndrainNodeRequest) -> wire.UndrainNodeResponse:
        """It takes workers again."""
        known = await self._known(request.node_id)
        done = applied(await self._node.submit(UndrainNode(known.node_id, known.incarnation)))
        return wire.UndrainNodeResponse(applied_index=done.index)

    async def _known(self, node_id: str) -> Node:
        """The node as it is now: its incarnation goes into the command."""
        if not 0 < len(node_id) <= limits.NODE_ID_CHARS:
            raise invalid("NODE_ID_INVALID", f"node_id has {len(node_id)} characters")
        fresh = await self._node.fresh(0, linearizable=True)
        if isinstance(fresh, Rejected):
            raise Refusal(fresh)
        known = self._node.find_node(node_id)
        if known is None:
            raise Refusal(Rejected(Code.NOT_FOUND, "NODE_UNKNOWN", _NO_NODE))
        return known


async def drain_worker(node: NodePort, request: wire.DrainWorkerRequest) -> wire.DrainWorkerResponse:
    """The worker is told by the node that it is attached to, now or when it comes back."""
    if len(request.session_id) != limits.SESSION_ID_BYTES:
        words = f"session_id has {len(request.session_id)} bytes, must have {limits.SESSION_ID_BYTES}"
        raise invalid("SESSION_ID_INVALID", words)
    done = applied(await node.submit(DrainSession(request.session_id)))
    return wire.DrainWorkerResponse(applied_index=done.index)
