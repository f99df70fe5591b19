"""Handing over: draining of nodes and workers, a part of the client."""

from typing import Final

from orchestrix_raft.client.calls import Caller
from orchestrix_raft.client.model import DrainProgress, progress_of
from orchestrix_raft.wire import drain as wire
from orchestrix_raft.wire import services
from orchestrix_raft.wire.errors import InvalidArgument

_CLUSTER: Final = services.CLUSTER.methods
_WORKERS: Final = services.WORKERS.methods


class Draining:
    """Methods of `AsyncClient`."""

    _caller: Caller

    async def drain_node(self, node_id: str, *, force: bool = False) -> DrainProgress:
        """A node hands its leadership and its workers over, and takes none until `undrain_node` or its next
        start.  Returns when that is decided; `status` shows how far it has come.

        Raises `OrchestrixError` with reason `DRAIN_COSTS_TOO_MUCH` if the rest of the cluster could not go on
        without the node, unless `force`.
        """
        request = wire.DrainNodeRequest(node_id=node_id, force=force)
        response: wire.DrainNodeResponse = await self._caller.call(_CLUSTER["DrainNode"], request)
        self._caller.wrote(response.applied_index)
        return progress_of(response.drain)

    async def undrain_node(self, node_id: str) -> None:
        """It takes workers again."""
        request = wire.UndrainNodeRequest(node_id=node_id)
        response: wire.UndrainNodeResponse = await self._caller.call(_CLUSTER["UndrainNode"], request)
        self._caller.wrote(response.applied_index)

    async def drain_worker(self, worker_id: str) -> None:
        """A worker process takes nothing new, finishes what it runs within its time, gives the rest back and
        ends.  `worker_id`: as `status` shows it."""
        try:
            raw = bytes.fromhex(worker_id)
        except ValueError as error:
            raise InvalidArgument(f"{worker_id!r} is no worker's id", "WORKER_ID_INVALID") from error
        request = wire.DrainWorkerRequest(worker_id=raw)
        response: wire.DrainWorkerResponse = await self._caller.call(_WORKERS["DrainWorker"], request)
        self._caller.wrote(response.applied_index)
