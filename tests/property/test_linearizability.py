"""The search for an order against trying all of them, on small histories of one job."""

import itertools
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.history.gathered import NEVER
from orchestrix_raft.history.job_model import ABSENT, Asked, At, Freedom, looks, step
from orchestrix_raft.history.search import (
    STEPS_MAX,
    Answer,
    Found,
    Looks,
    Op,
    Search,
    every_one_matters,
    precedes,
)

FREEDOMS: Final = st.builds(Freedom, st.booleans(), st.booleans())
ASKED: Final = (
    Asked("enqueue", "created"),
    Asked("enqueue", "either"),
    Asked("enqueue", ""),
    Asked("read", "pending", 0),
    Asked("read", "running", 1),
    Asked("read", "running", 2),
    Asked("read", "completed", 2),
    Asked("read", "dead", 2),
    Asked("read", "cancelled", 1),
    Asked("read", "not_found"),
    Asked("cancel", "cancelled"),
    Asked("cancel", "requested"),
    Asked("cancel", ""),
    Asked("retry", "retried"),
    Asked("purge", "purged"),
    Asked("enqueue", "either"),
    Asked("enqueue", "other"),
    Asked("cancel", "already_completed"),
    Asked("cancel", "already_cancelled"),
    Asked("retry", "already_running"),
    Asked("purge", "still_running"),
    Asked("purge", "not_found"),
)


@st.composite
def small_histories(draw: st.DrawFn) -> list[Op]:
    """Up to six operations of three clocks, some without an answer, some reads local."""
    ops = []
    for _ in range(draw(st.integers(1, 6))):
        what = draw(st.sampled_from(ASKED))
        invoked = draw(st.integers(0, 12))
        ended = invoked + draw(st.integers(0, 6))
        known = what.word != ""
        index = draw(st.integers(0, 8))
        read = what.op == "read"
        ops.append(
            Op(
                what,
                invoked,
                ended if known else NEVER,
                draw(st.sampled_from("aab")),
                required=known,
                from_index=index if read and what.word != "not_found" else 0,
                to_index=index if known and what.word != "not_found" else 0,
                local=read and index > 0 and what.word != "not_found" and draw(st.booleans()),
            )
        )
    return ops


def has_an_order(ops: list[Op], freedom: Freedom) -> bool:
    """By the definition: some of the optional operations, and any order that respects what precedes what."""
    optional = [i for i, op in enumerate(ops) if not op.required]
    needed = [i for i, op in enumerate(ops) if op.required]
    for count in range(len(optional) + 1):
        for some in itertools.combinations(optional, count):
            for order in itertools.permutations([*needed, *some]):
                if respected(ops, order) and explained(ops, order, freedom):
                    return True
    return False


def respected(ops: list[Op], order: tuple[int, ...]) -> bool:
    return not any(precedes(ops[after], ops[before]) for before, after in itertools.combinations(order, 2))


def explained(ops: list[Op], order: tuple[int, ...], freedom: Freedom) -> bool:
    states = {At(ABSENT)}
    for i in order:
        states = {after for state in states for after in step(state, ops[i].what, freedom)}
    return bool(states)


def searched(ops: list[Op], freedom: Freedom, steps_max: int = STEPS_MAX, looks: Looks[At] = looks) -> Found:
    return Search(ops, [At(ABSENT)], lambda at, asked: step(at, asked, freedom), steps_max, looks).run()


def test_a_retry_that_leaves_a_job_waiting_is_no_look() -> None:
    """It may be what a cancellation needs behind it, which was asked for at the same time."""
    asked = [
        Asked("enqueue", "created"),
        Asked("retry", "retried"),
        Asked("cancel", "cancelled"),
        Asked("read", "dead", 2),
    ]
    times = [(0, 1), (2, 9), (2, 10), (11, 12)]
    ops = [Op(what, *time, "a") for what, time in zip(asked, times, strict=True)]
    for shortcut in (looks, every_one_matters):
        found = searched(ops, Freedom(), looks=shortcut)
        assert found.deepest == (0, 2, 1, 3)


@given(small_histories(), FREEDOMS, st.sampled_from((looks, every_one_matters)))
def test_the_search_finds_an_order_exactly_when_there_is_one(
    ops: list[Op], freedom: Freedom, shortcut: Looks[At]
) -> None:
    found = searched(ops, freedom, looks=shortcut)
    assert (found.answer is Answer.YES) == has_an_order(ops, freedom)
    if found.answer is Answer.YES:
        assert respected(ops, found.deepest)
        assert explained(ops, found.deepest, freedom)
        assert {i for i, op in enumerate(ops) if op.required} <= set(found.deepest)


@given(small_histories(), FREEDOMS, st.integers(1, 4))
def test_a_search_without_enough_steps_says_so_and_nothing_else(
    ops: list[Op], freedom: Freedom, steps: int
) -> None:
    found = searched(ops, freedom, steps)
    if found.answer is not Answer.GAVE_UP:
        assert (found.answer is Answer.YES) == has_an_order(ops, freedom)
