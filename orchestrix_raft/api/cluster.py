"""ClusterService: how this node sees the cluster, what happens in it, and steering its members."""

from typing import Final

from orchestrix_raft.api import draining, events
from orchestrix_raft.api.backups import BackupCalls
from orchestrix_raft.api.calls import Feed, Unary, handlers
from orchestrix_raft.api.errors import Context, Handlers, Refusal, UnknownOutcome, applied, invalid
from orchestrix_raft.api.service import Service
from orchestrix_raft.api.workers import stuck_slots
from orchestrix_raft.coordinator.port import (
    Added,
    ClusterView,
    NodeView,
    NotApplied,
    Outcome,
    Unknown,
)
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.node import Health
from orchestrix_raft.wire import cluster as wire
from orchestrix_raft.wire import drain as wire_drain
from orchestrix_raft.wire.events import ListAuditRequest, ListAuditResponse, WatchRequest
from orchestrix_raft.wire.services import CLUSTER
from orchestrix_raft.wire.workers import worker_info

_NEVER_HEARD: Final = "unknown"
_UNREACHED: Final = "unreachable"  # and the cluster has not noticed for long enough to call it anything else


class ClusterService(Service):
    """One per server; holds nothing but the node and notes that are being written."""

    def handlers(self) -> Handlers:
        """For `Server.add_generic_rpc_handlers`."""
        backups = BackupCalls(self._door)
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
        return handlers(CLUSTER, methods)

    async def status(self, _request: wire.StatusRequest) -> wire.StatusResponse:
        """Everything this node knows; works without a leader."""
        view = self._node.status()
        response = _status(view)
        for session in view.sessions:
            response.workers.append(worker_info(session, stuck_slots(self._node, session)))
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
        outcome = f"refused: {target.reason}" if isinstance(target, Rejected) else f"done: to {target}"
        self._note("transfer_leadership", request.node_id or "any node", outcome)
        if isinstance(target, Rejected):
            raise Refusal(target)
        return wire.TransferLeadershipResponse(target=target)

    async def add_member(self, request: wire.AddMemberRequest) -> wire.AddMemberResponse:
        """The node that was added; returns when that is committed, not when it has caught up."""
        if len(request.address) > limits.ADDRESS_CHARS:
            raise invalid("ADDRESS_INVALID", f"address has {len(request.address)} characters")
        outcome = await self._node.add_member(request.address)
        self._note("add_member", request.address, _told(outcome))
        if isinstance(outcome, Added):
            return wire.AddMemberResponse(node_id=outcome.node_id, already=outcome.already)
        if isinstance(outcome, NotApplied):
            raise Refusal(outcome.rejected)
        raise UnknownOutcome(outcome.message)

    async def remove_member(self, request: wire.RemoveMemberRequest) -> wire.RemoveMemberResponse:
        """Returns when the removal is committed."""
        _check_node_id(request.node_id)
        self._note("remove_member", request.node_id, "asked")  # before: this node may be gone afterwards
        outcome = await self._node.remove_member(request.node_id)
        if isinstance(outcome, NotApplied):
            self._note("remove_member", request.node_id, _told(outcome))
        applied(outcome)
        return wire.RemoveMemberResponse()

    async def drain_node(self, request: wire_drain.DrainNodeRequest) -> wire_drain.DrainNodeResponse:
        """Committed; how far it has come is to be seen in Status."""
        return await self._noted("drain_node", request.node_id, draining.drain_node(self._node, request))

    async def undrain_node(self, request: wire_drain.UndrainNodeRequest) -> wire_drain.UndrainNodeResponse:
        """It takes workers again."""
        return await self._noted("undrain_node", request.node_id, draining.undrain_node(self._node, request))


def _told(outcome: Added | Outcome) -> str:
    match outcome:
        case Added(node_id=node_id):
            return f"done: {node_id}"
        case NotApplied(rejected=rejected):
            return f"refused: {rejected.reason}"
        case Unknown():
            return "unknown"
        case _:
            return "done"


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
