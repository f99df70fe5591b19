"""Drain and undrain of nodes, drain of workers: parts of ClusterService and WorkerService."""

from typing import Final

from orchestrix_raft.api.errors import Refusal, applied, invalid
from orchestrix_raft.coordinator.port import NodePort
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.node import OVER, Node
from orchestrix_raft.machine.commands import DrainNode, DrainSession, UndrainNode
from orchestrix_raft.wire import drain as wire

_STARTS_AFRESH: Final = (
    "node {0} is {1}: a drain ends with its node's process, and when it is started again it takes workers"
)
_HAS_NONE: Final = (
    "node {0} is {1}, so it has nothing to hand over: its workers go to other nodes by themselves, and the"
    " jobs of one that does not within 30 s run elsewhere; if the node will not come back, remove it:"
    " cluster remove {0}"
)
_NO_WORKER: Final = Rejected(Code.NOT_FOUND, "WORKER_UNKNOWN", "no worker of this id: it has ended")


async def drain_node(node: NodePort, request: wire.DrainNodeRequest) -> tuple[wire.DrainNodeResponse, str]:
    """Refused if the others could not go on without it, unless that is wanted: then with what it costs."""
    known = await _known(node, request.node_id)
    if known.health in OVER:
        raise _over(_HAS_NONE, known)
    cost = node.cost_of_leaving(known.node_id)
    if cost and not request.force:
        raise Refusal(Rejected(Code.FAILED_PRECONDITION, "DRAIN_COSTS_TOO_MUCH", cost))
    done = applied(await node.submit(DrainNode(known.node_id, known.incarnation, False)))
    now = node.find_node(known.node_id)
    drain = None if now is None else wire.drain_message(now.drain)
    return wire.DrainNodeResponse(drain=drain, applied_index=done.index), cost


async def undrain_node(node: NodePort, request: wire.UndrainNodeRequest) -> wire.UndrainNodeResponse:
    """It takes workers again."""
    known = await _known(node, request.node_id)
    if known.health in OVER:
        raise _over(_STARTS_AFRESH, known)
    done = applied(await node.submit(UndrainNode(known.node_id, known.incarnation)))
    return wire.UndrainNodeResponse(applied_index=done.index)


async def _known(node: NodePort, node_id: str) -> Node:
    """The node as it is now: its incarnation goes into the command."""
    if not 0 < len(node_id) <= limits.NODE_ID_CHARS:
        raise invalid("NODE_ID_INVALID", f"node_id has {len(node_id)} characters")
    await _look(node)
    known = node.find_node(node_id)
    if known is None:
        raise Refusal(_no_node(node, node_id))
    return known


def _over(words: str, node: Node) -> Refusal:
    why = words.format(node.node_id, node.health.word)
    return Refusal(Rejected(Code.FAILED_PRECONDITION, "NODE_OVER", why))


def _no_node(node: NodePort, node_id: str) -> Rejected:
    nodes = ", ".join(one.node_id for one in node.status().nodes)
    return Rejected(Code.NOT_FOUND, "NODE_UNKNOWN", f"there is no node {node_id!r}: there are {nodes}")


async def drain_worker(node: NodePort, request: wire.DrainWorkerRequest) -> wire.DrainWorkerResponse:
    """The worker is told by the node that it is attached to, now or when it comes back."""
    if len(request.worker_id) != limits.SESSION_ID_BYTES:
        words = f"worker_id has {len(request.worker_id)} bytes, must have {limits.SESSION_ID_BYTES}"
        raise invalid("WORKER_ID_INVALID", words)
    await _look(node)
    for session in node.sessions():
        if session.worker_id == request.worker_id:
            done = applied(await node.submit(DrainSession(session.session_id)))
            return wire.DrainWorkerResponse(applied_index=done.index)
    raise Refusal(_NO_WORKER)


def holder_missing(node: NodePort, owner: str, worker_id: bytes) -> Rejected | None:
    """Why that node and that worker, as far as they are named, can hold no jobs: they are not there."""
    if owner and node.find_node(owner) is None:
        return _no_node(node, owner)
    if worker_id and all(session.worker_id != worker_id for session in node.sessions()):
        return _NO_WORKER
    return None


async def _look(node: NodePort) -> None:
    fresh = await node.fresh(0, linearizable=True)
    if isinstance(fresh, Rejected):
        raise Refusal(fresh)
