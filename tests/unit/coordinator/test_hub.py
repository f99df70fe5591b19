"""Worker streams at one node: what is committed for them, and what they are told."""

from collections.abc import Callable

import pytest

from orchestrix_raft.coordinator.hub import HubLimits, SessionHub
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.coordinator.proposer import unavailable
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.report import Completed, ProgressMark, Released, StartedMark
from orchestrix_raft.domain.session import (
    Assignments,
    CoordinatorMessage,
    Drain,
    Farewell,
    Goodbye,
    HandlerLine,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Observation,
    Redirect,
    Refused,
    ReportAck,
    ReportMessage,
    Stop,
    Welcome,
)
from orchestrix_raft.machine.commands import (
    AttachSession,
    Command,
    DetachSession,
    NodeHealthChanged,
    Observe,
    Report,
    ResumeSession,
)
from orchestrix_raft.machine.events import (
    JobAssigned,
    SessionAttached,
    SessionDetached,
    SessionEnded,
    SessionResumed,
    StopRequested,
)
from tests.scenarios.driver import Driver, job, key

OnDone = Callable[[Outcome], None] | None


class Worker:
    """The other end of one stream."""

    def __init__(self) -> None:
        self.heard: list[CoordinatorMessage] = []
        self.stream: Stream

    def last(self, kind: type) -> CoordinatorMessage:
        return [message for message in self.heard if isinstance(message, kind)][-1]

    def count(self, kind: type) -> int:
        return sum(isinstance(message, kind) for message in self.heard)

    @property
    def assigned(self) -> list[tuple[bytes, int]]:
        given = [message for message in self.heard if isinstance(message, Assignments)]
        return [(one.job_id, one.token) for message in given for one in message.jobs]

    @property
    def refusal(self) -> str:
        last = self.heard[-1] if self.heard else None
        return last.reason if isinstance(last, Refused) else ""


class Bench:
    """The hub of node n1 over a real machine; what it submits waits until the test commits it."""

    def __init__(self) -> None:
        self.driver = Driver()
        self.driver.start_node("n1")
        self.driver.start_node("n2")
        self.now = 1_000.0
        self.contact_s = 0.0
        self.waiting: list[tuple[Command, OnDone]] = []
        self.committed: list[Command] = []
        self.lines: list[HandlerLine] = []
        self.hub = SessionHub(
            "n1",
            HubLimits(),
            lambda command, done: self.waiting.append((command, done)),
            self.lines.extend,
            lambda job: b"large",
            lambda: ("n1:1", "n2:1"),
        )
        self.hub.state = self.driver.machine.state
        self.step()

    # ---- workers

    def hello(
        self, name: str = "w", *, epoch: int = 0, capacity: int = 2, held: tuple[tuple[bytes, int], ...] = ()
    ) -> Worker:
        worker = Worker()
        hello = Hello(key(name), name, ("default",), capacity, (), epoch, held)
        worker.stream = self.hub.open(hello, worker.heard.append, self.now)
        return worker

    def worker(self, name: str = "w", **options: int) -> Worker:
        """One that is welcome already."""
        worker = self.hello(name, **options)  # type: ignore[arg-type]  # capacity and epoch
        self.commit()
        assert worker.count(Welcome) == 1
        return worker

    # ---- the cluster

    def commit(self, count: int = 99) -> list[Command]:
        """Commit what waits, and what follows from it."""
        done_now: list[Command] = []
        while self.waiting and count:
            count -= 1
            command, done = self.waiting.pop(0)
            result = self.driver.do(command, node="n1")
            done_now.append(command)
            self.follow()
            if done is not None:
                done(Done(self.driver.index, result))
        self.committed += done_now
        self.hub.flush()
        return done_now

    def refuse(self) -> list[Command]:
        """Nothing that waits is committed: its callers hear that it certainly will not be."""
        return self._answer(NotApplied(unavailable(False)))

    def _answer(self, outcome: Outcome) -> list[Command]:
        waiting, self.waiting = self.waiting, []
        for _, done in waiting:
            if done is not None:
                done(outcome)
        return [command for command, _ in waiting]

    def lose_answers(self) -> None:
        """Everything is committed, but the answers say that nobody knows."""
        waiting, self.waiting = self.waiting, []
        for command, done in waiting:
            self.driver.do(command, node="n1")
            if done is not None:
                done(Unknown("?"))
            self.follow()

    def elsewhere(self, command: Command, node: str = "n2") -> None:
        """A command of another node."""
        self.driver.do(command, node=node)
        self.follow()
        self.hub.flush()

    def follow(self) -> None:
        for event in self.driver.events:
            match event:
                case JobAssigned():
                    if event.node_id == "n1":
                        self.hub.assigned(event)
                case StopRequested():
                    self.hub.stop_requested(event)
                case SessionAttached() | SessionResumed():
                    self.hub.attached(event)
                case SessionDetached():
                    self.hub.detached(event)
                case SessionEnded():
                    self.hub.ended(event)
                case _:
                    pass

    def run(self, milliseconds: int) -> None:
        """Log time passes."""
        self.driver.tick(milliseconds)
        self.follow()
        self.hub.flush()

    def enqueue(self, *names: str, **fields: object) -> None:
        self.driver.enqueue(*(job(name, **fields) for name in names))
        self.follow()
        self.hub.flush()

    def step(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.hub.tick(self.now, self.contact_s)

    def session(self, name: str = "w") -> tuple[str, int]:
        session = self.driver.machine.state.sessions[key(name)]
        return session.node_id, session.epoch


@pytest.fixture
def bench() -> Bench:
    return Bench()


def token_of(bench: Bench, name: str) -> int:
    return bench.driver.job(name).token


def report(bench: Bench, worker: Worker, name: str, token: int = 0) -> None:
    outcome = Completed(key(name), token or token_of(bench, name), b"1", 0, 1)
    worker.stream.receive(ReportMessage((outcome,)))


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


# ---- assignments and reports


def test_what_is_assigned_is_pushed_once(bench: Bench) -> None:
    bench.enqueue("a")
    worker = bench.worker()
    bench.enqueue("b", "c")
    assert [job_id for job_id, _ in worker.assigned] == [key("a"), key("b")]


def test_a_large_argument_is_read_from_where_it_is_kept(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a", args=b'"' + b"x" * 5_000 + b'"')
    given = worker.last(Assignments)
    assert isinstance(given, Assignments)
    assert given.jobs[0].args == b"large"


def test_a_report_is_acknowledged_after_its_commit_and_not_before(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a")
    report(bench, worker, "a")
    assert worker.count(ReportAck) == 0
    bench.commit()
    assert worker.last(ReportAck) == ReportAck((token_of(bench, "a"),), ())
    assert bench.driver.job("a").state is JobState.COMPLETED


def test_a_report_is_repeated_until_it_is_committed(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a")
    report(bench, worker, "a")
    bench.refuse()
    bench._answer(Unknown("?"))
    assert worker.count(ReportAck) == 0
    bench.commit()
    assert worker.count(ReportAck) == 1


def test_a_report_is_not_repeated_for_a_worker_that_is_gone(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a")
    report(bench, worker, "a")
    worker.stream.closed()
    bench.refuse()
    assert [type(command) for command, _ in bench.waiting] == [DetachSession]


def test_a_report_under_way_while_the_session_moves_counts_once(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a")
    report(bench, worker, "a")
    bench.elsewhere(ResumeSession(key("w"), "n2", 1))
    bench.commit()
    assert bench.driver.job("a").state is JobState.COMPLETED
    assert worker.count(ReportAck) == 0
    again = bench.driver.do(
        Report(key("w"), (Completed(key("a"), token_of(bench, "a"), b"1", 0, 1),)), node="n2"
    )
    assert getattr(again, "stale", None) == {}


def test_a_stale_token_is_acknowledged_as_such(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a")
    report(bench, worker, "a", token=1 << 39)
    bench.commit()
    assert worker.last(ReportAck) == ReportAck((), (1 << 39,))


def test_a_report_that_breaks_a_limit_ends_the_stream_and_detaches_the_session(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = bench.worker()
    monkeypatch.setattr("orchestrix_raft.domain.limits.CAPACITY", 0)
    report(bench, worker, "a", token=5)
    bench.commit()
    assert worker.refusal == "TOO_MANY"
    assert bench.session() == ("", 1)


# ---- reconciliation


def test_what_was_assigned_while_the_worker_was_away_is_delivered(bench: Bench) -> None:
    bench.worker().stream.closed()
    bench.enqueue("a")
    back = bench.hello(epoch=1)
    bench.commit()
    assert [job_id for job_id, _ in back.assigned] == [key("a")]


def test_a_lost_push_is_delivered_again_and_a_known_one_is_not(bench: Bench) -> None:
    bench.enqueue("a", "b")
    bench.worker()
    back = bench.hello(epoch=1, held=((key("a"), token_of(bench, "a")),))
    bench.commit()
    assert [job_id for job_id, _ in back.assigned] == [key("b")]


def test_what_only_the_worker_has_is_told_to_stop(bench: Bench) -> None:
    worker = bench.hello(held=((key("x"), 9),))
    bench.commit()
    stop = worker.last(Stop)
    assert isinstance(stop, Stop)
    assert [(one.token, one.reason) for one in stop.jobs] == [(9, "lease_lost")]


def test_a_stop_that_was_lost_is_sent_again(bench: Bench) -> None:
    bench.enqueue("a")
    first = bench.worker()
    bench.driver.cancel("a")
    bench.follow()
    bench.hub.flush()
    assert first.count(Stop) == 1
    back = bench.hello(epoch=1, held=((key("a"), token_of(bench, "a")),))
    bench.commit()
    stop = back.last(Stop)
    assert isinstance(stop, Stop)
    assert stop.jobs[0].token == token_of(bench, "a")


def test_a_slot_of_which_the_worker_knows_nothing_is_freed_however_long_that_takes(bench: Bench) -> None:
    bench.enqueue("a", timeout_ms=1_000)
    bench.worker(capacity=1).stream.closed()
    bench.commit()
    token = token_of(bench, "a")
    bench.run(1_000)
    bench.run(10_000)
    back = bench.hello(epoch=1)
    bench.commit(1)
    assert back.count(Welcome) == 1
    assert bench.refuse() == [Report(key("w"), (Released(key("a"), token),))]
    bench.commit()
    assert token not in bench.driver.machine.state.sessions[key("w")].slots


def test_after_a_snapshot_streams_are_attached_again_and_orphans_detached(bench: Bench) -> None:
    worker = bench.worker("w")
    bench.worker("gone").stream.closed()
    bench.waiting.clear()
    bench.hub.state_replaced(bench.driver.machine.state)
    bench.commit()
    assert bench.session("w") == ("n1", 2)
    assert bench.session("gone") == ("", 1)
    assert worker.count(Welcome) == 2


# ---- other messages


def test_goodbye_is_answered_when_all_is_given_back(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a")
    worker.stream.receive(Goodbye())
    worker.stream.receive(Goodbye())
    assert worker.count(Farewell) == 0
    bench.commit()
    assert isinstance(worker.heard[-1], Farewell)
    assert bench.driver.job("a").state is JobState.PENDING
    assert len(bench.hub) == 0
    assert bench.waiting == []


def test_goodbye_goes_behind_the_reports_before_it(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a")
    report(bench, worker, "a")
    worker.stream.receive(Goodbye())
    bench.commit()
    assert bench.driver.job("a").state is JobState.COMPLETED
    assert [type(message) for message in worker.heard[-2:]] == [ReportAck, Farewell]


def test_goodbye_is_not_answered_before_it_is_committed(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a")
    worker.stream.receive(Goodbye())
    bench.refuse()
    assert worker.count(Farewell) == 0
    bench.commit()
    assert worker.count(Farewell) == 1


def test_goodbye_while_attaching_is_said_as_soon_as_that_is_done(bench: Bench) -> None:
    worker = bench.hello()
    worker.stream.receive(Goodbye())
    bench.commit()
    assert worker.count(Farewell) == 1
    assert key("w") not in bench.driver.machine.state.sessions


def test_a_draining_worker_gets_nothing_new_however_long_that_takes_to_commit(bench: Bench) -> None:
    worker = bench.worker()
    worker.stream.receive(Drain())
    bench.refuse()
    bench.commit()
    bench.enqueue("a")
    assert worker.assigned == []


def test_observations_are_gathered_and_the_latest_progress_wins(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a")
    token = token_of(bench, "a")
    for percent in (1, 2, 3):
        progress = ProgressMark(key("a"), token, percent, "")
        worker.stream.receive(Observation((StartedMark(key("a"), token, 5),), (progress,), ()))
    unknown = ProgressMark(key("x"), 99, 1, "")
    worker.stream.receive(Observation((), (unknown,), ()))
    assert bench.waiting == []
    bench.step(0.6)
    started = (StartedMark(key("a"), token, 5),)
    assert bench.commit() == [Observe(key("w"), started, (ProgressMark(key("a"), token, 3, ""),))]


def test_lines_of_an_old_attempt_are_dropped_and_counted(bench: Bench) -> None:
    worker = bench.worker()
    bench.enqueue("a")
    token = token_of(bench, "a")
    new = HandlerLine(key("a"), token, 1, "info", "new")
    old = HandlerLine(key("a"), token - 1, 1, "info", "old")
    worker.stream.receive(Observation((), (), (old, new)))
    assert bench.lines == [new]
    assert bench.hub.stale_lines == 1


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
    bench.hub.redirect_all()
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
