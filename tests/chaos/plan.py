"""The plan of a run: what goes wrong when, for how long and to whom, all from one seed.

Pure.  Kinds are dealt like cards: each comes up once, in an order of chance, before any comes up again, so
that a run of a minute or two has met all of them.  Who leads is found out when the time has come: a plan says
`leader` or `follower`.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from tests.chaos.places import OUTSIDE, node_name, worker_name

LEADER: Final = "leader"
FOLLOWER: Final = "follower"
LEADER_SHARE: Final = 0.4  # of the faults that befall a node
STORM_S: Final = 60.0  # of faults ...
CALM_S: Final = 20.0  # ... and then as long without any, in which work must go on


class Step(NamedTuple):
    """One fault."""

    at_s: float  # after the beginning
    kind: str
    who: tuple[str, ...]
    lasts_s: float
    amount: float = 0.0  # seconds of delay, chance of loss, seconds of a clock; 0 for other kinds

    def __str__(self) -> str:
        amount = f" {self.amount:g}" if self.amount else ""
        return f"{self.at_s:7.2f} s  {self.kind}{amount} {' '.join(self.who)}, for {self.lasts_s:.1f} s"


class Shape(NamedTuple):
    """Of the cluster, as far as a plan must know it."""

    nodes: int
    workers: int
    small_disk: str  # the node whose disk can be filled; empty: none


class Kind(NamedTuple):
    """How one kind of fault is drawn."""

    shortest_s: float
    longest_s: float
    who: Callable[[random.Random, Shape], tuple[str, ...]]
    amount: Callable[[random.Random], float] = lambda rng: 0.0
    weight: int = 1


def _a_node(rng: random.Random, shape: Shape) -> tuple[str, ...]:
    if rng.random() < LEADER_SHARE:
        return (LEADER,)
    return (node_name(rng.randrange(shape.nodes)),)


def _all_nodes(rng: random.Random, shape: Shape) -> tuple[str, ...]:
    return tuple(node_name(number) for number in range(shape.nodes))


def _in_turn(rng: random.Random, shape: Shape) -> tuple[str, ...]:
    return tuple(rng.sample(_all_nodes(rng, shape), shape.nodes))


def _a_worker(rng: random.Random, shape: Shape) -> tuple[str, ...]:
    return (worker_name(rng.randrange(shape.workers)),)


def _a_wire(rng: random.Random, shape: Shape) -> tuple[str, ...]:
    """Source and target."""
    pair = [LEADER, FOLLOWER] if rng.random() < LEADER_SHARE else rng.sample(_all_nodes(rng, shape), 2)
    return tuple(rng.sample(pair, 2))


def _a_side(rng: random.Random, shape: Shape) -> tuple[str, ...]:
    """The smaller side of a partition: one node, and some of the workers."""
    workers = [worker_name(number) for number in range(shape.workers)]
    return _a_node(rng, shape) + tuple(sorted(rng.sample(workers, rng.randrange(1 + shape.workers // 2))))


def _worker_and_nodes(rng: random.Random, shape: Shape) -> tuple[str, ...]:
    """A worker, and the nodes that it does not reach."""
    nodes = _all_nodes(rng, shape)
    return _a_worker(rng, shape) + tuple(sorted(rng.sample(nodes, rng.randrange(1, shape.nodes + 1))))


def _a_place(rng: random.Random, shape: Shape) -> tuple[str, ...]:
    """Whose connections are meant: a node's, a worker's or those of the clients."""
    return rng.choice([_a_node(rng, shape), _a_node(rng, shape), _a_worker(rng, shape), (OUTSIDE,)])


def _the_small_disk(rng: random.Random, shape: Shape) -> tuple[str, ...]:
    return (shape.small_disk,)


def _steps_of_clocks(rng: random.Random) -> float:
    """Seconds: mostly some, sometimes minutes, in both directions."""
    return round(rng.choice((-1.0, 1.0)) * rng.choice((rng.uniform(1.0, 20.0), rng.uniform(60.0, 900.0))), 1)


KINDS: Final = {
    "kill-node": Kind(0.2, 8.0, _a_node, weight=3),
    "kill-all-nodes": Kind(0.2, 3.0, _all_nodes),
    "pause-node": Kind(0.3, 8.0, _a_node, weight=2),
    "end-node": Kind(0.2, 3.0, _a_node),
    "rolling-restart": Kind(45.0, 60.0, _in_turn),
    "drain-node": Kind(2.0, 8.0, _a_node),
    "move-leader": Kind(0.0, 0.0, lambda rng, shape: (LEADER,)),
    "partition": Kind(1.0, 12.0, _a_side, weight=2),
    "lose-packets": Kind(1.0, 12.0, _a_side),
    "one-way": Kind(1.0, 10.0, _a_wire, weight=2),
    "cut-worker": Kind(1.0, 15.0, _worker_and_nodes),
    "delay": Kind(2.0, 8.0, _a_place, lambda rng: round(rng.uniform(0.005, 0.15), 3)),
    "loss": Kind(2.0, 8.0, _a_place, lambda rng: round(rng.uniform(0.01, 0.2), 2)),
    "break-connections": Kind(0.0, 0.0, _a_place, weight=2),
    "full-disk": Kind(2.0, 8.0, _the_small_disk),
    "step-clock": Kind(1.0, 30.0, _a_node, _steps_of_clocks),
    "kill-worker": Kind(0.2, 5.0, _a_worker),
    "pause-worker": Kind(0.5, 20.0, _a_worker),
    "end-worker": Kind(0.2, 2.0, _a_worker),
    "drain-worker": Kind(0.2, 2.0, _a_worker),
}
"""Every kind of fault.  Durations are those until it is healed; what a restart takes comes on top."""


def make_plan(
    seed: int, length_s: float, shape: Shape, kinds: Sequence[str] = tuple(KINDS), every_s: float = 2.5
) -> list[Step]:
    """All faults of a run of `length_s` seconds: storms with one in `every_s` on the average, and calms; the
    same for the same arguments.  kinds: those that are possible."""
    rng = random.Random(seed)
    cards = _dealt(rng, [kind for kind in kinds for _ in range(KINDS[kind].weight)])
    plan: list[Step] = []
    cycle_s = STORM_S + CALM_S
    at_s = rng.expovariate(1 / every_s)
    while at_s < length_s:
        since_s = at_s % cycle_s
        if since_s >= STORM_S:
            at_s += cycle_s - since_s
            continue
        name = next(cards)
        kind = KINDS[name]
        lasts_s = min(rng.uniform(kind.shortest_s, kind.longest_s), STORM_S - since_s)
        plan.append(Step(round(at_s, 2), name, kind.who(rng, shape), round(lasts_s, 2), kind.amount(rng)))
        at_s += rng.expovariate(1 / every_s)
    return plan


def _dealt(rng: random.Random, cards: list[str]) -> Iterator[str]:
    while True:
        yield from rng.sample(cards, len(cards))
