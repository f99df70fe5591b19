"""The client, synchronous: the asynchronous one on an event loop in a thread of its own.

Every method below is the method of `AsyncClient` of the same name, with its signature and docstring.
Calls made by several threads at once share round trips like concurrent coroutines do.
"""

import asyncio
import functools
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar, overload

from orchestrix_raft.client.aio import DEADLINE_S, AsyncClient
from orchestrix_raft.client.cluster import AsyncCluster
from orchestrix_raft.client.events import Event, watch_request
from orchestrix_raft.client.following import logs_request
from orchestrix_raft.client.model import LogLine, LogLines
from orchestrix_raft.client.queues import AsyncQueues
from orchestrix_raft.client.schedules import AsyncSchedules
from orchestrix_raft.domain import limits
from orchestrix_raft.recording.writing import Target
from orchestrix_raft.wire.errors import OrchestrixError
from orchestrix_raft.wire.transport import DEFAULT_SERVERS, TlsFiles, new_event_loop

P = ParamSpec("P")
R = TypeVar("R")


class _LoopThread:
    """An event loop in a thread, for as long as the process lives; it keeps no interpreter alive."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = new_event_loop()
        self._thread = threading.Thread(target=self._run, name="orchestrix-client", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """The result of `work`; interrupting the wait (Ctrl-C) cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:  # also KeyboardInterrupt: whatever it is, nobody waits for the work any more
            future.cancel()
            raise


_threads: list[_LoopThread] = []  # at most one that belongs to this process
_threads_lock = threading.Lock()


def _shared_thread() -> _LoopThread:
    """The one loop of all clients of this process.

    It is never closed: gRPC hands completions of all loops of a process to whichever of them runs, so a
    closed loop, with a late completion of its own, would disturb the clients and servers on the others.
    """
    with _threads_lock:
        if not _threads or _threads[0].pid != os.getpid():  # a fork leaves the thread behind
            _threads[:] = [_LoopThread()]
        return _threads[0]


async def _next(pages: AsyncGenerator[R, None]) -> R | None:
    return await anext(pages, None)


async def _end(pages: AsyncGenerator[Any, None]) -> None:
    await pages.aclose()


def _face(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate["Client", P], R]:
    def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._run(method(self._client, *args, **kwargs))

    functools.update_wrapper(call, method)
    return call


def _queue_face(
    method: Callable[Concatenate[AsyncQueues, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate["Queues", P], R]:
    def call(self: "Queues", /, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self._run(method(self._queues, *args, **kwargs))
        return result

    functools.update_wrapper(call, method)
    return call


def _schedule_face(
    method: Callable[Concatenate[AsyncSchedules, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate["Schedules", P], R]:
    def call(self: "Schedules", /, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self._run(method(self._schedules, *args, **kwargs))
        return result

    functools.update_wrapper(call, method)
    return call


def _cluster_face(
    method: Callable[Concatenate[AsyncCluster, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate["Cluster", P], R]:
    def call(self: "Cluster", /, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self._run(method(self._cluster, *args, **kwargs))
        return result

    functools.update_wrapper(call, method)
    return call


class Cluster:
    """`client.cluster`: every method of `AsyncCluster` of the same name, with its signature and docstring."""

    def __init__(self, cluster: AsyncCluster, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._cluster = cluster
        self._run = run

    add = _cluster_face(AsyncCluster.add)
    remove = _cluster_face(AsyncCluster.remove)
    drain = _cluster_face(AsyncCluster.drain)
    undrain = _cluster_face(AsyncCluster.undrain)
    drain_worker = _cluster_face(AsyncCluster.drain_worker)


class Schedules:
    """`client.schedules`: every method of `AsyncSchedules` of the same name, with its signature and
    docstring."""

    def __init__(self, schedules: AsyncSchedules, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._schedules = schedules
        self._run = run

    cron = _schedule_face(AsyncSchedules.cron)
    every = _schedule_face(AsyncSchedules.every)
    at = _schedule_face(AsyncSchedules.at)
    update = _schedule_face(AsyncSchedules.update)
    get = _schedule_face(AsyncSchedules.get)
    list = _schedule_face(AsyncSchedules.list)
    pause = _schedule_face(AsyncSchedules.pause)
    resume = _schedule_face(AsyncSchedules.resume)
    trigger = _schedule_face(AsyncSchedules.trigger)
    delete = _schedule_face(AsyncSchedules.delete)
    preview = _schedule_face(AsyncSchedules.preview)


def _close(client: AsyncClient, thread: _LoopThread) -> None:
    thread.run(client.close())


class Queues:
    """`client.queues`: every method of `AsyncQueues` of the same name, with its signature and docstring."""

    def __init__(self, queues: AsyncQueues, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._queues = queues
        self._run = run

    list = _queue_face(AsyncQueues.list)
    get = _queue_face(AsyncQueues.get)
    pause = _queue_face(AsyncQueues.pause)
    resume = _queue_face(AsyncQueues.resume)
    limit = _queue_face(AsyncQueues.limit)
    purge = _queue_face(AsyncQueues.purge)


class Client:
    """Enqueue jobs and look after them, through any node of the cluster.

    `servers` is one address, several separated by commas, or a sequence.  Calls fail over between them and
    further members for `deadline` seconds, then raise `Unavailable` (certainly not done) or
    `OutcomeUnknown`.  Safe to share between threads.  Close it, or use it in a `with` statement.
    `history`: as for `AsyncClient`.
    """

    def __init__(
        self,
        servers: str | Sequence[str] = DEFAULT_SERVERS,
        *,
        deadline: float = DEADLINE_S,
        tls: TlsFiles | None = None,
        history: Target | None = None,
    ) -> None:
        self._client = AsyncClient(servers, deadline=deadline, tls=tls, history=history)
        self._thread = _shared_thread()
        # Runs once: at `close`, when the client is collected, or at exit, whichever comes first.
        self._closing = weakref.finalize(self, _close, self._client, self._thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def queues(self) -> Queues:
        """Pause, limit and look at queues."""
        return Queues(self._client.queues, self._run)  # kept, it would keep this client from being collected

    def close(self) -> None:
        """Close all connections.  Calls that are under way fail.  Closing twice does nothing."""
        self._closing()

    def _run(self, work: Coroutine[Any, Any, R]) -> R:
        if not self._closing.alive:
            work.close()
            raise OrchestrixError("this client is closed")
        return self._thread.run(work)

    @property
    def schedules(self) -> Schedules:
        """Make, look at and steer schedules."""
        return Schedules(self._client.schedules, self._run)  # not kept, as above

    @property
    def cluster(self) -> Cluster:
        """Add and remove members."""
        return Cluster(self._client.cluster, self._run)  # not kept, as above

    def events(
        self,
        *,
        since: str | None = None,
        follow: bool = False,
        job: str | Iterable[str] | None = None,
        queue: str | Iterable[str] | None = None,
        type: str | Iterable[str] | None = None,
        kind: str | Iterable[str] | None = None,
    ) -> Iterator[Event]:
        pages = self._client._event_pages(watch_request(since, follow, job, queue, type, kind))
        return (event for page in self._pages(pages) for event in page)

    events.__doc__ = AsyncClient.events.__doc__

    def _pages(self, pages: AsyncGenerator[R, None]) -> Iterator[R]:
        """What an asynchronous generator yields; leaving the loop over it ends it."""
        try:
            while (page := self._run(_next(pages))) is not None:
                yield page
        finally:
            if self._closing.alive:
                self._run(_end(pages))

    audit = _face(AsyncClient.audit)
    enqueue = _face(AsyncClient.enqueue)
    enqueue_told = _face(AsyncClient.enqueue_told)
    enqueue_many = _face(AsyncClient.enqueue_many)
    get = _face(AsyncClient.get)
    wait = _face(AsyncClient.wait)
    list_jobs = _face(AsyncClient.list_jobs)
    history = _face(AsyncClient.history)

    @overload
    def logs(self, job_id: str, after: LogLine | None = None, limit: int = limits.PAGE) -> LogLines: ...

    @overload
    def logs(
        self, job_id: str, after: LogLine | None = None, limit: int = limits.PAGE, *, follow: Literal[True]
    ) -> Iterator[LogLine]: ...

    def logs(
        self,
        job_id: str,
        after: LogLine | None = None,
        limit: int = limits.PAGE,
        *,
        follow: bool = False,
    ) -> LogLines | Iterator[LogLine]:
        request = logs_request(job_id, after, limit, follow)
        if not follow:
            return self._run(self._client._lines(request))
        return (line for page in self._pages(self._client._line_pages(request)) for line in page)

    logs.__doc__ = AsyncClient.logs.__doc__
    status = _face(AsyncClient.status)
    cancel = _face(AsyncClient.cancel)
    retry = _face(AsyncClient.retry)
    purge = _face(AsyncClient.purge)
    cancel_where = _face(AsyncClient.cancel_where)
    retry_where = _face(AsyncClient.retry_where)
    purge_where = _face(AsyncClient.purge_where)
    explain = _face(AsyncClient.explain)
    backup = _face(AsyncClient.backup)
    verify = _face(AsyncClient.verify)
    transfer_leadership = _face(AsyncClient.transfer_leadership)
