"""The gRPC server of a node: all services, health and reflection on one port."""

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection

from orchestrix_raft.api.audit import Notes
from orchestrix_raft.api.cluster import ClusterService
from orchestrix_raft.api.errors import ApiError
from orchestrix_raft.api.health import SERVICE as HEALTH_SERVICE
from orchestrix_raft.api.health import Health
from orchestrix_raft.api.jobs import JobService
from orchestrix_raft.api.queues import QueueService
from orchestrix_raft.api.schedules import ScheduleService
from orchestrix_raft.api.workers import WorkerService
from orchestrix_raft.coordinator.port import Door
from orchestrix_raft.wire import services
from orchestrix_raft.wire.transport import SERVER_OPTIONS, TlsFiles, server_credentials


class ApiServer:
    """`start`, then `stop` once; runs on the loop that starts it."""

    def __init__(self, door: Door, tls: TlsFiles | None = None) -> None:
        self._tls = tls
        names = [service.name for service in services.ALL]
        self._health = Health(door, names)
        notes = Notes(door)
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        self._server.add_generic_rpc_handlers(
            (
                JobService(door, notes).handlers(),
                ScheduleService(door, notes).handlers(),
                QueueService(door, notes).handlers(),
                WorkerService(door, notes).handlers(),
                ClusterService(door, notes).handlers(),
                self._health.handlers(),
            )
        )
        reflection.enable_server_reflection([*names, HEALTH_SERVICE, reflection.SERVICE_NAME], self._server)

    async def start(self, listen: str) -> int:
        """Serve on HOST:PORT (port 0: any free one) and return the port.

        `ApiError` when the address cannot be had or a TLS file cannot be read.
        """
        try:
            port = self._bind(listen)
        except (OSError, ValueError) as error:
            raise ApiError(f"TLS: {error}") from error
        except RuntimeError as error:  # what grpc raises when bind(2) fails, whatever the cause
            message = f"cannot listen on {listen}: is another process using the port, or is it not ours?"
            raise ApiError(message) from error
        await self._server.start()
        return port

    def _bind(self, listen: str) -> int:
        if self._tls is None:
            return self._server.add_insecure_port(listen)
        return self._server.add_secure_port(listen, server_credentials(self._tls))

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls at once, give those under way `grace_s` seconds, then cancel them."""
        self._health.stop()
        await self._server.stop(grace_s)
