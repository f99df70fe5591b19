"""Handing over the leadership: the one call that only the leader can answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from orchestrix_raft.client.calls import Caller
from orchestrix_raft.client.model import ClusterStatus
from orchestrix_raft.wire import services
from orchestrix_raft.wire.arguments import refused, text
from orchestrix_raft.wire.cluster import TransferLeadershipRequest
from orchestrix_raft.wire.errors import OrchestrixError, Unavailable
from orchestrix_raft.wire.servers import Backoff

_METHOD: Final = services.CLUSTER.methods["TransferLeadership"]

Status = Callable[[], Awaitable[ClusterStatus]]


async def transfer(caller: Caller, status: Status, node_id: str) -> str:
    """Ask the leader to hand over, to `node_id` or ("") the best follower; the id of the one that is asked
    to lead.

    `Unavailable` when no leader is known within the caller's deadline.
    """
    with refused():
        text("node_id", node_id, empty=True)
    request = TransferLeadershipRequest(node_id=node_id)
    leader, address = await _leader(caller, status)
    try:
        response = await caller.call_at(address, _METHOD, request)
    except OrchestrixError as error:
        if error.reason != "TRANSFER_REFUSED":
            raise
        before, (leader, address) = leader, await _leader(caller, status)
        if leader == before:
            raise
        response = await caller.call_at(address, _METHOD, request)  # it had changed meanwhile
    return str(response.target)


async def _leader(caller: Caller, ask: Status) -> tuple[str, str]:
    """Id and address of the leader.  A node that is out of touch with it does not know: ask the next."""
    servers = caller.servers
    backoff = Backoff(servers)
    now = asyncio.get_running_loop().time
    until = now() + caller.deadline_s
    while True:
        asked = servers.current
        status = await ask()
        for node in status.nodes:
            if node.node_id == status.leader and node.address and not status.stale:
                return node.node_id, node.address
        servers.learn(node.address for node in status.nodes)
        servers.failed(asked)
        delay_s = backoff.next_s()
        if now() + delay_s >= until:
            message = "there is no leader to hand over: a majority of the nodes must reach each other first"
            raise Unavailable(message, "NO_LEADER")
        await asyncio.sleep(delay_s)
