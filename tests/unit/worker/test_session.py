"""The worker's side of the protocol, stepped by hand on a clock made of numbers."""

import itertools

import pytest

from orchestrix_raft.domain.report import Completed, Failed, Outcome, Released
from orchestrix_raft.domain.session import (
    Assignment,
    Assignments,
    CoordinatorMessage,
    Drain,
    Farewell,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Redirect,
    Refused,
    ReportAck,
    Stop,
    StopJob,
    Welcome,
)
from orchestrix_raft.worker.session import (
    Attached,
    Cancel,
    Effect,
    Fatal,
    Learnt,
    Left,
    Moved,
    Reconnect,
    Send,
    SessionCore,
    Settings,
    Start,
)

SETTINGS = Settings("w", ("q",), 4, ())
HELLO_AT = 100.0


def welcome(epoch: int = 1) -> Welcome:
    return Welcome(epoch, "n1", 10_000, 25_000, ("a:1",))


def job(token: int) -> Assignment:
    return Assignment(bytes([token]) * 16, token, "t", "q", b"{}", 1, 0, "", 0)


def done(token: int, result: bytes = b"1") -> Completed:
    return Completed(bytes([token % 256]) * 16, token, result, 1, 2)


def assigned(*tokens: int) -> Assignments:
    return Assignments(tuple(job(token) for token in tokens))


class Worker(SessionCore):
    """A core with session ids 1, 2, 3... that has said Hello and, by default, been welcomed."""

    def __init__(self, welcomed: bool = True) -> None:
        ids = itertools.count(1)
        super().__init__(SETTINGS, lambda: bytes([next(ids)]) * 16)
        self.said = self.hello(HELLO_AT)
        if welcomed:
            self.hear(welcome())

    def hear(self, message: CoordinatorMessage, now: float = HELLO_AT) -> list[Effect]:
        return self.receive(message, now)

    def reports(self) -> list[int]:
        return [outcome.token for outcome in self.take_reports()]


def test_the_first_hello_opens_a_new_session() -> None:
    assert Worker(welcomed=False).said == Hello(b"\x01" * 16, "w", ("q",), 4, (), 0, ())


def test_a_later_hello_resumes_with_all_that_is_held() -> None:
    worker = Worker()
    worker.hear(assigned(1, 2, 3))
    worker.ended(done(2))
    worker.closed()
    hello = worker.hello(110.0)
    assert (hello.session_id, hello.epoch) == (b"\x01" * 16, 1)
    assert {token for _, token in hello.held} == {1, 2, 3}, (
        "what runs, and what waits for its acknowledgement"
    )
    worker.hear(welcome(epoch=7), 111.0)
    worker.closed()
    assert worker.hello(112.0).epoch == 7


def test_an_assignment_starts_once_however_often_it_comes() -> None:
    worker = Worker()
    assert worker.hear(assigned(1, 2)) == [Start(job(1)), Start(job(2))]
    assert worker.hear(assigned(1, 2, 3)) == [Start(job(3))]
    worker.ended(done(1))
    assert worker.hear(assigned(1)) == [], "its outcome is on the way"


def test_an_outcome_is_sent_again_after_every_welcome_until_acknowledged() -> None:
    worker = Worker()
    worker.hear(assigned(1, 2))
    worker.ended(done(1))
    assert worker.reports() == [1]
    assert worker.reports() == []
    worker.closed()
    worker.ended(done(2))
    assert worker.reports() == [], "there is nobody to tell"
    worker.hello(110.0)
    worker.hear(welcome(2))
    assert worker.reports() == [1, 2]
    worker.hear(ReportAck((1,), ()))
    worker.closed()
    worker.hello(120.0)
    worker.hear(welcome(3))
    assert worker.reports() == [2]
    worker.hear(ReportAck((), (2,)))
    assert worker.unacknowledged == 0, "a stale one is forgotten, too"
    worker.hear(welcome(4))
    assert worker.reports() == []


def test_an_acknowledgement_before_the_sending_spares_it() -> None:
    worker = Worker()
    worker.hear(assigned(1))
    worker.ended(done(1))
    worker.hear(ReportAck((1,), ()))
    assert worker.reports() == []


@pytest.mark.parametrize(
    ("outcomes", "sizes"),
    [
        ([done(n) for n in range(1, 2_501)], [1_000, 1_000, 500]),
        ([done(n, b"x" * 600_000) for n in range(1, 6)], [2, 2, 1]),
        ([Failed(bytes(16), n, "e" * 150_000, 1, 2) for n in range(1, 6)], [2, 2, 1]),
    ],
)
def test_reports_are_cut_into_messages_of_bounded_size(outcomes: list[Outcome], sizes: list[int]) -> None:
    worker = Worker()
    jobs = [Assignment(bytes(16), outcome.token, "t", "q", b"", 1, 0, "", 0) for outcome in outcomes]
    worker.hear(Assignments(tuple(jobs)))
    for outcome in outcomes:
        worker.ended(outcome)
    messages = list(iter(worker.take_reports, ()))
    assert [len(message) for message in messages] == sizes
    assert [o.token for message in messages for o in message] == [o.token for o in outcomes]


def test_a_stop_reaches_only_what_runs() -> None:
    worker = Worker()
    worker.hear(assigned(1, 2))
    worker.ended(done(2))
    stop = Stop(tuple(StopJob(bytes(16), token, "timed_out") for token in (1, 2, 3)))
    assert worker.hear(stop) == [Cancel(1, "timed_out")]


# ---- heartbeats and the fence ----------------------------------------------------------------------------


def heartbeat_at(worker: Worker, now: float) -> int:
    """The number of the heartbeat that is due then."""
    (effect,) = worker.poll(now)
    assert isinstance(effect, Send)
    assert isinstance(effect.message, Heartbeat)
    return effect.message.number


def test_heartbeats_are_sent_at_the_interval_the_node_named() -> None:
    worker = Worker()
    assert worker.due() == 110.0
    assert worker.poll(109.9) == []
    number = heartbeat_at(worker, 110.0)
    worker.hear(HeartbeatAck(number), 110.1)
    assert worker.due() == 120.0


def test_nodes_that_a_heartbeats_answer_names_are_learnt() -> None:
    worker = Worker()
    number = heartbeat_at(worker, 110.0)
    assert worker.hear(HeartbeatAck(number, ("a:1", "b:2")), 110.1) == [Learnt(("a:1", "b:2"))]


def test_an_unanswered_heartbeat_is_repeated_sooner() -> None:
    worker = Worker()
    heartbeat_at(worker, 110.0)
    assert worker.due() == 112.5
    second = heartbeat_at(worker, 112.5)
    worker.hear(HeartbeatAck(second), 112.6)
    assert worker.due() == 122.5


def test_a_node_that_answers_no_heartbeat_for_an_interval_is_left() -> None:
    worker = Worker()
    for now in (110.0, 112.5, 115.0, 117.5):
        heartbeat_at(worker, now)
    (effect,) = worker.poll(120.0)
    assert isinstance(effect, Reconnect)
    assert effect.elsewhere


def test_the_fence_counts_from_the_sending_of_the_last_answered_heartbeat() -> None:
    worker = Worker()
    worker.hear(assigned(1))
    first = heartbeat_at(worker, 110.0)
    heartbeat_at(worker, 112.5)
    worker.hear(HeartbeatAck(first), 114.0)
    worker.closed()
    assert worker.due() == 135.0, "25 s after 110, not after 112.5 or 114"
    assert worker.poll(134.9) == []
    assert worker.poll(135.0)[0] == Cancel(1, "lease_lost")


def test_a_late_answer_to_an_earlier_heartbeat_does_not_move_the_fence_back() -> None:
    worker = Worker()
    first = heartbeat_at(worker, 110.0)
    second = heartbeat_at(worker, 112.5)
    worker.hear(HeartbeatAck(second))
    worker.hear(HeartbeatAck(first))
    worker.closed()
    assert worker.due() == 137.5


def test_a_welcome_counts_from_the_sending_of_its_hello() -> None:
    worker = Worker(welcomed=False)
    worker.hear(welcome(), 104.0)
    worker.closed()
    assert worker.due() == 125.0


def test_an_answer_from_a_stream_that_is_gone_counts_for_nothing() -> None:
    worker = Worker()
    number = heartbeat_at(worker, 110.0)
    worker.closed()
    worker.hello(111.0)
    worker.hear(HeartbeatAck(number), 111.5)
    assert worker.due() == 125.0


def test_the_fence_stops_everything_and_begins_a_fresh_session() -> None:
    worker = Worker()
    worker.hear(assigned(1, 2, 3))
    worker.ended(done(3))
    worker.closed()
    effects = worker.poll(125.0)
    assert effects[:2] == [Cancel(1, "lease_lost"), Cancel(2, "lease_lost")]
    assert isinstance(effects[2], Reconnect)
    assert effects[2].afresh
    assert worker.hello(126.0) == Hello(b"\x02" * 16, "w", ("q",), 4, (), 0, ())
    worker.hear(welcome())
    worker.ended(done(1))
    assert worker.reports() == [], "what ends now belongs to nobody"


def test_without_a_welcome_there_is_nothing_to_fence() -> None:
    worker = Worker(welcomed=False)
    assert worker.due() == float("inf")
    assert worker.poll(1e9) == []


# ---- refusals, redirects, the end ------------------------------------------------------------------------


def test_an_unknown_session_stops_everything_and_begins_afresh() -> None:
    worker = Worker()
    worker.hear(assigned(1))
    effects = worker.hear(Refused("SESSION_UNKNOWN", "expired"))
    assert effects[0] == Cancel(1, "lease_lost")
    assert effects[1] == Reconnect(False, "SESSION_UNKNOWN: expired", afresh=True)
    assert worker.hello(101.0).epoch == 0
    assert worker.hello(101.0).session_id == b"\x02" * 16


@pytest.mark.parametrize(
    ("reason", "elsewhere"),
    [
        ("SESSION_MOVED", False),
        ("NO_LEADER", True),
        ("NODE_STOPPING", True),
        ("SILENT", True),
        ("NEW_REASON", True),
    ],
)
def test_other_refusals_keep_session_and_handlers(reason: str, elsewhere: bool) -> None:
    worker = Worker()
    worker.hear(assigned(1))
    assert worker.hear(Refused(reason, "text")) == [Reconnect(elsewhere, f"{reason}: text")]
    assert worker.hello(101.0).held == ((job(1).job_id, 1),)


@pytest.mark.parametrize("reason", ["INVALID_ARGUMENT", "PERMISSION_DENIED"])
def test_what_no_node_will_accept_is_fatal(reason: str) -> None:
    assert Worker().hear(Refused(reason, "text")) == [Fatal(reason, "text")]


def test_a_redirect_leaves_the_stream_usable() -> None:
    worker = Worker()
    assert worker.hear(Redirect(("b:1", "c:1"))) == [Moved(("b:1", "c:1"))]
    assert worker.attached
    assert worker.hear(assigned(1)) == [Start(job(1))]
    worker.hello(105.0)
    worker.ended(done(1))
    assert worker.reports() == [1], "over the old stream, until the new one is welcomed"
    assert worker.hear(welcome(2)) == [Attached(welcome(2))]
    assert worker.reports() == [1], "and again over the new one"


def test_a_draining_worker_gives_back_what_crosses_its_drain() -> None:
    worker = Worker()
    worker.hear(assigned(1))
    assert worker.drain() == [Send(Drain())]
    assert worker.hear(assigned(2)) == []
    assert worker.take_reports() == (Released(job(2).job_id, 2),)
    worker.closed()
    worker.hello(101.0)
    assert worker.hear(welcome(2)) == [Attached(welcome(2)), Send(Drain())], "every node must know"


def test_what_runs_at_the_end_is_given_back() -> None:
    worker = Worker()
    worker.hear(assigned(1, 2))
    worker.ended(done(1))
    worker.release_all()
    assert worker.take_reports() == (done(1), Released(job(2).job_id, 2))
    assert worker.running == 0


def test_goodbye_and_its_answer() -> None:
    worker = Worker()
    assert worker.goodbye() == [Send(Goodbye())]
    assert worker.hear(Farewell()) == [Left()]
    worker.closed()
    assert worker.goodbye() == []
    assert worker.drain() == []
