"""Connections between named ends, with what real ones do: delay, stall, break, one direction only.

A connection delivers in order or breaks; breaking loses what is under way, and the two ends notice at
different times.  Now and then what is under way arrives all the same, after a new connection stands.  Nodes
and workers use the same kind.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Final, Protocol

import msgspec

from orchestrix_raft.consensus.messages import SnapshotChunk
from orchestrix_raft.simulation.world import World

LINGER_S: Final = 2.0
"""So long an end may read from a connection that the other one has given up, or that broke in between: what
it reads may then come after what was sent later on another connection."""


class End(Protocol):
    """Whoever holds one end of a connection."""

    def received(self, pipe: "Pipe", payload: Any) -> None: ...
    def broken(self, pipe: "Pipe") -> None: ...


class Pipe:
    """One connection between ends `a` and `b` (names), alive until it breaks."""

    def __init__(self, network: "Network", names: tuple[str, str], ends: tuple[End, End]) -> None:
        self.names = names
        self.alive = True
        self._network = network
        self._world = network.world
        self._rng = network.chance_of(names)
        self._ends = ends
        self._queues: tuple[deque[tuple[float, Any]], deque[tuple[float, Any]]] = (deque(), deque())
        self._last = [0.0, 0.0]
        self._pumping = [False, False]
        self._noticed = [False, False]
        self._pumps = (partial(self._pump, 0), partial(self._pump, 1))

    def send(self, name: str, payload: Any) -> None:
        """From the end called `name` to the other; lost if the connection is already broken."""
        if not self.alive:
            return
        side = 0 if name == self.names[0] else 1
        at = self._world.now + self._network.delay(self._rng)
        if at < self._last[side]:
            at = self._last[side]
        self._last[side] = at
        self._queues[side].append((at, payload))
        if not self._pumping[side]:
            self._pumping[side] = True
            self._world.at(at, self._pumps[side])

    def _pump(self, side: int) -> None:
        self._pumping[side] = False
        world, queue, network = self._world, self._queues[side], self._network
        while queue and not self._noticed[1 - side]:
            at = queue[0][0]
            if network.stalled:
                at = max(at, network.stalled.get((self.names[side], self.names[1 - side]), 0.0))
            if at > world.now:
                self._pumping[side] = True
                world.at(at, self._pumps[side])
                return
            self._ends[1 - side].received(self, queue.popleft()[1])

    def other(self, name: str) -> str:
        """The end that is not called `name`."""
        first, second = self.names
        return first if second == name else second

    def close(self, by: str | None = None) -> None:
        """Break it; each end notices by itself, the one that closed it does not need to."""
        if not self.alive:
            return
        self.alive = False
        self._network.forget(self)
        lingers = self._rng.random() < self._network.linger
        if lingers:
            self._network.lingering[self] = None
        for side in (0, 1):
            if not lingers:
                self._queues[side].clear()
            if self.names[side] == by:
                self._noticed[side] = True
                self._queues[1 - side].clear()
            else:
                notices = self._rng.uniform(0.0, LINGER_S if lingers else 0.2)
                self._world.after(notices, partial(self._notice, side))

    def unread(self, name: str) -> None:
        """The process at the end called `name` has ended: what is under way to it reaches nobody."""
        side = 0 if name == self.names[0] else 1
        self._noticed[side] = True
        self._queues[1 - side].clear()

    def _notice(self, side: int) -> None:
        if not self._noticed[side]:
            self._noticed[side] = True
            self._ends[side].broken(self)
        if all(self._noticed):
            self._network.lingering.pop(self, None)


class Network:
    """Who can reach whom, how fast, and which connections are there."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._cut: set[tuple[str, str]] = set()
        self.stalled: dict[tuple[str, str], float] = {}  # direction -> until when; mostly there is none
        self._pipes: dict[Pipe, None] = {}
        self.lingering: dict[Pipe, None] = {}  # broken, and something may still arrive on it
        self._dialled: dict[tuple[str, str], int] = {}
        self.slow = 0.0  # chance that a message takes long
        self.linger = 0.0  # chance that what is under way arrives although its connection broke

    def chance_of(self, names: tuple[str, str]) -> Random:
        """For the next connection between the two."""
        number = self._dialled[names] = self._dialled.get(names, 0) + 1
        return self.world.stream(f"connection {number} of {names[0]} and {names[1]}")

    def delay(self, rng: Random) -> float:
        """How long the next message takes, in seconds."""
        if self.slow and rng.random() < self.slow:
            return rng.uniform(0.01, 0.4)
        return 0.0002 + 0.0018 * rng.random()

    def reachable(self, a: str, b: str) -> bool:
        """May a connection between them be opened?"""
        return (a, b) not in self._cut

    def connect(self, names: tuple[str, str], ends: tuple[End, End]) -> Pipe | None:
        """A new connection, unless the two are cut off from each other."""
        if not self.reachable(*names):
            return None
        pipe = Pipe(self, names, ends)
        self._pipes[pipe] = None
        return pipe

    def forget(self, pipe: Pipe) -> None:
        """It is broken."""
        self._pipes.pop(pipe, None)

    def pipes_of(self, name: str) -> list[Pipe]:
        """Live connections of one end."""
        return [pipe for pipe in self._pipes if name in pipe.names]

    def ended(self, name: str) -> None:
        """The process there has ended: its connections break, and nothing reaches the next one."""
        for pipe in self.pipes_of(name):
            pipe.close(by=name)
        for pipe in [pipe for pipe in self.lingering if name in pipe.names]:
            pipe.unread(name)

    def all_pipes(self) -> list[Pipe]:
        """Every live connection, oldest first."""
        return list(self._pipes)

    def cut(self, side: list[str], rest: list[str]) -> Callable[[], None]:
        """No connection between the two groups; the answer heals it."""
        pairs = [pair for a in side for b in rest for pair in ((a, b), (b, a))]
        self._cut.update(pairs)
        for pipe in list(self._pipes):
            if pipe.names in self._cut:
                pipe.close()

        def heal() -> None:
            self._cut.difference_update(pairs)

        return heal

    def stall(self, source: str, target: str, until: float) -> None:
        """What `source` sends to `target` arrives no earlier (one direction, the connection stays)."""
        self.stalled[(source, target)] = until

    def heal(self) -> None:
        """Everybody reaches everybody."""
        self._cut.clear()
        self.stalled.clear()
        self.slow = self.linger = 0.0


def spoiled(chunk: SnapshotChunk, rng: Random) -> SnapshotChunk:
    """As read from a disk that gives wrong or too few bytes, now and then."""
    data = bytearray(chunk.data)
    if data and rng.random() < 0.5:
        place = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[place] ^= 1 << rng.randrange(8)
        else:
            del data[place:]
    return msgspec.structs.replace(chunk, data=bytes(data))
