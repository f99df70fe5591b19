"""Sessions, nodes and the batches of origins."""

from collections.abc import Callable

import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.node import Health
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.commands import (
    AttachSession,
    Batch,
    CloseSession,
    Command,
    DetachSession,
    DrainSession,
    Enqueue,
    NodeHealthChanged,
    NodeStarted,
    NodeStopped,
    ResumeSession,
)
from orchestrix_raft.machine.events import SessionDetached
from orchestrix_raft.machine.port import Gap, Resolved, Result
from tests.scenarios.driver import Driver, job, key


def reason(result: Result) -> str:
    assert isinstance(result, Rejected), result
    return result.reason


def test_attaching_again_at_the_same_node_is_the_same_session() -> None:
    driver = Driver()
    driver.start_node("n1")
    assert driver.attach("w", "n1") == 1
    assert driver.attach("w", "n1") == 1
    assert not driver.events
    assert reason(driver.attach("w", "n0")) == "SESSION_EXISTS"
    driver.do(DetachSession(key("w"), 1))
    assert reason(driver.attach("w", "n1")) == "SESSION_EXISTS"


def test_a_session_needs_valid_words_a_living_node_and_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    assert reason(driver.attach("w", "nowhere")) == "NODE_NOT_ALIVE"
    assert reason(driver.do(AttachSession(b"short", "n0", "w", ("q",), 1, ()))) == "INVALID_SESSION"
    monkeypatch.setattr(limits, "SESSIONS", 1)
    assert driver.attach("w1") == 1
    full = driver.attach("w2")
    assert isinstance(full, Rejected)
    assert (full.code, full.reason) == (Code.RESOURCE_EXHAUSTED, "SESSIONS_LIMIT")


def test_a_suspect_node_still_takes_sessions_and_a_dead_one_does_not() -> None:
    driver = Driver()
    incarnation = driver.start_node("n1")
    driver.do(NodeHealthChanged("n1", incarnation, Health.SUSPECT))
    assert driver.attach("w", "n1") == 1
    driver.do(NodeHealthChanged("n1", incarnation, Health.DEAD))
    assert reason(driver.attach("v", "n1")) == "NODE_NOT_ALIVE"
    assert reason(driver.do(ResumeSession(key("w"), "n1", 1))) == "NODE_NOT_ALIVE"


def test_a_resume_moves_the_session_and_the_owner_of_its_jobs() -> None:
    driver = Driver()
    driver.start_node("n1")
    driver.attach("w", capacity=2)
    driver.enqueue(job("a", timeout_ms=1_000), "b")
    assert driver.do(ResumeSession(key("w"), "n1", 1)) == 2
    assert (driver.job("a").owner, driver.job("b").owner) == ("n1", "n1")
    assert [s.session_id for s in driver.machine.state.sessions_of("n1")] == [key("w")]
    assert driver.machine.state.sessions_of("n0") == []
    assert (driver.machine.state.owned_jobs("n1"), driver.machine.state.owned_jobs("n0")) == (2, 0)
    assert driver.job("a").attempt == 1


@pytest.mark.parametrize(
    "command",
    [
        lambda name, epoch: ResumeSession(key(name), "n0", epoch),
        lambda name, epoch: DetachSession(key(name), epoch),
        lambda name, epoch: CloseSession(key(name), epoch),
    ],
    ids=["resume", "detach", "close"],
)
def test_an_old_epoch_and_an_unknown_session_are_refused(command: Callable[[str, int], Command]) -> None:
    driver = Driver()
    driver.attach("w")
    driver.do(ResumeSession(key("w"), "n0", 1))
    for epoch in (1, 3):
        assert reason(driver.do(command("w", epoch))) == "SESSION_MOVED"
    assert reason(driver.do(command("x", 1))) == "SESSION_UNKNOWN"
    assert not driver.events


def test_detaching_twice_keeps_the_first_deadline() -> None:
    driver = Driver()
    driver.attach("w")
    driver.do(DetachSession(key("w"), 1))
    driver.tick(limits.SESSION_DEADLINE_MS - 1)
    assert driver.do(DetachSession(key("w"), 1)) is None
    driver.tick(1)
    assert not driver.machine.state.sessions


def test_a_resume_clears_the_deadline() -> None:
    driver = Driver()
    driver.attach("w")
    driver.do(DetachSession(key("w"), 1))
    assert driver.machine.state.next_due() == (limits.SESSION_DEADLINE_MS, None)
    driver.do(ResumeSession(key("w"), "n0", 1))
    assert driver.machine.state.next_due() == (None, None)
    driver.tick(10 * limits.SESSION_DEADLINE_MS)
    assert key("w") in driver.machine.state.sessions


def test_a_draining_session_stays_so_when_it_resumes() -> None:
    driver = Driver()
    driver.attach("w")
    driver.do(DrainSession(key("w")))
    assert driver.do(DrainSession(key("w"))) is None
    driver.do(ResumeSession(key("w"), "n0", 1))
    driver.enqueue("a")
    assert driver.job("a").state is JobState.PENDING
    assert reason(driver.do(DrainSession(key("x")))) == "SESSION_UNKNOWN"


def test_lost_jobs_become_ready_in_the_order_of_their_tokens() -> None:
    driver = Driver()
    driver.attach("w", capacity=3)
    driver.enqueue("a", "b", "c")
    driver.release("a")  # a has the newest token now
    driver.do(DetachSession(key("w"), 1))
    driver.tick(limits.SESSION_DEADLINE_MS)
    driver.attach("v", capacity=3)
    assert driver.assignments() == [("b", "v"), ("c", "v"), ("a", "v")]
    assert [driver.job(name).losses for name in "abc"] == [1, 1, 1]
    assert [driver.job(name).failures for name in "abc"] == [0, 0, 0]


def test_closing_gives_back_and_honours_a_cancel() -> None:
    driver = Driver()
    driver.attach("w", capacity=3)
    driver.enqueue("a", job("b", timeout_ms=1_000), "c")
    driver.tick(1_000)
    driver.cancel("c")
    driver.do(CloseSession(key("w"), 1))
    assert driver.job("a").state is JobState.PENDING
    assert driver.job("b").state is JobState.SCHEDULED
    assert driver.job("c").state is JobState.CANCELLED
    assert not driver.machine.state.sessions


def test_the_slot_of_a_hung_handler_ends_with_its_session() -> None:
    driver = Driver()
    driver.attach("w")
    driver.enqueue(job("a", timeout_ms=1_000))
    driver.tick(1_000)
    driver.tick(limits.FORCED_END_MS)
    driver.do(CloseSession(key("w"), 1))
    assert driver.job("a").state is JobState.SCHEDULED
    assert not driver.machine.state.sessions


# ---- nodes


def test_an_incarnation_is_the_index_of_its_start() -> None:
    driver = Driver()
    assert driver.start_node("n1") == driver.index == 2
    assert driver.start_node("n1") == 2, "the same boot id is the same start"
    assert driver.start_node("n1", boot="again") == driver.index == 4


def test_a_node_declared_dead_needs_a_new_incarnation_even_if_it_never_stopped() -> None:
    driver = Driver()
    first = driver.start_node("n1")
    driver.do(NodeHealthChanged("n1", first, Health.DEAD))
    second = driver.start_node("n1")
    assert second > first
    assert driver.machine.state.nodes["n1"].health is Health.ALIVE


def test_sessions_of_a_node_that_ends_are_detached_by_id_whatever_the_order_in_which_they_came() -> None:
    driver = Driver()
    incarnation = driver.start_node("n1")
    for name in ("z", "a", "m"):
        driver.attach(name, "n1")
    driver.do(NodeStopped("n1", incarnation))
    detached = [event.session_id for event in driver.events if isinstance(event, SessionDetached)]
    assert detached == [key("a"), key("m"), key("z")]


@pytest.mark.parametrize("over", [Health.DEAD, Health.STOPPED])
def test_a_process_that_is_over_does_not_live_again_by_a_word(over: Health) -> None:
    driver = Driver()
    incarnation = driver.start_node("n1")
    driver.do(NodeHealthChanged("n1", incarnation, over))
    assert reason(driver.do(NodeHealthChanged("n1", incarnation, Health.ALIVE))) == "INCARNATION_OVER"
    assert driver.machine.state.nodes["n1"].health is over


def test_words_about_a_node_must_name_its_incarnation() -> None:
    driver = Driver()
    incarnation = driver.start_node("n1")
    for command in (
        NodeStopped("n1", incarnation - 1),
        NodeHealthChanged("n1", incarnation + 1, Health.DEAD),
    ):
        assert reason(driver.do(command)) == "INCARNATION_OVER"
    assert reason(driver.do(NodeStopped("n9", 1))) == "NODE_UNKNOWN"
    assert driver.do(NodeHealthChanged("n1", incarnation, Health.ALIVE)) is None
    assert not driver.events
    driver.do(NodeStopped("n1", incarnation))
    assert driver.do(NodeStopped("n1", incarnation)) is None
    assert reason(driver.do(NodeHealthChanged("n1", incarnation, Health.DEAD))) == "INCARNATION_OVER"


def test_nodes_are_checked_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    assert reason(driver.do(NodeStarted("", bytes(16), "", ""))) == "INVALID_NODE"
    monkeypatch.setattr(limits, "NODES", 1)
    assert reason(driver.do(NodeStarted("n1", bytes(16), "", ""))) == "NODES_LIMIT"


# ---- origins


def enqueues(*names: str) -> tuple[Command, ...]:
    return tuple(Enqueue((job(name),)) for name in names)


def test_each_numbered_command_is_resolved_once() -> None:
    driver = Driver()
    batch = Batch("n0", 1, 1, enqueues("a", "b"))
    applied = driver.apply(batch, batch)
    assert [(r.node_id, r.incarnation, r.sequence) for r in applied.resolved] == [("n0", 1, 1), ("n0", 1, 2)]
    assert driver.apply(batch).resolved == []
    assert driver.machine.state.nodes["n0"].sequence == 2


def test_a_gap_is_refused_as_a_whole_and_names_what_is_missing() -> None:
    driver = Driver()
    applied = driver.apply(Batch("n0", 1, 2, enqueues("a", "b")))
    assert applied.gaps == [Gap("n0", 1, 1)]
    assert not applied.resolved
    assert not applied.events


def test_another_incarnation_and_a_stranger_are_fenced() -> None:
    driver = Driver()
    applied = driver.apply(Batch("n0", 2, 1, enqueues("a")), Batch("n9", 1, 1, enqueues("b")))
    assert applied.fenced == [("n0", 2), ("n9", 1)]
    assert not applied.events


def test_what_a_node_says_after_its_own_goodbye_is_fenced() -> None:
    driver = Driver()
    goodbye = NodeStopped("n0", 1)
    applied = driver.apply(Batch("n0", 1, 1, (*enqueues("a"), goodbye, *enqueues("b"))))
    assert [r.sequence for r in applied.resolved] == [1, 2]
    assert applied.fenced == [("n0", 1)]
    assert set(driver.machine.state.jobs) == {key("a")}


def test_a_new_start_in_the_middle_of_a_batch_ends_that_batch() -> None:
    driver = Driver()
    anew = NodeStarted("n0", key("other"), "", "")
    applied = driver.apply(Batch("n0", 1, 1, (anew, *enqueues("b"))))
    assert applied.resolved == [Resolved("n0", 1, 1, 2)]
    assert applied.fenced == [("n0", 1)]
    assert driver.machine.state.nodes["n0"].sequence == 0


def test_unnumbered_commands_are_applied_and_not_resolved() -> None:
    driver = Driver()
    applied = driver.apply(codec.unnumbered(*enqueues("a")))
    assert applied.events
    assert not applied.resolved
