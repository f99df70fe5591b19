"""The worker as users see it: handlers by type, and `run`."""

import asyncio
import os
import random
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, overload

from orchestrix_raft.domain import limits
from orchestrix_raft.history.recorder import WORKER
from orchestrix_raft.recording.writing import Target, recorder_of
from orchestrix_raft.wire import arguments
from orchestrix_raft.wire.targets import addresses_of, files_of
from orchestrix_raft.wire.transport import DEFAULT_SERVERS, TlsFiles, check_tls, new_event_loop
from orchestrix_raft.worker.handlers import Handler, NoRetry, make_handler
from orchestrix_raft.worker.notes import Notes
from orchestrix_raft.worker.session import Settings
from orchestrix_raft.worker.shell import Shell

F = TypeVar("F", bound=Callable[..., Any])

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Worker:
    """Runs jobs of the cluster at `servers` ("HOST:PORT", several separated by commas, or a sequence).

    `queues`: where its jobs come from.  `concurrency`: how many it runs at once.  `labels`: jobs that ask
    for labels run only on workers that have them all.  `name`: for people; default host and process id.
    `history`: a file to which it appends what it runs, for `check-history`; None: the one that
    ORCHESTRIX_HISTORY names, if any.
    TypeError or ValueError, in one line, for anything that cannot be.
    """

    def __init__(
        self,
        servers: str | Sequence[str] = DEFAULT_SERVERS,
        queues: Sequence[str] = ("default",),
        concurrency: int = 10,
        labels: Sequence[str] | None = None,
        name: str | None = None,
        *,
        tls: TlsFiles | None = None,
        history: Target | None = None,
    ) -> None:
        served = tuple(sorted(set(arguments.names("queues", queues))))
        if not 0 < len(served) <= limits.QUEUES_OF_A_WORKER:
            most = limits.QUEUES_OF_A_WORKER
            raise ValueError(f"queues has {len(served)} names: it must have at least one, and at most {most}")
        arguments.whole("concurrency", concurrency, 1, limits.CAPACITY)
        self._servers = addresses_of(servers)
        self._settings = Settings(
            f"{socket.gethostname()}:{os.getpid()}" if name is None else arguments.text("name", name),
            served,
            concurrency,
            () if labels is None else tuple(sorted(set(arguments.names("labels", labels)))),
        )
        self._tls = check_tls(files_of(tls))
        self._recorder = recorder_of(history, WORKER, self._settings.name)
        self._handlers: dict[str, Handler] = {}
        self._shell: Shell | None = None
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def name(self) -> str:
        """What people see: the constructor's, or host and process id."""
        return self._settings.name

    @property
    def queues(self) -> tuple[str, ...]:
        """Where its jobs come from."""
        return self._settings.queues

    @property
    def types(self) -> tuple[str, ...]:
        """The types of jobs that it has handlers for."""
        return tuple(sorted(self._handlers))

    @overload
    def job(self, type: F, /) -> F: ...

    @overload
    def job(
        self, type: str | None = None, *, process: bool = False, no_retry_on: NoRetry = ()
    ) -> Callable[[F], F]: ...

    def job(self, type: Any = None, *, process: bool = False, no_retry_on: NoRetry = ()) -> Any:
        """Decorator: the function handles jobs of `type`, or of its own name if none is given; then it may
        also stand without parentheses, as `@worker.job`.

        It is called with a `JobContext` and the job's arguments as keyword arguments; what it returns (any
        JSON value) is the job's result.  Coroutine functions run on the event loop, others in threads;
        with `process=True` in a process of its own, which is killed if it does not end when it should.
        Any exception is a failed attempt, tried again as the job's retry policy says; those in
        `no_retry_on` and `Discard` are not tried again, `Retry` says when.

        TypeError or ValueError for a function that could not handle anything, and for a second one of a type.
        """
        if callable(type):
            return self._register(None, type, process, no_retry_on)
        if type is not None:
            arguments.text("type", type)

        def register(function: F) -> F:
            return self._register(type, function, process, no_retry_on)

        return register

    def _register(self, job_type: str | None, function: F, process: bool, no_retry_on: NoRetry) -> F:
        handler = make_handler(job_type, function, process, no_retry_on)
        if handler.job_type in self._handlers:
            raise ValueError(
                f"there is a handler for type {handler.job_type!r} already: give this one another"
            )
        self._handlers[handler.job_type] = handler
        return function

    def override(
        self,
        *,
        servers: Sequence[str] | None = None,
        queues: Sequence[str] | None = None,
        concurrency: int | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        """Replace what the constructor was given, before `run`: a command line wins over the code."""
        given = self._settings
        fresh = Worker(
            self._servers if servers is None else servers,
            given.queues if queues is None else queues,
            given.capacity if concurrency is None else concurrency,
            given.labels,
            given.name,
            tls=self._tls if tls is None else tls,
            history=self._recorder,
        )
        self._servers, self._settings, self._tls = fresh._servers, fresh._settings, fresh._tls

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, then drain; a second signal cuts the drain short.

        Running handlers get 30 s to end, then they are told to stop, and what is unfinished goes back to the
        queue at once without counting as an attempt.
        """
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            if threading.current_thread() is threading.main_thread():
                loop = runner.get_loop()
                for number in _SIGNALS:
                    loop.add_signal_handler(number, self.stop)
            runner.run(self.run_async())

    async def run_async(self) -> None:
        """Work on this event loop until `stop` is called, then drain.  Cancelling it gives everything back at
        once, if a node can be told."""
        if self._shell is not None:
            raise RuntimeError("this worker is running already")
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        notes = None if self._recorder is None else Notes(self._recorder, self._settings.name)
        self._shell = Shell(self._settings, self._servers, self._tls, self._handlers, random.Random(), notes)
        try:
            await self._shell.run(self._stop)
        finally:
            self._shell = self._stop = self._loop = None

    def stop(self) -> None:
        """Ask a running worker to drain and end; asking again cuts the drain short.  From any thread."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._ask_to_stop)

    def _ask_to_stop(self) -> None:
        if self._stop is None or self._shell is None:
            return
        if self._stop.is_set():
            self._shell.hurry()
        self._stop.set()
