"""drain.proto: requests, and how far a drain has come."""

from orchestrix_raft.domain.node import Drain
from orchestrix_raft.wire.v1 import drain_pb2 as pb

DrainProgressMessage = pb.DrainProgress
DrainNodeRequest = pb.DrainNodeRequest
DrainNodeResponse = pb.DrainNodeResponse
UndrainNodeRequest = pb.UndrainNodeRequest
UndrainNodeResponse = pb.UndrainNodeResponse
DrainWorkerRequest = pb.DrainWorkerRequest
DrainWorkerResponse = pb.DrainWorkerResponse


def drain_message(drain: Drain | None) -> pb.DrainProgress | None:
    """The form for the wire."""
    if drain is None:
        return None
    return pb.DrainProgress(
        leaving=drain.leaving,
        since_ms=drain.since_ms,
        sessions=drain.sessions,
        jobs=drain.jobs,
        asked=drain.asked,
        acknowledged=drain.acknowledged,
        acknowledged_jobs=drain.acknowledged_jobs,
        orphaned=drain.orphaned,
        orphaned_jobs=drain.orphaned_jobs,
    )
