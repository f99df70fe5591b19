"""One node and a few together, over a log without Raft: proposing, following, effects, duties, restarts."""

import pytest

from orchestrix_raft.consensus.messages import TimeoutNow
from orchestrix_raft.coordinator.beats import BeatLimits
from orchestrix_raft.coordinator.line_reader import LogPage
from orchestrix_raft.coordinator.messages import BeatSummary, Forward, ReadAnswer, ReadRequest
from orchestrix_raft.coordinator.port import NotApplied
from orchestrix_raft.coordinator.queries import status
from orchestrix_raft.coordinator.settings import CoreLimits
from orchestrix_raft.domain.session import Assignments, HandlerLine, Observation, Stop, Welcome
from orchestrix_raft.duties.health import VerdictAfter
from orchestrix_raft.machine import jobs
from orchestrix_raft.machine.codec import encode_batch, unnumbered
from orchestrix_raft.machine.commands import CancelJobs, Enqueue
from orchestrix_raft.machine.history import FINISHED
from tests.scenarios.driver import job, key
from tests.unit.coordinator.bench import Cores, Told, applied_at, enqueue, health_of

# ---- commands


def test_a_command_is_answered_when_it_is_applied_and_not_before() -> None:
    cores = Cores()
    cores.cluster.hold_commits = True
    told = cores.submit("n1", enqueue("a"))
    cores["n1"].step()
    assert told.outcomes == []
    assert key("a") not in cores["n1"].state.jobs
    cores.cluster.hold_commits = False
    cores.run()
    assert applied_at(told) == cores["n1"].state.index
    assert key("a") in cores["n1"].state.jobs


def test_a_bug_in_a_decision_is_for_the_log_of_every_node(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(state: object, spec: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(jobs, "decide_enqueue", bug)
    cores = Cores(3)
    cores.submit("n1", enqueue("a"))
    cores.run()
    for node_id in ("n1", "n2", "n3"):
        assert [str(fault) for fault in cores[node_id].faults] == ["a bug"]


def test_a_follower_commits_through_the_leader() -> None:
    cores = Cores(3)
    told = cores.submit("n3", enqueue("a"))
    cores.run()
    assert applied_at(told)
    digests = {core.state.digest for core in cores.cores.values()}
    assert len(digests) == 1


def test_a_lone_command_makes_one_entry() -> None:
    cores = Cores(3)
    cores.run(5.0)
    before = len(cores.cluster.log)
    cores.submit("n2", enqueue("a"))
    cores.run(0.25)
    cores.submit("n1", enqueue("b"))
    cores.run(0.25)
    assert len(cores.cluster.log) == before + 2


def test_what_is_submitted_together_is_one_entry() -> None:
    cores = Cores()
    before = len(cores.cluster.log)
    for name in "abc":
        cores.submit("n1", enqueue(name))
    cores.run()
    assert len(cores.cluster.log) == before + 1


def test_without_a_leader_a_command_waits_and_is_withdrawn_for_good() -> None:
    cores = Cores(2)
    cores.cluster.depose()
    cores.run()
    told = cores.submit("n2", enqueue("a"))
    cores.run(4.5)
    assert told.outcomes == []
    cores.run(1.0)
    (outcome,) = told.outcomes
    assert isinstance(outcome, NotApplied)
    cores.cluster.elect("n1")
    cores.run(5.0)
    assert key("a") not in cores["n1"].state.jobs


def test_commands_lost_with_a_leader_are_sent_to_the_next_once() -> None:
    cores = Cores(3)
    cores.cluster.hold_commits = True
    tolds = [cores.submit(name, enqueue(f"job of {name}")) for name in ("n1", "n2", "n3")]
    cores.run()
    cores.cluster.lose_uncommitted()
    cores.cluster.hold_commits = False
    cores.cluster.elect("n2")
    cores.run(0.5)
    for told in tolds:
        assert applied_at(told)
    assert len(cores["n1"].state.jobs) == 3


def test_a_message_lost_on_the_way_to_the_leader_is_sent_again() -> None:
    cores = Cores(3)
    cores.cut = {"n3"}
    told = cores.submit("n3", enqueue("a"))
    cores.run(0.5)
    cores.cut = set()
    cores.run(0.25)
    assert told.outcomes == []
    cores.run(1.0)
    assert applied_at(told)


def test_a_new_connection_to_the_leader_makes_the_origin_send_again_at_once() -> None:
    cores = Cores(3)
    cores.cut = {"n3"}
    told = cores.submit("n3", enqueue("a"))
    cores.run()
    cores.cut = set()
    cores["n3"].connected("n1", "disk-n1")
    cores.run()
    assert applied_at(told)


def test_what_others_forward_to_a_node_that_does_not_lead_is_dropped() -> None:
    cores = Cores(3)
    cores["n2"].receive("n3", Forward((encode_batch(unnumbered(enqueue("a"))),)))
    assert not cores["n2"].proposer.pending


def test_with_its_office_a_leader_loses_what_others_forwarded() -> None:
    cores = Cores(3)
    core = cores["n1"]
    core.leadership.hold(core.now, 60.0)
    core.receive("n3", Forward((encode_batch(unnumbered(enqueue("a"))),)))
    assert core.proposer.pending
    cores.cluster.elect("n2")
    core.step()
    assert not core.proposer.pending


def test_a_new_leader_proposes_nothing_before_it_has_applied_what_came_before() -> None:
    cores = Cores(3)
    cores.cluster.hold_commits = True
    cores.cluster.elect("n2")
    end = len(cores.cluster.log)
    told = cores.submit("n2", enqueue("a"))
    cores.run(0.5)
    assert not cores["n2"].leading
    assert len(cores.cluster.log) == end
    cores.cluster.hold_commits = False
    cores.run(0.5)
    assert applied_at(told) > end


def test_what_an_earlier_office_had_under_way_does_not_hold_a_new_one_up() -> None:
    cores = Cores(3)
    schedules = cores["n1"].leadership.schedules
    schedules._passed_over["s"] = 1
    for leader in ("n2", "n1"):
        cores.cluster.elect(leader)
        cores.run()
    assert cores["n1"].leading
    assert schedules._passed_over == {}


def test_a_leader_that_does_not_know_the_time_proposes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = Cores()
    monkeypatch.setattr(cores["n1"].leadership.stamper, "ready", lambda now: False)
    told = cores.submit("n1", enqueue("a"))
    end = len(cores.cluster.log)
    cores.run(1.0)
    assert len(cores.cluster.log) == end
    monkeypatch.undo()
    cores.run()
    assert applied_at(told)


def test_all_that_is_applied_in_a_step_is_answered_in_it() -> None:
    cores = Cores()
    cores.cluster.hold_commits = True
    tolds = []
    for name in ("a", "b"):
        tolds.append(cores.submit("n1", enqueue(name)))
        cores["n1"].step()
    assert [told.outcomes for told in tolds] == [[], []]
    cores.cluster.hold_commits = False
    cores["n1"].step()
    first, second = map(applied_at, tolds)
    assert first < second


def test_new_entries_leave_before_this_node_s_disk_has_them() -> None:
    core = Cores()["n1"]
    carried: list[object] = []
    core.carry = lambda: carried.extend(core.outbox)
    entry = ("n2", TimeoutNow(1))
    core.consensus.outbox.append(entry)
    core.consensus.before_flush()
    assert carried == [entry]


def test_a_leader_has_a_bounded_number_of_entries_under_way() -> None:
    cores = Cores()
    cores.cluster.hold_commits = True
    end = len(cores.cluster.log)
    for number in range(10):
        cores.submit("n1", enqueue(f"{number}"))
        cores["n1"].step()
    assert len(cores.cluster.log) == end + cores.limits.proposer.in_flight


# ---- effects


def test_an_assignment_is_pushed_by_the_node_that_holds_the_stream() -> None:
    cores = Cores(3)
    worker = cores.worker("n3", "w")
    cores.run()
    assert isinstance(worker.messages[0], Welcome)
    cores.submit("n2", enqueue("a"))
    cores.run()
    (pushed,) = [message for message in worker.messages if isinstance(message, Assignments)]
    assert [one.job_id for one in pushed.jobs] == [key("a")]


def test_a_stop_is_pushed_by_the_node_that_holds_the_stream() -> None:
    cores = Cores(3)
    worker = cores.worker("n3", "w")
    cores.submit("n2", enqueue("a"))
    cores.run()
    cores.submit("n1", CancelJobs(b"r" * 16, (key("a"),), ""))
    cores.run()
    (stop,) = [message for message in worker.messages if isinstance(message, Stop)]
    assert [(one.job_id, one.reason) for one in stop.jobs] == [(key("a"), "cancelled")]


def test_nothing_is_pushed_before_it_is_committed() -> None:
    cores = Cores()
    worker = cores.worker("n1", "w")
    cores.run()
    cores.cluster.hold_commits = True
    cores.submit("n1", enqueue("a"))
    cores["n1"].step()
    cores["n1"].step()
    assert not [message for message in worker.messages if isinstance(message, Assignments)]


def test_lines_of_handlers_are_kept_by_the_owner() -> None:
    cores = Cores()
    cores.worker("n1", "w")
    cores.submit("n1", enqueue("a"))
    cores.run()
    line = HandlerLine(key("a"), cores["n1"].state.jobs[key("a")].token, 5, "info", "hello")
    cores["n1"].hub.table.streams[key("w")].receive(Observation((), (), (line,)))
    told: list[LogPage] = []
    cores["n1"].log_exchange.read(key("a"), (0, 0), 10, cores.now, told.append)
    (page,) = told
    assert [(line.attempt, line.message) for line in page.lines] == [(1, "hello")]
    cores.run()
    assert not len(cores["n1"].log_exchange.copies), "there is nobody to keep a copy"


# ---- reads


def test_a_linearizable_read_at_a_follower_sees_what_was_acknowledged_before_it() -> None:
    cores = Cores(3)
    written = cores.submit("n1", enqueue("a"))
    cores["n1"].step()
    cores["n1"].step()
    assert applied_at(written)
    told = Told()
    n3 = cores["n3"]
    seen: list[bool] = []

    def fresh(ok: bool) -> None:
        told.fresh.append(ok)
        seen.append(n3.replica.job(key("a")) is not None)

    n3.reads.linearizable(cores.now, fresh)
    cores.run()
    assert (told.fresh, seen) == ([True], [True])


def test_a_node_that_does_not_lead_says_so_to_who_asks_how_far_to_read() -> None:
    cores = Cores(3)
    cores["n2"].receive("n3", ReadRequest(7))
    assert cores["n2"].outbox == [("n3", ReadAnswer(7, -1))]


def test_a_read_whose_round_went_down_with_a_leader_is_asked_of_the_next_at_once() -> None:
    cores = Cores(3)
    told = Told()
    cores.cut = {"n1"}
    cores["n3"].reads.linearizable(cores.now, told.fresh.append)
    cores.run()
    assert told.fresh == []
    cores.cluster.elect("n2")
    cores.run()
    assert told.fresh == [True]


def test_a_read_without_a_leader_is_given_up_in_time() -> None:
    cores = Cores(3)
    cores.cluster.depose()
    told = Told()
    cores["n3"].reads.linearizable(cores.now, told.fresh.append)
    cores.run(4.5)
    assert told.fresh == []
    cores.run(1.0)
    assert told.fresh == [False]


def test_what_others_know_is_heard_from_the_leader_alone() -> None:
    cores = Cores(3)
    for peer, heard in (("n3", False), ("n1", True)):
        cores["n2"].receive(peer, BeatSummary((("n9", 7, 0, 0, 0),)))
        assert (cores["n2"].beats.of("n9") is not None) is heard


# ---- time and duties


def test_a_delayed_job_is_ready_at_its_time_without_any_message() -> None:
    cores = Cores()
    cores.submit("n1", Enqueue((job("a", delay_ms=1_000),)))
    cores.run(0.75)
    ready = cores["n1"].state.counts[2]
    assert ready == 0
    cores.run(0.5)
    assert cores["n1"].state.counts[2] == 1
    before = len(cores.cluster.log)
    cores.run(5.0)
    assert len(cores.cluster.log) == before, "no ticks without need"


def test_a_silent_node_is_declared_dead_and_its_sessions_can_go_on_elsewhere() -> None:
    limits = CoreLimits(beats=BeatLimits(1.0, verdict=VerdictAfter(2_000, 3_000)))
    cores = Cores(3, limits)
    cores.worker("n3", "w")
    cores.run(1.0)
    cores.cut = {"n3"}
    cores.run(2.25)
    assert health_of(cores) == {"n1": "alive", "n2": "alive", "n3": "suspect"}
    del cores.cores["n3"]
    cores.run(1.25)
    assert health_of(cores) == {"n1": "alive", "n2": "alive", "n3": "dead"}
    assert cores["n1"].state.sessions[key("w")].node_id == ""


# ---- checkpoints


def test_a_node_rebuilt_from_its_checkpoint_answers_as_before() -> None:
    cores = Cores()
    cores.submit("n1", enqueue("a"))
    cores.run(6.0)
    core = cores["n1"]
    assert core.disk_work
    cores.checkpoint("n1")
    assert core.consensus.first_index > 1, "the log is dropped behind a checkpoint"
    position = core.replica.checkpoints._store.position()
    assert position is not None
    assert position.index == core.consensus.applied_index
    assert dict(core.replica.checkpoints._store.load("jobs")).keys() == {key("a")}


def test_the_log_is_kept_until_the_checkpoint_is_written() -> None:
    cores = Cores()
    cores.submit("n1", enqueue("a"))
    cores.run(6.0)
    core = cores["n1"]
    assert core.disk_work
    assert core.consensus.first_index == 1
    assert core.replica.history.checkpointing
    cores.run(20.0)
    assert len(core.disk_work) == 1, "one at a time"


def test_a_checkpoint_that_a_snapshot_overtook_counts_for_nothing() -> None:
    cores = Cores()
    cores.submit("n1", enqueue("a"))
    cores.run(6.0)
    core = cores["n1"]
    (work,) = core.disk_work
    core.replica.history.put(FINISHED, b"old", b"v")
    core.replica.checkpoints.replaced()
    assert core.replica.history.pending_bytes == 0
    assert core.replica.history.get(FINISHED, b"old") is None
    core.replica.history.put(FINISHED, b"k", b"v")
    core.replica.history.freeze()
    core.checkpoint_done(work)
    assert core.replica.history.checkpointing
    assert core.consensus.first_index == 1


# ---- the end


def test_a_stopped_node_answers_everybody_and_does_nothing_more() -> None:
    cores = Cores()
    cores.cluster.depose()
    cores.run()
    told = cores.submit("n1", enqueue("a"))
    core = cores["n1"]
    core.reads.at(99, cores.now, told.fresh.append)
    woken: list[bool] = []
    core.watches.add(key("a"), lambda: woken.append(True))
    core.stop("bye")
    assert [type(outcome) for outcome in told.outcomes] == [NotApplied]
    assert (told.fresh, woken) == ([False], [True])
    assert core.step() is False


def test_a_stopped_node_says_nothing_more() -> None:
    cores = Cores(3)
    core = cores["n2"]
    core.stop("bye")
    core.outbox.clear()
    cores.now += 60.0
    core.step()
    assert core.outbox == []


# ---- an installed snapshot


def test_an_installed_snapshot_loads_in_slices_beside_the_state_in_use() -> None:
    cores = Cores()
    for part in range(4):
        cores.submit("n1", Enqueue(tuple(job(f"{part}/{number}") for number in range(500))))
        cores.run()
    cores.run(6.0)
    core = cores["n1"]
    cores.checkpoint("n1")
    before = core.replica.machine
    steps = core._restore()
    slices = 0
    for _ in steps:
        slices += 1
        assert core.replica.loading
        assert core.replica.machine is before
        assert any("loading a snapshot" in problem for problem in status(core, "c").problems)
        assert core.replica.job(key("0/0")) is not None
    assert slices >= 4
    assert not core.replica.loading
    assert core.replica.machine is not before
    core.step()
    assert core.hub.state is core.state
    assert core.state.digest == before.state.digest
    assert len(core.state.jobs) == 2_000
