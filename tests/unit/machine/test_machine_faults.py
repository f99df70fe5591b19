"""What a bug, a bad disk or an unknown entry does: a refusal that is the same everywhere, or a stop."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import JobState, TimerKind
from orchestrix_raft.domain.report import StartedMark
from orchestrix_raft.machine import apply as apply_module
from orchestrix_raft.machine import attempts, codec, jobs
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import (
    Batch,
    CancelJobs,
    DrainSession,
    Enqueue,
    EnqueueResult,
    Entry,
    JobsResult,
    Observe,
    ReportResult,
)
from orchestrix_raft.machine.events import TimerSetAside
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.records import HistoryUnavailable
from orchestrix_raft.machine.rules import TooOld
from tests.scenarios.driver import Driver, job, key


def broken(fault: type[BaseException], original: Callable[..., Any], when: object) -> Callable[..., Any]:
    """`original`, but raising for one argument."""

    def decide(*arguments: Any) -> Any:
        if any(argument == when for argument in arguments):
            raise fault(f"address {id(arguments):x} differs on every node")
        return original(*arguments)

    return decide


def test_a_fault_in_deciding_one_item_refuses_that_item(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = job("bad")
    monkeypatch.setattr(jobs, "decide_enqueue", broken(KeyError, jobs.decide_enqueue, bad))
    driver = Driver()
    result = driver.enqueue("a", bad, "b")
    refusal = Rejected(Code.INTERNAL, "INTERNAL", "deciding failed with KeyError: a bug")
    assert result == EnqueueResult({}, {1: refusal})
    assert set(driver.machine.state.jobs) == {key("a"), key("b")}
    assert [type(fault) for fault in driver.applied.faults] == [KeyError]


def test_a_fault_in_deciding_an_outcome_a_mark_or_a_word_concerns_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Driver()
    driver.attach("w", capacity=2)
    driver.enqueue("a", "b")
    session_id, token = driver.held("a")
    mark = StartedMark(key("a"), token, 1)
    other = StartedMark(key("b"), driver.held("b")[1], 2)
    monkeypatch.setattr(attempts, "decide_started", broken(ValueError, attempts.decide_started, mark))
    result = driver.do(Observe(session_id, (mark, other), ()))
    assert isinstance(result, Rejected)
    assert result.reason == "INTERNAL"
    assert driver.job("b").state is JobState.RUNNING
    monkeypatch.setattr(jobs, "decide_cancel", broken(ValueError, jobs.decide_cancel, key("a")))
    assert driver.cancel("a", "x") == JobsResult(("internal", "not_found"))
    monkeypatch.setattr(attempts, "decide_outcome", broken(ValueError, attempts.decide_outcome, driver))
    driver.complete("a")
    monkeypatch.setattr(attempts, "decide_outcome", lambda *_: 1 // 0)
    assert driver.complete("b") == ReportResult({0: "INTERNAL"})
    assert driver.job("b").state is JobState.RUNNING


def test_a_fault_in_deciding_a_command_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {**apply_module.DECIDE, DrainSession: lambda state, command: 1 // 0}
    monkeypatch.setattr(apply_module, "DECIDE", MappingProxyType(table))
    driver = Driver()
    result = driver.do(DrainSession(key("w")))
    assert isinstance(result, Rejected)
    assert (result.code, result.reason) == (Code.INTERNAL, "INTERNAL")


def test_a_timer_whose_deciding_fails_is_set_aside_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {**apply_module.DUE, TimerKind.READY_AT_ELAPSED: lambda state, key: 1 // 0}
    monkeypatch.setattr(apply_module, "DUE", MappingProxyType(table))
    driver = Driver()
    driver.enqueue(job("a", delay_ms=5), job("b", delay_ms=6))
    assert driver.tick(5) == [TimerSetAside(TimerKind.READY_AT_ELAPSED, key("a"), "ZeroDivisionError")]
    assert driver.tick(0) == []
    assert driver.machine.state.set_aside == 1
    assert driver.machine.state.next_due() == (6, None)
    monkeypatch.undo()
    driver.machine.load(driver.store.pairs)
    driver.tick(5)
    assert driver.job("a").state is JobState.SCHEDULED, "also not after a restart"
    assert driver.job("b").state is JobState.PENDING
    driver.retry("a")
    assert driver.job("a").state is JobState.PENDING


@pytest.mark.parametrize("fault", [MemoryError, RecursionError, HistoryUnavailable])
def test_faults_of_this_node_stop_it(monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]) -> None:
    driver = Driver()
    driver.enqueue(job("later", delay_ms=1))
    batches = [driver.batch(Enqueue((job("a"),))), driver.batch(CancelJobs(b"", (key("later"),), ""))]
    batches.append(driver.batch(DrainSession(key("w"))))
    monkeypatch.setattr(jobs, "decide_enqueue", broken(fault, jobs.decide_enqueue, job("a")))
    monkeypatch.setattr(jobs, "decide_cancel", broken(fault, jobs.decide_cancel, key("later")))
    table = {**apply_module.DECIDE, DrainSession: broken(fault, lambda *_: (), DrainSession(key("w")))}
    monkeypatch.setattr(apply_module, "DECIDE", MappingProxyType(table))
    for batch in batches:
        with pytest.raises(fault):
            driver.apply(batch)
    due = {**apply_module.DUE, TimerKind.READY_AT_ELAPSED: broken(fault, lambda *_: (), key("later"))}
    monkeypatch.setattr(apply_module, "DUE", MappingProxyType(due))
    with pytest.raises(fault):
        driver.tick(1)


def test_a_fault_in_evolve_stops_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr(jobs, "evolve_enqueued", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        driver.enqueue("a")


class FailingStore(MemoryStore):
    """A disk that does not answer, or answers nonsense."""

    answer: bytes | OSError | None = None

    def get(self, table: str, key: bytes) -> bytes | None:
        if isinstance(self.answer, OSError):
            raise self.answer
        return super().get(table, key) if self.answer is None else self.answer


@pytest.mark.parametrize("answer", [OSError("input/output error"), b"\xc1 not a record"])
def test_a_disk_that_fails_is_not_turned_into_a_refusal(answer: bytes | OSError) -> None:
    store = FailingStore()
    machine = Machine(store, store)
    command = CancelJobs(b"", (key("a"),), "")
    entry = codec.make_entry(0, 0, (codec.unnumbered(command),))
    machine.apply(1, 1, entry)
    store.answer = answer
    with pytest.raises(HistoryUnavailable):
        machine.apply(2, 1, entry)


def test_an_entry_is_applied_once_and_in_order() -> None:
    driver = Driver()
    entry = codec.make_entry(0, 0)
    driver.machine.apply(7, 1, entry)
    for index in (6, 7):
        with pytest.raises(ValueError):
            driver.machine.apply(index, 1, entry)


def test_log_time_never_runs_backwards() -> None:
    driver = Driver()
    driver.tick(1_000)
    driver.machine.apply(driver.index + 1, 2, codec.make_entry(1, 1))
    assert (driver.machine.state.elapsed_ms, driver.machine.state.wall_ms) == (1_000, driver.wall_ms)


def test_the_digest_depends_on_every_event_and_on_both_clocks() -> None:
    digests = []
    for name, elapsed_ms, wall_ms in (("a", 0, 0), ("b", 0, 0), ("a", 1, 0), ("a", 0, 1), ("", 0, 0)):
        driver = Driver()
        driver.elapsed_ms += elapsed_ms
        driver.wall_ms += wall_ms
        driver.enqueue(*([name] if name else []))
        driver.tick(0)
        digests.append(driver.machine.state.digest)
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 16 for digest in digests)


# ---- the closed form of what is on the log


def test_entries_and_batches_come_back_as_they_were() -> None:
    batch = Batch("n1", 7, 3, (Enqueue((job("a", labels=("x",)),)), CancelJobs(b"r", (key("a"),), "why")))
    entry = codec.decode_entry(codec.encode_entry(codec.make_entry(1, 2, (batch,))))
    assert (entry.elapsed_ms, entry.wall_ms) == (1, 2)
    assert [codec.decode_batch(raw) for raw in entry.batches] == [batch]
    assert codec.decode_batch(codec.encode_batch(batch)) == batch


@pytest.mark.parametrize(
    "batch",
    [
        ["n", 1, 1, [[99, "unknown command"]]],
        ["n", 1, 1, [[7, bytes(16), "unknown field"]]],
        ["n", 1, 1, [], "unknown field"],
        ["n", 1, 1, [[1, [[bytes(16), *"tq", b"", *[0] * 4, [3], "", "", [], "", None, 0, 0, None, "x"]]]]],
        ["n", 1, 1, [[2, bytes(16), [[9, bytes(16), 1]]]]],
        ["n", "1", 1, []],
    ],
    ids=["command", "field", "batch", "spec", "outcome", "type"],
)
def test_what_this_version_does_not_know_stops_the_node(batch: list[object]) -> None:
    driver = Driver()
    raw = msgspec.Raw(msgspec.msgpack.encode(batch))
    digest = driver.machine.state.digest
    with pytest.raises(TooOld):
        driver.machine.apply(driver.index + 1, 1, Entry(0, 0, (raw,)))
    assert driver.machine.state.digest == digest


def test_an_entry_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        codec.decode_entry(msgspec.msgpack.encode([0, 0, [], "more"]))


@pytest.mark.parametrize(
    ("encoded", "decode"),
    [
        (Driver().machine.core_record(), codec.decode_core),
        (codec.encode_record(codec.Remembered(1, 2, ("cancelled",))), codec.decode_remembered),
    ],
    ids=["core", "remembered"],
)
def test_a_stored_record_with_an_unknown_field_is_refused(
    encoded: bytes, decode: Callable[[bytes], object]
) -> None:
    fields = [*msgspec.msgpack.decode(encoded), *[None] * 2]
    decode(encoded)
    with pytest.raises(msgspec.ValidationError):
        decode(msgspec.msgpack.encode([*fields, "more"]))
