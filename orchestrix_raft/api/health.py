"""Standard health checking (grpc.health.v1): SERVING while the node is in contact with a leader.

Computed when asked, so that `Check` is never behind; a `Watch` looks again every half second.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import grpc
from grpc_health.v1 import health_pb2 as pb

from orchestrix_raft.api.errors import Context, Handlers, Refusal, abort
from orchestrix_raft.api.service import Service
from orchestrix_raft.coordinator.port import Door
from orchestrix_raft.domain.errors import Code, Rejected

SERVICE: Final = "grpc.health.v1.Health"
WATCH_S: Final = 0.5


class Health(Service):
    """Answers for the whole server ("") and for each service by its full name."""

    def __init__(self, door: Door, services: Iterable[str]) -> None:
        super().__init__(door)
        self._services = frozenset({"", SERVICE, *services})
        self._stopping = False

    def stop(self) -> None:
        """NOT_SERVING from now on: load balancers turn away before connections are closed."""
        self._stopping = True

    def handlers(self) -> Handlers:
        """For `Server.add_generic_rpc_handlers`."""
        read, write = pb.HealthCheckRequest.FromString, pb.HealthCheckResponse.SerializeToString
        table = {
            "Check": grpc.unary_unary_rpc_method_handler(self.check, read, write),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch, read, write),
        }
        return grpc.method_handlers_generic_handler(SERVICE, table)

    async def check(self, request: pb.HealthCheckRequest, context: Context) -> pb.HealthCheckResponse:
        """NOT_FOUND for a service that does not exist."""
        if request.service not in self._services:
            unknown = f"no service {request.service[:200]!r}"
            await abort(context, Refusal(Rejected(Code.NOT_FOUND, "SERVICE_UNKNOWN", unknown)))
        return pb.HealthCheckResponse(status=self._status())

    async def watch(self, request: pb.HealthCheckRequest, context: Context) -> None:
        """The status now and after each change, until the caller goes away."""
        known = request.service in self._services
        last: int | None = None
        while True:
            status = self._status() if known else pb.HealthCheckResponse.SERVICE_UNKNOWN
            if status != last:
                await context.write(pb.HealthCheckResponse(status=status))
                last = status
            await asyncio.sleep(WATCH_S)

    def _status(self) -> pb.HealthCheckResponse.ServingStatus:
        if self._stopping or self._node.freshness().stale:
            return pb.HealthCheckResponse.NOT_SERVING
        return pb.HealthCheckResponse.SERVING
