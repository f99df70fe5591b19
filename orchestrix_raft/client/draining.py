"""Handing over: draining of nodes and workers, a part of the client."""

import re
from typing import Final

from orchestrix_raft.client.calls import Caller
from orchestrix_raft.client.model import DrainProgress, progress_of
from orchestrix_raft.domain import limits
from orchestrix_raft.wire import drain as wire
from orchestrix_raft.wire import services
from orchestrix_raft.wire.arguments import flag, refused, shown, text

_CLUSTER: Final = services.CLUSTER.methods
_WORKERS: Final = services.WORKERS.methods
_DIGITS: Final = 2 * limits.SESSION_ID_BYTES
_WORKER_ID: Final = re.compile(f"[0-9a-fA-F]{{{_DIGITS}}}").fullmatch


class Draining:
    """Methods of `AsyncCluster`."""

    _caller: Caller

    async def drain(self, node_id: str, *, force: bool = False) -> DrainProgress:
        """A node hands its leadership and its workers over, and takes none until `undrain` or its next
        start.  Returns when that is decided; `status` shows how far it has come.

        Raises `OrchestrixError` with reason `DRAIN_COSTS_TOO_MUCH` if the rest of the cluster could not go on
        without the node, unless `force`.
        """
        with refused():
            text("node_id", node_id)
            flag("force", force)
        request = wire.DrainNodeRequest(node_id=node_id, force=force)
        response: wire.DrainNodeResponse = await self._caller.call(_CLUSTER["DrainNode"], request)
        self._caller.wrote(response.applied_index)
        return progress_of(response.drain)

    async def undrain(self, node_id: str) -> None:
        """It takes workers again."""
        with refused():
            text("node_id", node_id)
        request = wire.UndrainNodeRequest(node_id=node_id)
        response: wire.UndrainNodeResponse = await self._caller.call(_CLUSTER["UndrainNode"], request)
        self._caller.wrote(response.applied_index)

    async def drain_worker(self, worker_id: str) -> None:
        """A worker process takes nothing new, finishes what it runs within its time, gives the rest back and
        ends.  `worker_id`: as `status` shows it."""
        with refused(reason="WORKER_ID_INVALID"):
            raw = worker_id_of(worker_id)
        request = wire.DrainWorkerRequest(worker_id=raw)
        response: wire.DrainWorkerResponse = await self._caller.call(_WORKERS["DrainWorker"], request)
        self._caller.wrote(response.applied_index)


def worker_id_of(worker_id: object) -> bytes:
    """A worker's id as `status` shows it, as bytes; TypeError or ValueError for what is none."""
    told = text("worker_id", worker_id)
    if not _WORKER_ID(told):
        raise ValueError(f"worker_id is {shown(told)}: it has {_DIGITS} hexadecimal digits, see `status`")
    return bytes.fromhex(told)
