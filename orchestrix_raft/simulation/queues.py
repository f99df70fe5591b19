"""A simulated operator: pauses and limits queues while things break, and takes it all back at the end."""

from collections.abc import Callable
from typing import Final

from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.domain.queue import LIMITS, QueueChange, RateLimitOptions
from orchestrix_raft.machine.commands import Asked, ConfigureQueue, JobsResult
from orchestrix_raft.simulation.clients import SimClient
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.world import World

_QUEUES: Final = ("mail", "default")
_FREE: Final = QueueChange(paused=False, clear=LIMITS)


class SimOperator(SimClient):
    """One call at a time."""

    def __init__(
        self, world: World, name: str, nodes: list[SimNode], violation: Callable[[str], None]
    ) -> None:
        super().__init__(world, name, nodes, [], violation, lambda job_id: False)
        self._freed: set[str] = set()

    def act(self) -> None:
        """Change something about a queue, unless the last change was not answered yet."""
        if self.idle:
            self._configure(self.rng.choice(_QUEUES), self._change(), lambda: None)

    def leave(self) -> bool:
        """Take back every limit; True when that is done."""
        if self.idle:
            for name in _QUEUES:
                if name not in self._freed:
                    self._configure(name, _FREE, lambda name=name: self._freed.add(name))  # type: ignore[misc]
        return len(self._freed) == len(_QUEUES) and self.idle

    def _configure(self, name: str, change: QueueChange, then: Callable[[], None]) -> None:
        def done(answer: Done) -> None:
            if not isinstance(answer.result, JobsResult):
                self._violation(f"{change} was answered {answer.result}")
            then()

        self._call(Asked(self.name, ConfigureQueue(self.rng.randbytes(16), name, change)), done)

    def _change(self) -> QueueChange:
        rng = self.rng
        rate = RateLimitOptions(rng.randint(1, 8), rng.choice((200, 1_000, 5_000)))
        return rng.choice(
            (
                QueueChange(paused=True),
                QueueChange(paused=False),
                QueueChange(paused=False),
                QueueChange(rate=rate),
                QueueChange(key_rate=rate),
                QueueChange(concurrency=rng.randint(1, 5)),
                QueueChange(key_concurrency=rng.randint(1, 2)),
                QueueChange(clear=(rng.choice(LIMITS),)),
                QueueChange(paused=False, clear=LIMITS),
            )
        )
