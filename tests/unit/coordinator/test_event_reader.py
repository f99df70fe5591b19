"""Reading the feed: order, cursors, actors and reasons, filters, and what is said when events are gone."""

from orchestrix_raft.consensus.twin import TwinNode
from orchestrix_raft.coordinator.event_reader import SLICE, EventReader
from orchestrix_raft.coordinator.event_view import (
    KINDS,
    Cursor,
    EventFilter,
    EventView,
    parse_cursor,
    view,
)
from orchestrix_raft.coordinator.feed import FeedKeep
from orchestrix_raft.coordinator.settings import CoreLimits
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import Timer, TimerKind
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.domain.queue import QueueChange
from orchestrix_raft.domain.report import Completed, Failed, Outcome
from orchestrix_raft.domain.session import Assignments, ReportMessage
from orchestrix_raft.domain.worker import worker_id
from orchestrix_raft.machine.commands import CancelJobs, ConfigureQueue, Enqueue, PurgeJobs
from orchestrix_raft.machine.events import (
    Event,
    JobAssigned,
    JobCompleted,
    JobEnqueued,
    SessionDetached,
    TimerSetAside,
)
from orchestrix_raft.machine.packing import LONG_BYTES, PLAIN_BYTES
from orchestrix_raft.version import MACHINE_LEVEL
from tests.reading import read_to_end
from tests.scenarios.driver import job, key
from tests.unit.coordinator.bench import Cores

ALL = EventFilter()


def read(
    cores: Cores, name: str = "n1", since: Cursor | None = None, wanted: EventFilter = ALL
) -> list[EventView]:
    return read_to_end(EventReader(cores[name].feed, since or Cursor(1, 0), wanted, cores[name].replica.job))


def enqueue(cores: Cores, *names: str, node: str = "n1", **fields: object) -> None:
    cores.submit(node, Enqueue(tuple(job(name, **fields) for name in names)))
    cores.run()


def work(cores: Cores, *, fail: bool = False) -> None:
    """A worker at n1 takes what there is and reports it."""
    told = cores.worker("n1", "w", capacity=10)
    cores.run()
    stream = cores["n1"].hub.table.streams[key("w")]
    for message in told.messages:
        if isinstance(message, Assignments):
            outcomes: list[Outcome] = [
                Failed(one.job_id, one.token, "boom\nat line 1", 1, 2)
                if fail
                else Completed(one.job_id, one.token, b"1", 1, 2)
                for one in message.jobs
            ]
            stream.receive(ReportMessage(tuple(outcomes)))
    cores.run()


def kinds(events: list[EventView]) -> list[str]:
    return [event.kind for event in events]


def test_every_event_comes_once_in_order_and_alike_on_every_node() -> None:
    cores = Cores(3)
    enqueue(cores, "a", "b", node="n2")
    work(cores)
    on_leader = read(cores, "n1")
    assert on_leader == read(cores, "n2") == read(cores, "n3")
    assert kinds(on_leader) == [
        *["node_joined"] * 3,
        *["level_raised"] * (MACHINE_LEVEL - FIRST_LEVEL),
        *("job_enqueued", "job_enqueued", "session_attached", "job_assigned", "job_assigned"),
        *("job_completed", "job_completed"),
    ]
    cursors = [event.cursor for event in on_leader]
    assert cursors == sorted(set(cursors))


def test_any_cursor_goes_on_right_behind_its_event() -> None:
    cores = Cores(3)
    enqueue(cores, "a", "b", "c")
    work(cores)
    events = read(cores)
    for place, event in enumerate(events):
        assert read(cores, "n3", since=event.cursor) == events[place + 1 :]


def test_an_event_says_who_caused_it_and_why() -> None:
    cores = Cores(3)
    enqueue(cores, "a", "b", node="n2")
    cores.submit("n3", CancelJobs(b"", (key("b"),), "not wanted"))
    cores.run()
    work(cores, fail=True)
    told = {event.kind: event for event in read(cores)}
    assert told["job_enqueued"].actor == "client via n2"
    assert (told["job_cancelled"].actor, told["job_cancelled"].reason) == ("client via n3", "not wanted")
    assert told["session_attached"].actor == "worker w"
    assert told["job_assigned"].actor == "dispatcher"
    assert (told["attempt_ended"].actor, told["attempt_ended"].reason) == ("worker w", "failed: boom")
    assert told["node_joined"].actor in ("node n1", "node n2", "node n3")
    cores.run(30.0)
    ready = next(event for event in read(cores) if event.kind == "job_ready")
    assert ready.actor == "time"


def test_an_event_has_the_two_times_of_its_entry() -> None:
    cores = Cores(3)
    enqueue(cores, "a")
    first = cores["n1"].state.elapsed_ms
    cores.run(5.0)
    enqueue(cores, "b")
    times = {event.job_id: (event.at_ms, event.elapsed_ms) for event in read(cores, "n2") if event.job_id}
    state = cores["n1"].state
    assert times[key("b")] == (state.wall_ms, state.elapsed_ms)
    told = times[key("a")][1]
    assert told is not None
    assert told <= first <= state.elapsed_ms - 5_000


def test_details_are_plain_and_leave_payloads_out() -> None:
    cores = Cores()
    enqueue(cores, "a", args=b'{"secret": 1}', priority=3)
    (event,) = [event for event in read(cores) if event.kind == "job_enqueued"]
    assert (event.job_id, event.queue, event.job_type) == (key("a"), "default", "t")
    assert event.details["state"] == "pending"
    assert event.details["spec"]["priority"] == 3
    assert "args" not in event.details["spec"]


def test_filters() -> None:
    cores = Cores()
    enqueue(cores, "a", "b")
    enqueue(cores, "c", queue="mail", type="send")
    cores.submit("n1", ConfigureQueue(b"", "mail", QueueChange(paused=True)))
    cores.run()
    work(cores)

    def of(**wanted: frozenset[object]) -> list[str]:
        return kinds(read(cores, wanted=EventFilter(**wanted)))  # type: ignore[arg-type]

    assert of(kinds=frozenset({JobEnqueued})) == ["job_enqueued"] * 3
    assert of(job_ids=frozenset({key("a")})) == ["job_enqueued", "job_assigned", "job_completed"]
    assert of(queues=frozenset({"mail"})) == ["job_enqueued", "queue_configured"]
    assert of(job_types=frozenset({"send"})) == ["job_enqueued"]
    assert of(kinds=frozenset({JobCompleted}), job_ids=frozenset({key("b")})) == ["job_completed"]
    assert of(queues=frozenset({"default"}), kinds=frozenset({JobCompleted})) == ["job_completed"] * 2


def test_a_forgotten_job_is_found_by_its_id_and_by_what_the_reader_saw_of_it() -> None:
    cores = Cores()
    enqueue(cores, "a", type="send")
    cores.submit("n1", CancelJobs(b"", (key("a"),), ""))
    cores.run()
    cores.submit("n1", PurgeJobs(b"", (key("a"),)))
    cores.run()
    everything = ["job_enqueued", "job_cancelled", "job_forgotten"]
    assert kinds(read(cores, wanted=EventFilter(job_ids=frozenset({key("a")})))) == everything
    assert kinds(read(cores, wanted=EventFilter(job_types=frozenset({"send"})))) == everything


def test_an_entry_with_more_events_than_a_slice_is_told_in_several() -> None:
    cores = Cores()
    enqueue(cores, *(f"j{n}" for n in range(SLICE + 20)))
    reader = EventReader(cores["n1"].feed, Cursor(1, 0), ALL, cores["n1"].replica.job)
    first = reader.slice()
    assert isinstance(first, list)
    assert len(first) == SLICE
    assert reader.cursor == first[-1].cursor
    rest = reader.slice()
    assert isinstance(rest, list)
    assert first + rest == read(cores)
    assert read(cores, since=first[-1].cursor) == rest


def test_long_payloads_are_not_in_the_feed() -> None:
    cores = Cores()
    long = b'"' + b"x" * LONG_BYTES + b'"'
    names = [f"j{n}" for n in range(PLAIN_BYTES // LONG_BYTES + 1)]
    enqueue(cores, *names, args=b'{"a": ' + long + b"}")
    assert cores["n1"].feed._waiting_bytes < PLAIN_BYTES
    assert kinds(read(cores)).count("job_enqueued") == len(names)


def test_what_is_forgotten_is_not_skipped_in_silence() -> None:
    cores = Cores(limits=CoreLimits(feed=FeedKeep(for_s=60.0)))
    enqueue(cores, "a")
    cores.run(90.0)
    enqueue(cores, "b")
    cores.run(5.0)
    core = cores["n1"]
    reader = EventReader(core.feed, Cursor(1, 0), ALL, core.replica.job)
    refused = reader.slice()
    assert isinstance(refused, Rejected)
    assert refused.reason == "CURSOR_TOO_OLD"
    oldest = Cursor(core.feed.after + 1, 0)
    assert str(oldest) in refused.message
    assert kinds(read(cores, since=oldest)) == ["job_enqueued"]


def test_a_reader_that_is_overtaken_by_forgetting_is_told() -> None:
    cores = Cores(limits=CoreLimits(feed=FeedKeep(for_s=60.0)))
    enqueue(cores, *(f"j{n}" for n in range(SLICE)))
    core = cores["n1"]
    reader = EventReader(core.feed, Cursor(1, 0), ALL, core.replica.job)
    told = reader.slice()
    assert isinstance(told, list)
    enqueue(cores, "late")
    cores.run(90.0)
    end: list[EventView] | Rejected = []
    while not isinstance(end, Rejected):
        end = reader.slice()
        assert not reader.at_end
    assert end.reason == "CURSOR_TOO_OLD"


def test_a_restart_continues_the_feed() -> None:
    cores = Cores()
    enqueue(cores, "a")
    cores.run(6.0)
    cores.checkpoint("n1")
    enqueue(cores, "b")
    before = read(cores)
    cores.disks["n1"].kill()
    core = cores.cores["n1"] = cores._make("n1")
    assert isinstance(core.consensus, TwinNode)
    core.consensus.applied_index = core.state.index  # it stands where the checkpoint does
    assert kinds(read(cores)) == kinds(before)[: len(before) - 1], "what was applied since is applied again"
    cores.run(2.0)
    assert read(cores)[: len(before)] == before


def test_session_ids_which_authorise_are_never_told() -> None:
    secret = b"s" * 16
    timer = Timer(TimerKind.SESSION_DEADLINE, 5, 1)
    told: list[Event] = [
        SessionDetached(secret, "n1", timer),
        JobAssigned(key("a"), secret, "n1", 1, 7, None),
        TimerSetAside(TimerKind.SESSION_DEADLINE, secret, "KeyError"),
    ]
    for event in told:
        shown = view(event, Cursor(1, 1), (0, 0), None, ("", ""))
        assert secret.hex() not in repr(shown)
        assert repr(secret) not in repr(shown)
        assert worker_id(secret).hex() in repr(shown)


def test_cursors_as_text() -> None:
    assert parse_cursor(str(Cursor(12, 3))) == Cursor(12, 3)
    for wrong in ("", "12", "12-", "-1-2", "a-b", "1-2-3", "1" * 19 + "-0", "12-3 "):
        assert parse_cursor(wrong) is None, wrong


def test_every_kind_of_event_has_a_name() -> None:
    assert KINDS["job_enqueued"] is JobEnqueued
    assert len(set(KINDS.values())) == len(KINDS)


def test_a_checkpoint_leaves_nothing_out_that_will_not_be_applied_again() -> None:
    cores = Cores(limits=CoreLimits(checkpoint_bytes=1))
    cores.checkpoint("n1")
    enqueue(cores, "a")
    cores.checkpoint("n1")
    cores.disks["n1"].kill()
    core = cores._make("n1")
    assert core.state.index > 0
    assert core.feed.after == 0, "the feed reaches as far as the checkpoint"
