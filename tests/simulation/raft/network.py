"""Connections between simulated nodes, with the faults TCP lets through.

Per connection and direction messages keep their order.  A broken connection loses what is under way;
its two ends learn of it at different times, or one learns only that a new connection replaced it.  A
stalled direction holds everything back without anybody noticing.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Protocol

from orchestrix_raft.consensus.messages import Message


class Host(Protocol):
    """What the network needs of the simulation."""

    now: float
    random: Random

    def at(self, time: float, action: Callable[[], None]) -> None: ...
    def after(self, delay: float, action: Callable[[], None]) -> None: ...
    def is_up(self, node_id: str) -> bool: ...
    def link_up(self, node_id: str, peer: str) -> None: ...
    def link_down(self, node_id: str, peer: str) -> None: ...
    def arrived(self, node_id: str, peer: str, message: Message) -> None: ...


class _Connection:
    __slots__ = ("alive", "dead", "held_until", "last_at")

    def __init__(self) -> None:
        self.alive = True
        self.dead: str | None = None  # this end died; what it had sent still arrives
        self.last_at: dict[str, float] = {}
        self.held_until: dict[str, float] = {}  # what stalled arrives first, also after `heal`


class Network:
    def __init__(self, host: Host, slow: float) -> None:
        self._host, self._slow = host, slow
        self._seen: dict[tuple[str, str], _Connection | None] = {}  # what each end believes
        self._stalled_until: dict[tuple[str, str], float] = {}
        self._blocked: dict[tuple[str, str], float] = {}
        self.calm = False

    # -- connections -----------------------------------------------------------------------------
    def dial(self, a: str, b: str) -> None:
        """Try to connect until it succeeds or one of them is gone."""
        host = self._host
        if not (host.is_up(a) and host.is_up(b)) or self._alive(a, b):
            return
        if self._blocked.get(_pair(a, b), 0.0) > host.now:
            host.after(host.random.uniform(0.1, 0.5), lambda: self.dial(a, b))
            return
        connection = _Connection()
        for x, y in ((a, b), (b, a)):
            self._seen[x, y] = connection
            host.link_up(x, y)

    def _alive(self, a: str, b: str) -> bool:
        connection = self._seen.get((a, b))
        return connection is not None and connection is self._seen.get((b, a)) and connection.alive

    def cut(self, a: str, b: str, blocked_s: float) -> None:
        """Break the connection and let no new one come up for a while."""
        key = _pair(a, b)
        self._blocked[key] = max(self._blocked.get(key, 0.0), self._host.now + blocked_s)
        connection = self._seen.get((a, b))
        if connection is not None:
            self._break(connection, a, b)

    def _break(self, connection: _Connection, a: str, b: str) -> None:
        if not connection.alive:
            return
        connection.alive = False
        draw = self._host.random.uniform
        for x, y in ((a, b), (b, a)):
            last = connection.last_at.get(y, 0.0) if connection.dead == y else 0.0
            learns_at = max(self._host.now + draw(0.0, 0.4), last + 1e-6)
            self._host.at(learns_at, partial(self._learn, connection, x, y))
        self._host.after(draw(0.02, 0.6), lambda: self.dial(a, b))

    def _learn(self, connection: _Connection, x: str, y: str) -> None:
        if self._seen.get((x, y)) is connection:
            self._seen[x, y] = None
            self._host.link_down(x, y)

    def node_died(self, node_id: str, others: list[str]) -> None:
        for other in others:
            connection = self._seen.get((other, node_id))
            self._seen[node_id, other] = None
            if connection is not None:
                connection.dead = node_id
                self._break(connection, node_id, other)

    def stall(self, a: str, b: str, seconds: float) -> None:
        self._stalled_until[a, b] = self._host.now + seconds

    def heal(self) -> None:
        self._stalled_until.clear()
        self._blocked.clear()
        self.calm = True

    # -- messages --------------------------------------------------------------------------------
    def send(self, a: str, b: str, message: Message) -> None:
        connection = self._seen.get((a, b))
        if connection is None or not connection.alive:
            return
        host = self._host
        delay = host.random.uniform(0.0005, 0.004)
        if not self.calm and self._slow and host.random.random() < self._slow:
            delay += host.random.expovariate(4.0)
        at = max(host.now + delay, connection.last_at.get(a, 0.0) + 1e-6)
        connection.last_at[a] = at
        host.at(at, lambda: self._arrive(connection, a, b, message))

    def _arrive(self, connection: _Connection, a: str, b: str, message: Message) -> None:
        if self._seen.get((b, a)) is not connection or not (connection.alive or connection.dead == a):
            return
        until = max(self._stalled_until.get((a, b), 0.0), connection.held_until.get(a, 0.0))
        if until > self._host.now:
            connection.held_until[a] = until
            self._host.at(until, lambda: self._arrive(connection, a, b, message))
            return
        self._host.arrived(b, a, message)


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)
