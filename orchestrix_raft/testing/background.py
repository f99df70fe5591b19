"""Something asynchronous that goes on in a thread of its own while a test does other things."""

import asyncio
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """Begins with its `with` block and is told to end with it; what it raised is raised there, unless the
    block itself has failed."""

    def __init__(self, name: str) -> None:
        """`name`: of the thread."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._error: BaseException | None = None

    @abstractmethod
    async def _work(self) -> None:
        """All of it; ends soon after `_stopping` is set."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:  # raised again in the thread that waits for this one
            self._error = error
