"""Backups and the comparison of contents: methods of ClusterService."""

import asyncio
from typing import Final

from orchestrix_raft.api.errors import Context, Refusal, applied
from orchestrix_raft.api.service import Service
from orchestrix_raft.coordinator.backup_file import Head
from orchestrix_raft.coordinator.port import BackupHandle
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.machine.commands import MarkContents
from orchestrix_raft.wire import backup as wire

STALL_S: Final = 60.0  # a reader that takes nothing for this long keeps the copy from being removed

_STALLED: Final = Rejected(
    Code.ABORTED, "BACKUP_STALLED", f"the caller took nothing for {STALL_S:g} s: ask again, and read on"
)


class BackupCalls(Service):
    """The methods."""

    async def backup(self, _request: wire.BackupRequest, context: Context) -> None:
        """Streams the file: what stands at its head, then the rest in pieces."""
        backup = await self._node.backup()
        if isinstance(backup, Rejected):
            raise Refusal(backup)
        whole = "not known to be whole: the caller did not take it all"
        try:
            await self._send(backup, context)
            whole = f"done: {backup.head.size} bytes"
        except Refusal as refusal:
            whole = f"refused: {refusal.rejected.reason}"
            refusal.noted = True  # in a moment, with the index
            raise
        finally:
            backup.close()
            self._notes.made("backup", f"as of index {backup.head.index}", whole)

    async def _send(self, backup: BackupHandle, context: Context) -> None:
        await context.write(wire.BackupPiece(info=_info(backup.head, backup.head_bytes)))
        async for data in backup.body():
            if isinstance(data, Rejected):
                raise Refusal(data)
            try:
                async with asyncio.timeout(STALL_S):
                    await context.write(wire.BackupPiece(data=data))
            except TimeoutError as error:
                raise Refusal(_STALLED) from error

    async def mark_contents(self, _request: wire.MarkContentsRequest) -> wire.MarkContentsResponse:
        """Commits the mark."""
        index = applied(await self._node.submit(MarkContents())).index
        self._notes.made("verify", "all nodes", f"done: asked for what they hold as of index {index}")
        return wire.MarkContentsResponse(index=index)

    async def get_contents(self, request: wire.GetContentsRequest) -> wire.GetContentsResponse:
        """What this node held there."""
        response = wire.GetContentsResponse(node_id=self._node.status().answered_by)
        found = await self._node.contents(request.index)
        if isinstance(found, str):
            response.ready, response.why_not = True, found
        elif found is not None:
            response.ready, response.digest = True, found.digest.hex()
            response.rows, response.size = found.rows, found.size
        return response


def _info(head: Head, head_bytes: bytes) -> wire.BackupInfo:
    return wire.BackupInfo(
        head=head_bytes,
        size=head.size,
        sha256=head.sha256,
        index=head.index,
        term=head.term,
        digest=head.digest.hex(),
        cluster_id=head.cluster_id,
        node_id=head.node_id,
        made_ms=head.made_ms,
        jobs=head.jobs,
    )
