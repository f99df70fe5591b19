"""One step of an engine, and what becomes of the engine if it fails.  For `engine` alone."""

from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from orchestrix_raft.consensus.port import SafetyFault


class Guarded(Protocol):
    """The engine, as far as a step needs it."""

    fault: SafetyFault | None
    clock: Callable[[], float]
    now: float

    def stop_for(self, error: Exception) -> SafetyFault: ...


class Step:
    """One step of an engine at one time; whatever escapes from it stops the engine, which raises its fault
    from then on.  There are thousands in a second, so there is one such object for all of them."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Guarded) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        engine = self._engine
        if engine.fault is not None:
            raise engine.fault
        engine.now = engine.clock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            fault = self._engine.stop_for(error)
            if fault is not error:
                raise fault from error
