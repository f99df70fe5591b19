"""Random streams of entries with many schedules: every slot is decided once and as its policies say."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrix_raft.domain import limits
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.invariants import check
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.simulation.slots import SlotLedger
from tests.property.test_machine import Replica, outcome
from tests.scenarios import streams
from tests.scenarios.schedule_streams import HONEST, SCHEDULE_COMMANDS
from tests.scenarios.streams import Stream, small_limits


@pytest.fixture(autouse=True, scope="module")
def _small_limits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_limits(patch)
        others = [command for command in streams._COMMANDS if command not in SCHEDULE_COMMANDS]
        patch.setattr(streams, "_COMMANDS", (*others, *HONEST * 3))
        yield


def _fail(what: str) -> None:
    raise AssertionError(what)


@settings(max_examples=300)
@given(streams.steps)
def test_each_slot_is_decided_once_and_as_its_policies_say(stream: list[streams.Step]) -> None:
    store = MemoryStore()
    machine = Machine(store, store)
    ledger, source = SlotLedger(_fail), Stream()
    for index, step in enumerate(stream, 1):
        planned_ms = machine.state.wall_ms
        ledger.at_cap = len(machine.state.jobs) >= limits.LIVE_JOBS - 12
        applied = machine.apply(index, 1, codec.decode_entry(source.entry(machine.state, step)))
        ledger.entry(machine.state.wall_ms, applied.events, planned_ms)


@settings(max_examples=150)
@given(streams.steps, st.integers(1, 5))
def test_a_replica_rebuilt_at_any_index_fires_what_its_twin_fires(
    stream: list[streams.Step], every: int
) -> None:
    """Nothing about runs and buffers lives in memory alone from one entry to the next."""
    steady, rebuilt, source = Replica(), Replica(), Stream()
    for number, step in enumerate(stream):
        entry = source.entry(steady.machine.state, step)
        if number % every == 0:
            rebuilt.rebuild()
        assert outcome(steady, steady.apply(entry)) == outcome(rebuilt, rebuilt.apply(entry))
        check(steady.machine)
