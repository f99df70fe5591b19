"""ClusterService: how this node sees the cluster, what happens in it, and steering its members."""

from typing import Final

from orchestrix_raft.api import draining, events
from orchestrix_raft.api.backups import BackupCalls
from orchestrix_raft.api.calls import Feed, Unary, handlers
from orchestrix_raft.api.errors import Context, Handlers, Refusal, UnknownOutcome, applied, invalid
from orchestrix_raft.api.service import Service
from orchestrix_raft.api.workers import worker_infos
from orchestrix_raft.coordinator.port import (
    Added,
    ClusterView,
    NodeView,
    NotApplied,
)
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.node import Health
from orchestrix_raft.wire import cluster as wire
from orchestrix_raft.wire import drain as wire_drain
from orchestrix_raft.wire.events import ListAuditRequest, ListAuditResponse, WatchRequest
from orchestrix_raft.wire.services import CLUSTER

_NEVER_HEARD: Final = "unknown"
_UNREACHED: Final = "unreachable"  # and the cluster has not noticed for long enough to call it anything else


class ClusterService(Service):
    """One per server; holds nothing but the node and notes that are being written."""

    def handlers(self) -> Handlers:
        """For `Server.add_generic_rpc_handlers`."""
        backups = BackupCalls(self._door, self._notes)
        methods: dict[str, Unary | Feed] = {
            "Status": self.status,
            "TransferLeadership": self.transfer_leadership,
            "AddMember": self.add_member,
            "RemoveMember": self.remove_member,
            "DrainNode": self.drain_node,
            "UndrainNode": self.undrain_node,
            "Watch": self.watch,
            "ListAudit": self.list_audit,
            "Backup": backups.backup,
            "MarkContents": backups.mark_contents,
            "GetContents": backups.get_contents,
        }
        return handlers(CLUSTER, methods, self._notes.turned_away)

    async def status(self, _request: wire.StatusRequest) -> wire.StatusResponse:
        """Everything this node knows; works without a leader."""
        view = self._node.status()
        response = _status(view)
        response.workers.extend(worker_infos(self._node, view.sessions))
        return response

    async def watch(self, request: WatchRequest, context: Context) -> None:
        """Events, as a stream of pages."""
        await events.watch(self._node, request, context)

    async def list_audit(self, request: ListAuditRequest) -> ListAuditResponse:
        """Who changed what by hand."""
        return await events.list_audit(self._node, request)

    async def transfer_leadership(
        self, request: wire.TransferLeadershipRequest
    ) -> wire.TransferLeadershipResponse:
        """Returns the node that leads now."""
        _check_node_id(request.node_id)
        target = await self._node.transfer_leadership(request.node_id)
        if isinstance(target, Rejected):
            raise Refusal(target)
        self._notes.made("transfer_leadership", request.node_id or "any node", f"done: to {target}")
        return wire.TransferLeadershipResponse(target=target)

    async def add_member(self, request: wire.AddMemberRequest) -> wire.AddMemberResponse:
        """The node that was added; returns when that is committed, not when it has caught up."""
        if len(request.address) > limits.ADDRESS_CHARS:
            raise invalid("ADDRESS_INVALID", f"address has {len(request.address)} characters")
        outcome = await self._node.add_member(request.address)
        if isinstance(outcome, Added):
            words = "was one already" if outcome.already else "is a learner"
            self._notes.made("add_member", request.address, f"done: {outcome.node_id} {words}")
            return wire.AddMemberResponse(node_id=outcome.node_id, already=outcome.already)
        if isinstance(outcome, NotApplied):
            raise Refusal(outcome.rejected)
        raise UnknownOutcome(outcome.message)

    async def remove_member(self, request: wire.RemoveMemberRequest) -> wire.RemoveMemberResponse:
        """Returns when the removal is committed."""
        _check_node_id(request.node_id)
        self._notes.asked("remove_member", request.node_id)
        applied(await self._node.remove_member(request.node_id))
        self._notes.made("remove_member", request.node_id)
        return wire.RemoveMemberResponse()

    async def drain_node(self, request: wire_drain.DrainNodeRequest) -> wire_drain.DrainNodeResponse:
        """Committed; how far it has come is to be seen in Status."""
        response, cost = await draining.drain_node(self._node, request)
        forced = f", forced: {cost}" if cost else ", forced without need" if request.force else ""
        self._notes.made("drain_node", request.node_id, f"done{forced}")
        return response

    async def undrain_node(self, request: wire_drain.UndrainNodeRequest) -> wire_drain.UndrainNodeResponse:
        """It takes workers again."""
        response = await draining.undrain_node(self._node, request)
        self._notes.made("undrain_node", request.node_id)
        return response


def _check_node_id(node_id: str) -> None:
    if len(node_id) > limits.NODE_ID_CHARS:
        raise invalid("NODE_ID_INVALID", f"node_id has {len(node_id)} characters")


def _status(view: ClusterView) -> wire.StatusResponse:
    return wire.StatusResponse(
        leader=view.leader,
        term=view.term,
        commit_index=view.commit_index,
        applied_index=view.applied_index,
        nodes=[_node(node) for node in view.nodes],
        jobs={state.word: count for state, count in view.jobs.items()},
        queues=[wire.QueueStatus(**queue._asdict()) for queue in view.queues],
        answered_by=view.answered_by,
        cluster_id=view.cluster_id,
        digest=view.digest.hex(),
        problems=view.problems,
        stale=view.stale,
        wall_ms=view.wall_ms,
        machine_level=view.machine_level,
        level_waits_for=view.level_waits_for,
    )


def _node(node: NodeView) -> wire.NodeStatus:
    fields = node._asdict()
    if fields.pop("reached") or node.health is not Health.ALIVE:
        fields["health"] = node.health.word if node.health is not None else _NEVER_HEARD
    else:
        fields["health"] = _UNREACHED
    fields["drain"] = wire_drain.drain_message(node.drain)
    return wire.NodeStatus(**fields)
