"""Many items by id in small dicts: told from one dict by nothing but the order, and none of them is large."""

import random
from collections.abc import Callable
from uuid import UUID, uuid1

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.machine import state as states
from orchestrix_raft.machine.parts import PARTS, Parts, in_parts, portions
from tests.scenarios.driver import Driver, job

keys = st.sampled_from([b"", b"a", b"z" * 3, *(number.to_bytes(16, "big") for number in range(12))])
"""Of any length: what a caller names need not be an id."""


@given(
    st.dictionaries(keys, st.integers()), st.lists(st.tuples(st.sampled_from("sdgpiu"), keys, st.integers()))
)
def test_parts_are_a_dict(before: dict[bytes, int], deeds: list[tuple[str, bytes, int]]) -> None:
    model, parts = dict(before), in_parts(before)
    for deed, key, value in deeds:
        match deed:
            case "s":
                model[key] = parts[key] = value
            case "d" if key in model:
                del model[key], parts[key]
            case "d":
                with pytest.raises(KeyError):
                    del parts[key]
            case "g":
                assert parts.get(key) == model.get(key)
                assert parts.get(key, value) == model.get(key, value)
            case "p":
                assert parts.pop(key, None) == model.pop(key, None)
            case "u":
                model.update({key: value})
                parts.update({key: value})
            case _ if key in model:
                assert parts[key] == model[key]
            case _:
                with pytest.raises(KeyError):
                    parts[key]
        assert (key in parts) == (key in model)
        assert (len(parts), bool(parts)) == (len(model), bool(model))
    assert parts == model
    assert len(list(parts)) == len(model)
    assert sorted(parts.items()) == sorted(model.items())
    assert sorted(key for some in portions(parts) for key in some) == sorted(model)
    assert [key for some in portions(model) for key in some] == list(model)
    assert in_parts(parts) is parts


def test_what_is_no_id_is_not_there() -> None:
    asked: object = "text"
    assert asked not in Parts({b"text": 1})


def _v7(rng: random.Random, number: int) -> bytes:
    return (1_700_000_000_000 + number // 50).to_bytes(6, "big") + rng.randbytes(10)


def _v4(rng: random.Random, number: int) -> bytes:
    return UUID(bytes=rng.randbytes(16), version=4).bytes


def _v1(rng: random.Random, number: int) -> bytes:
    return uuid1(node=1, clock_seq=1).bytes


def _counted(rng: random.Random, number: int) -> bytes:
    return number.to_bytes(16, "big")


def _shifted(rng: random.Random, number: int) -> bytes:
    return (number << 64).to_bytes(16, "big")


@pytest.mark.parametrize("made", [_v7, _v4, _v1, _counted, _shifted])
def test_no_part_is_much_larger_than_another_whoever_makes_the_ids(
    made: Callable[[random.Random, int], bytes],
) -> None:
    """So what is copied when one grows is a small share: at a million ids some thousand."""
    rng, count = random.Random(5), 200 * PARTS
    parts = Parts({made(rng, number): number for number in range(count)})
    sizes = [len(some) for some in parts.portions()]
    assert (len(sizes), sum(sizes), len(parts)) == (PARTS, count, count)
    assert max(sizes) < 1.5 * count / PARTS


def test_a_state_is_divided_once_it_has_many_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "FEW", 3)
    driver = Driver()
    driver.enqueue(*(job(name) for name in "abc"))
    assert isinstance(driver.machine.state.jobs, dict)
    driver.enqueue(job("d"))
    divided = driver.machine.state.jobs
    assert isinstance(divided, Parts)
    driver.enqueue(job("e"))
    assert driver.machine.state.jobs is divided
    assert len(divided) == 5
