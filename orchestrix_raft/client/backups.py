"""Writing a backup to a file, and asking every node what it holds."""

import asyncio
import errno
import fcntl
import glob
import hashlib
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc.aio
import msgspec

from orchestrix_raft.client.calls import Caller, Channel, Failed
from orchestrix_raft.client.model import at
from orchestrix_raft.wire import backup as wire
from orchestrix_raft.wire import services
from orchestrix_raft.wire.arguments import flag, refused, seconds, text
from orchestrix_raft.wire.cluster import StatusRequest, StatusResponse
from orchestrix_raft.wire.errors import OrchestrixError, Unavailable
from orchestrix_raft.wire.servers import Backoff
from orchestrix_raft.wire.transport import EOF

ATTEMPTS: Final = 5  # a transfer that breaks off begins again at another node
STALL_S: Final = 300.0  # for the next piece; the first comes when the node has copied its state
ASK_AGAIN_S: Final = 0.2  # a node that is not ready waits by itself; one that cannot be reached does not
SYNC_BYTES: Final = 1 << 20  # one sync of the whole file would hold up a node that shares its disk

_PARTIAL: Final = ".partial"  # how the name of a file ends that is being written
_numbers: Final = itertools.count(1)  # of this process: two of its backups may go to one path

_CLUSTER: Final = services.CLUSTER.methods


class Backup(msgspec.Struct, frozen=True):
    """A backup that was written."""

    path: str
    index: int  # the last log entry inside
    term: int
    digest: str  # of the state at that entry
    bytes: int  # of the file
    jobs: dict[str, int]  # by state
    cluster_id: str
    node_id: str  # that made it
    time: datetime | None  # when, by the cluster's clock
    removed: list[str] = []  # half-written files that were there of earlier backups to this path, cut short


class NodeContents(msgspec.Struct, frozen=True):
    """What one node holds as of a log entry."""

    node_id: str
    address: str
    digest: str  # "" with an error
    rows: int
    bytes: int
    error: str  # why it is not known


class Verification(msgspec.Struct, frozen=True):
    """What all nodes hold as of one log entry."""

    index: int
    agree: bool | None  # all nodes that have answered hold the same; None: nothing could be compared
    nodes: list[NodeContents]
    unanswered: list[str] = []  # ids of the nodes of which nothing is known

    @property
    def whole(self) -> bool:
        """Every node has answered, and all hold the same."""
        return self.agree is True and not self.unanswered


async def write_backup(caller: Caller, name: str | os.PathLike[str], force: bool) -> Backup:
    """Fetch a backup into a new file; it is there as a whole or not at all.

    FileExistsError unless `force`; any OSError of the file system, as early as it can be known;
    `Unavailable` when no node gave one.
    """
    with refused():
        path = Path(text("path", os.fspath(name) if isinstance(name, os.PathLike) else name))
        flag("force", force)
    _free(path, force)
    removed = _remove_leftovers(path)
    partial, descriptor = _create(path)
    try:
        with open(descriptor, "wb") as file:
            info = await _fetch(caller, file)
            size = file.tell()
            _free(path, force)
            os.replace(partial, path)
    except BaseException:  # raised again; nothing is left behind
        with suppress(FileNotFoundError):
            partial.unlink()
        raise
    _sync_directory(path.parent)
    return Backup(
        str(path),
        info.index,
        info.term,
        info.digest,
        size,
        dict(info.jobs),
        info.cluster_id,
        info.node_id,
        at(info.made_ms),
        removed,
    )


def _free(path: Path, force: bool) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():  # with the rights of root, replacing /dev/null works
        raise OSError(
            errno.EINVAL, "it is a device, a pipe or a socket, which a backup would replace", str(path)
        )
    if not force and path.exists():
        raise FileExistsError(f"{path} exists already")


def _create(path: Path) -> tuple[Path, int]:
    """A new file beside it, locked for as long as it is open, by which others know that it is being
    written."""
    while True:
        partial = path.with_name(f".{path.name}.{os.getpid()}-{next(_numbers)}{_PARTIAL}")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:  # of a process of that number in another container, on a shared disk
            continue
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(partial.parent)) from error
        # On a file system without locks nobody takes it for a leftover, either.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if partial.exists():  # else somebody took it for a leftover before it was locked
            return partial, descriptor
        os.close(descriptor)


def _remove_leftovers(path: Path) -> list[str]:
    """What processes that died while they wrote this backup have left."""
    removed: list[str] = []
    for left in sorted(path.parent.glob(f".{glob.escape(path.name)}.*{_PARTIAL}")):
        # Gone meanwhile, of a backup that is under way or may be, or of another user: not ours to remove.
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
            removed.append(str(left))
    return removed


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _fetch(caller: Caller, file: Any) -> Any:
    """All of it into `file`, durable; what the node said of it."""
    now = asyncio.get_running_loop().time
    until = now() + caller.deadline_s
    backoff = Backoff(caller.servers)
    why: Failed | None = None
    for _ in range(ATTEMPTS):
        while True:
            try:
                channel = await caller.channel()
                return await _transfer(caller, channel, file)
            except _Broken as broken:
                why = broken.failure
                until = now() + caller.deadline_s
                break
            except Failed as failure:
                why = failure.over(why)
                delay_s = backoff.next_s()
                if now() + delay_s >= until:
                    raise Unavailable(
                        f"no node made a backup; one of those tried: {why}", "NO_SERVER"
                    ) from failure
                await asyncio.sleep(delay_s)
    raise Unavailable(f"the backup broke off {ATTEMPTS} times; the last time: {why}", "NO_SERVER")


class _Broken(Exception):
    """The transfer had begun and broke off."""

    def __init__(self, failure: Failed) -> None:
        super().__init__(str(failure))
        self.failure = failure


async def _transfer(caller: Caller, channel: Channel, file: Any) -> Any:
    info: Any = None
    digest = hashlib.sha256()
    received = unsynced = 0
    file.seek(0)
    file.truncate()
    try:
        async for piece in _pieces(caller, channel):
            if piece.HasField("info"):
                info = piece.info
                await asyncio.to_thread(file.write, info.head)
            else:
                digest.update(piece.data)
                received += len(piece.data)
                unsynced += len(piece.data)
                await asyncio.to_thread(file.write, piece.data)
                if unsynced >= SYNC_BYTES:
                    await asyncio.to_thread(_make_durable, file)
                    unsynced = 0
    except Failed as failure:
        if info is None:
            raise
        raise _Broken(failure) from failure
    if info is None or received != info.size or digest.digest() != info.sha256:
        caller.failed(channel)
        raise _Broken(Failed(f"{channel.address}: the backup did not arrive as it was sent", in_doubt=False))
    await asyncio.to_thread(_make_durable, file)
    return info


def _make_durable(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


async def _pieces(caller: Caller, channel: Channel) -> AsyncIterator[Any]:
    with channel.in_use():
        call = channel.stub(_CLUSTER["Backup"])(wire.BackupRequest())
        try:
            while True:
                async with asyncio.timeout(STALL_S):
                    piece = await call.read()
                if piece is EOF:
                    return
                yield piece
        except grpc.aio.AioRpcError as error:
            failure = caller.judge(error, channel)
            if isinstance(failure, Failed):
                caller.failed(channel)
            raise failure from error
        except TimeoutError as error:
            caller.failed(channel)
            raise Failed(f"{channel.address}: nothing came for {STALL_S:g} s", in_doubt=False) from error
        finally:
            call.cancel()


async def verify(caller: Caller, timeout: float | timedelta) -> Verification:
    """Let all members look at what they hold as of one entry, and compare.  Each has `timeout` seconds."""
    with refused():
        timeout_s = seconds("timeout", timeout, zero=False)
    status: StatusResponse = await caller.call(_CLUSTER["Status"], StatusRequest())
    return await compare(caller, [(node.node_id, node.address) for node in status.nodes], timeout_s)


async def compare(caller: Caller, members: list[tuple[str, str]], timeout_s: float) -> Verification:
    """The same for these members (id, address)."""
    mark: wire.MarkContentsResponse = await caller.call(_CLUSTER["MarkContents"], wire.MarkContentsRequest())
    until = asyncio.get_running_loop().time() + timeout_s
    found = await asyncio.gather(*(_ask(caller, *member, mark.index, until) for member in members))
    return verification(mark.index, list(found))


def verification(index: int, nodes: list[NodeContents]) -> Verification:
    """What follows from what the nodes have answered.  One answer of several proves nothing."""
    digests = [node.digest for node in nodes if not node.error]
    agree = len(set(digests)) == 1 if len(digests) > 1 or len(digests) == len(nodes) > 0 else None
    return Verification(index, agree, nodes, [node.node_id for node in nodes if node.error])


async def _ask(caller: Caller, node_id: str, address: str, index: int, until: float) -> NodeContents:
    """One node, again and again until it is ready."""
    now = asyncio.get_running_loop().time
    why = "its address is not known"
    while address and now() < until:
        try:
            answer: wire.GetContentsResponse = await caller.call_at(
                address, _CLUSTER["GetContents"], wire.GetContentsRequest(index=index)
            )
        except OrchestrixError as error:
            why = f"it does not answer: {error}"
            await asyncio.sleep(ASK_AGAIN_S)
            continue
        if answer.node_id != node_id:
            why = f"node {answer.node_id} answers at its address"
            break
        if answer.ready:
            return NodeContents(node_id, address, answer.digest, answer.rows, answer.size, answer.why_not)
        why = "it has not read all it holds yet"
    return NodeContents(node_id, address, "", 0, 0, why)
