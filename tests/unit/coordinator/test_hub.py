"""Worker streams at one node: attaching, detaching, heartbeats, and the end."""

import pytest

from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.session import (
    Heartbeat,
    HeartbeatAck,
    Redirect,
    Refused,
    Welcome,
)
from orchestrix_raft.machine.commands import (
    AttachSession,
    DetachSession,
    NodeHealthChanged,
    ResumeSession,
)
from tests.scenarios.driver import key
from tests.unit.coordinator.hub_bench import Bench, token_of


@pytest.fixture
def bench() -> Bench:
    return Bench()


# ---- attaching


def test_a_worker_is_welcome_once_its_session_is_committed(bench: Bench) -> None:
    worker = bench.hello()
    assert worker.heard == []
    bench.commit()
    assert worker.heard == [Welcome(1, "n1", 10_000, 25_000, ("n1:1", "n2:1"))]
    assert bench.session() == ("n1", 1)


def test_a_worker_is_refused_when_nothing_can_be_committed(bench: Bench) -> None:
    worker = bench.hello()
    bench.refuse()
    assert worker.refusal == "NO_LEADER"
    assert len(bench.hub) == 0


def test_an_unknown_session_is_told_so(bench: Bench) -> None:
    worker = bench.hello(epoch=3)
    (command,) = bench.commit()
    assert command == ResumeSession(key("w"), "n1", 3)
    assert worker.refusal == "SESSION_UNKNOWN"


def test_a_session_known_elsewhere_is_resumed_here(bench: Bench) -> None:
    bench.driver.attach("w", "n2")
    worker = bench.hello(epoch=1)
    bench.commit()
    assert worker.heard[0] == Welcome(2, "n1", 10_000, 25_000, ("n1:1", "n2:1"))


def test_a_resume_that_came_second_is_tried_again_with_the_new_epoch(bench: Bench) -> None:
    bench.driver.attach("w", "n2")
    worker = bench.hello(epoch=1)
    bench.elsewhere(ResumeSession(key("w"), "n2", 1))
    assert [type(command) for command in bench.commit()] == [ResumeSession, ResumeSession]
    assert worker.count(Welcome) == 1
    assert bench.session() == ("n1", 3)


def test_a_stream_that_ended_before_its_attachment_was_committed_leaves_no_session_behind(
    bench: Bench,
) -> None:
    worker = bench.hello()
    worker.stream.closed()
    assert bench.commit() == [
        AttachSession(key("w"), "n1", "w", ("default",), 2, ()),
        DetachSession(key("w"), 1),
    ]
    assert bench.session() == ("", 1)


def test_an_attachment_whose_answer_was_lost_leaves_no_session_behind(bench: Bench) -> None:
    worker = bench.hello()
    bench.lose_answers()
    assert worker.refusal == "OUTCOME_UNKNOWN"
    bench.commit()
    assert bench.session() == ("", 1)


def test_a_new_stream_of_a_session_replaces_the_old_one(bench: Bench) -> None:
    old = bench.worker()
    new = bench.hello(epoch=1)
    assert old.refusal == "SESSION_MOVED"
    old.stream.closed()
    assert bench.commit() == [ResumeSession(key("w"), "n1", 1)]
    assert new.count(Welcome) == 1
    assert len(bench.hub) == 1


def test_a_worker_that_comes_back_at_once_keeps_its_session(bench: Bench) -> None:
    bench.enqueue("a")
    old = bench.worker()
    old.stream.closed()
    new = bench.hello(epoch=1, held=((key("a"), token_of(bench, "a")),))
    bench.commit()
    assert bench.session() == ("n1", 2)
    assert new.count(Welcome) == 1
    assert new.assigned == [], "it has the job already"


# ---- detaching


def test_the_end_of_a_stream_is_committed_however_long_that_takes(bench: Bench) -> None:
    bench.worker().stream.closed()
    for _ in range(3):
        assert bench.refuse() == [DetachSession(key("w"), 1)]
    bench.commit()
    assert bench.session() == ("", 1)
    assert bench.waiting == []


def test_nothing_is_insisted_on_after_the_end_of_the_node(bench: Bench) -> None:
    bench.worker().stream.closed()
    bench.hub.close_all()
    bench.refuse()
    assert bench.waiting == []
    late = bench.hello("late")
    assert late.refusal == "NODE_STOPPING"


def test_a_worker_is_not_welcome_where_its_session_is_no_more(bench: Bench) -> None:
    """It went on elsewhere between the commit of its attachment and the answer."""
    worker = bench.hello()
    ((attach, done),) = bench.waiting
    bench.waiting.clear()
    result = bench.driver.do(attach, node="n1")
    bench.elsewhere(ResumeSession(key("w"), "n2", 1))
    assert done is not None
    done(Done(bench.driver.index, result))
    assert worker.refusal == "SESSION_MOVED"
    assert bench.session() == ("n2", 2)


def test_a_late_detach_does_not_hurt_a_session_that_went_on_elsewhere(bench: Bench) -> None:
    bench.worker().stream.closed()
    bench.elsewhere(ResumeSession(key("w"), "n2", 1))
    bench.commit()
    assert bench.session() == ("n2", 2)


def test_a_stream_whose_session_went_on_elsewhere_ends(bench: Bench) -> None:
    worker = bench.worker()
    bench.elsewhere(ResumeSession(key("w"), "n2", 1))
    assert worker.refusal == "SESSION_MOVED"
    assert len(bench.hub) == 0
    assert bench.commit() == []


def test_a_second_hello_ends_the_stream_and_detaches_its_session(bench: Bench) -> None:
    worker = bench.worker()
    worker.stream.receive(worker.stream.hello)
    assert worker.refusal == "INVALID_ARGUMENT"
    worker.stream.closed()
    bench.commit()
    assert bench.session() == ("", 1)


def test_a_node_given_up_by_mistake_attaches_its_streams_again(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a")
    incarnation = bench.driver.machine.state.nodes["n1"].incarnation
    bench.driver.do(NodeHealthChanged("n1", incarnation, Health.DEAD))
    bench.follow()
    bench.driver.start_node("n1", "again")
    bench.follow()
    bench.enqueue("b")
    bench.commit()
    assert bench.session() == ("n1", 2)
    assert worker.count(Welcome) == 2
    assert [job_id for job_id, _ in worker.assigned] == [key("a"), key("b")], "each once"


def test_an_expired_session_ends_its_stream(bench: Bench) -> None:
    bench.worker().stream.closed()
    bench.commit()
    worker = bench.hello(epoch=1)
    bench.run(30_000)
    assert worker.refusal == "SESSION_UNKNOWN"
    bench.commit()
    assert key("w") not in bench.driver.machine.state.sessions


# ---- heartbeats, silence, contact


def test_heartbeats_are_answered_only_in_contact_with_a_leader(bench: Bench) -> None:
    bench.step(2.0)
    worker = bench.worker()
    worker.stream.receive(Heartbeat(1))
    bench.step(0.25)
    assert worker.last(HeartbeatAck) == HeartbeatAck(1)
    bench.contact_s = 1.6
    worker.stream.receive(Heartbeat(2))
    bench.step(0.25)
    assert worker.count(HeartbeatAck) == 1
    bench.contact_s = 0.1
    bench.step(0.25)
    assert worker.count(HeartbeatAck) == 1, "what was not answered then is not answered later"
    worker.stream.receive(Heartbeat(3))
    bench.step(0.25)
    assert worker.last(HeartbeatAck) == HeartbeatAck(3)


def test_workers_hear_of_other_members_with_the_next_heartbeat(bench: Bench) -> None:
    bench.step(2.0)
    worker = bench.worker()
    bench.step(0.25)
    before = bench.servers
    bench.servers = (*before, "new:7400")
    worker.stream.receive(Heartbeat(1))
    bench.step(0.25)
    assert worker.last(HeartbeatAck) == HeartbeatAck(1, (*before, "new:7400"))
    worker.stream.receive(Heartbeat(2))
    bench.step(0.25)
    assert worker.last(HeartbeatAck) == HeartbeatAck(2), "once"


def test_after_standing_still_a_node_answers_nothing_on_the_word_of_old_messages(bench: Bench) -> None:
    bench.step(2.0)
    worker = bench.worker()
    bench.step(0.25)
    worker.stream.receive(Heartbeat(1))
    bench.contact_s = 0.0  # a message of the leader that had waited in a buffer
    bench.step(40.0)
    assert worker.count(HeartbeatAck) == 0
    for number in range(2, 8):
        worker.stream.receive(Heartbeat(number))
        bench.step(0.25)
    assert worker.last(HeartbeatAck) == HeartbeatAck(7)


def test_a_silent_stream_is_closed_and_its_session_detached(bench: Bench) -> None:
    worker, talking = bench.worker("w"), bench.worker("t")
    for _ in range(122):
        bench.step(0.25)
        talking.stream.receive(Heartbeat(1))
    assert worker.refusal == "SILENT"
    assert talking.refusal == ""
    bench.commit()
    assert bench.session("w") == ("", 1)


def test_a_node_that_stood_still_does_not_take_its_workers_for_silent(bench: Bench) -> None:
    worker = bench.worker()
    bench.step(100.0)
    bench.step(0.25)
    assert worker.refusal == ""


def test_without_contact_for_too_long_the_sessions_are_given_up(bench: Bench) -> None:
    bench.step(2.0)
    worker = bench.worker()
    bench.contact_s = 99.0
    for _ in range(19):
        bench.step(0.25)
    assert worker.refusal == ""
    for _ in range(3):
        bench.step(0.25)
    assert worker.refusal == "NO_LEADER"
    assert [type(command) for command, _ in bench.waiting] == [DetachSession]


# ---- going down


def test_a_node_that_goes_down_sends_its_workers_elsewhere_and_takes_no_new_ones(bench: Bench) -> None:
    worker = bench.worker()
    bench.hub.stop_taking()
    bench.hub.redirect(key("w"), ("n2:1",))
    assert worker.last(Redirect) == Redirect(("n2:1",))
    assert bench.hello("late").refusal == "NODE_STOPPING"
    bench.elsewhere(ResumeSession(key("w"), "n2", 1))
    assert len(bench.hub) == 0


def test_what_is_left_is_closed(bench: Bench) -> None:
    worker = bench.worker()
    bench.hub.close_all()
    assert worker.refusal == "NODE_STOPPING"
    worker.stream.receive(Heartbeat(1))
    worker.stream.closed()
    assert bench.waiting == []
    assert isinstance(worker.heard[-1], Refused)


def test_an_overloaded_node_leaves_the_older_stream_of_a_session_as_it_is(bench: Bench) -> None:
    worker = bench.worker()
    bench.overloaded = Rejected(Code.RESOURCE_EXHAUSTED, "NODE_OVERLOADED", "use another one")
    again = bench.hello(epoch=1)
    assert again.refusal == "NODE_OVERLOADED"
    assert worker.refusal == ""
    assert bench.waiting == []
