"""One node and a few together, over a log without Raft: proposing, following, effects, duties, restarts."""

import pytest

from orchestrix_raft.coordinator.beats import BeatLimits
from orchestrix_raft.coordinator.line_reader import LogPage
from orchestrix_raft.coordinator.messages import Forward
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.coordinator.queries import status
from orchestrix_raft.coordinator.settings import CoreLimits
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.session import Assignments, HandlerLine, Observation, Welcome
from orchestrix_raft.duties.health import VerdictAfter
from orchestrix_raft.machine import jobs
from orchestrix_raft.machine.codec import encode_batch, unnumbered
from orchestrix_raft.machine.commands import Command, Enqueue, NodeHealthChanged, NodeStarted
from orchestrix_raft.machine.history import FINISHED
from orchestrix_raft.version import MACHINE_LEVEL
from tests.scenarios.driver import job, key
from tests.unit.coordinator.bench import Cores, Told


def enqueue(*names: str) -> Command:
    return Enqueue(tuple(job(name) for name in names))


def applied_at(told: Told) -> int:
    (outcome,) = told.outcomes
    assert isinstance(outcome, Done), outcome
    return outcome.index


def health_of(cores: Cores) -> dict[str, str]:
    return {node_id: node.health.word for node_id, node in cores["n1"].state.nodes.items()}


def unnumbered_from(cores: Cores, command: Command) -> None:
    """As if a duty (or an old message) had brought a command to the leader."""
    assert cores.cluster.leader_id is not None
    leader = cores[cores.cluster.leader_id]
    leader.receive("n2", Forward((encode_batch(unnumbered(command)),)))


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


# ---- incarnations


def test_a_process_given_up_by_mistake_begins_again_and_its_commands_count_once() -> None:
    cores = Cores(3)
    state = cores["n1"].state
    before = state.nodes["n2"].incarnation
    cores.cut = {"n2"}
    told = cores.submit("n2", enqueue("a"))
    cores.run()
    unnumbered_from(cores, NodeHealthChanged("n2", before, Health.DEAD))
    cores.run()
    cores.cut = set()
    cores.run(2.0)
    assert applied_at(told)
    assert state.nodes["n2"].incarnation > before
    assert state.nodes["n2"].health is Health.ALIVE
    assert state.nodes["n2"].sequence == 1


def test_commands_in_the_entry_that_ends_an_incarnation_are_answered() -> None:
    cores = Cores(3)
    first = cores.submit("n2", enqueue("a"))
    gone: list[bool] = []
    cores["n2"].say_goodbye(lambda: gone.append(True))
    late = cores.submit("n2", enqueue("b"))
    cores.run(3.0)
    assert applied_at(first)
    assert gone == [True]
    assert cores["n1"].state.nodes["n2"].health is Health.STOPPED, "and not announced again"
    assert late.outcomes == []
    cores["n2"].stop("bye")
    assert [type(outcome) for outcome in late.outcomes] == [Unknown]


def test_an_old_announcement_of_this_process_does_not_silence_it() -> None:
    cores = Cores(3)
    old = cores["n2"].identity
    incarnation = cores["n2"].proposer.incarnation
    unnumbered_from(cores, NodeHealthChanged("n2", incarnation, Health.DEAD))
    cores.run(2.0)
    unnumbered_from(cores, NodeStarted("n2", old.boot_id, old.address, old.version))
    cores.run(2.0)
    told = cores.submit("n2", enqueue("a"))
    cores.run(3.0)
    assert applied_at(told)
    assert cores["n1"].state.nodes["n2"].health is Health.ALIVE


class TestRestored:
    """A snapshot takes the place of what a node had applied."""

    def _behind(self, cores: Cores) -> list[Outcome]:
        """n2 has sent a command that is applied, but not here; the leader's checkpoint holds it."""
        told = cores.submit("n2", enqueue("a"))
        n2 = cores["n2"]
        n2.step()
        for peer, message in n2.outbox:
            cores[peer].receive("n2", message)
        n2.outbox.clear()
        cores["n1"].step()
        cores["n1"].step()
        assert key("a") in cores["n1"].state.jobs
        return told.outcomes

    def _install(self, cores: Cores) -> None:
        """What the engine does when a snapshot has arrived."""
        state = cores["n1"].state
        cores["n2"]._origin.restored(state, cores.now)

    def test_what_it_covers_is_unknown(self) -> None:
        cores = Cores(2)
        outcomes = self._behind(cores)
        self._install(cores)
        assert [type(outcome) for outcome in outcomes] == [Unknown]

    def test_a_process_announced_in_it_is_an_origin(self) -> None:
        cores = Cores(2)
        n2 = cores["n2"]
        incarnation = n2.proposer.incarnation
        n2.proposer.fenced()  # as if NodeJoined had never been seen here
        self._install(cores)
        assert n2.proposer.incarnation == incarnation

    @pytest.mark.parametrize("again", [False, True])
    def test_what_was_sent_under_an_incarnation_that_it_ended_is_never_sent_again(self, again: bool) -> None:
        cores = Cores(2)
        outcomes = self._behind(cores)
        n1, n2 = cores["n1"], cores["n2"]
        incarnation = n2.proposer.incarnation
        unnumbered_from(cores, NodeHealthChanged("n2", incarnation, Health.DEAD))
        if again:
            me = n2.identity
            unnumbered_from(cores, NodeStarted("n2", me.boot_id, me.address, me.version, MACHINE_LEVEL))
        n1.step()
        n1.step()
        self._install(cores)
        assert [type(outcome) for outcome in outcomes] == [Unknown]
        assert n2.proposer.backlog == 0
        assert n2._origin.unannounced != again


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


def test_a_read_without_a_leader_is_given_up_in_time() -> None:
    cores = Cores(3)
    cores.cluster.depose()
    told = Told()
    cores["n3"].reads.linearizable(cores.now, told.fresh.append)
    cores.run(4.5)
    assert told.fresh == []
    cores.run(1.0)
    assert told.fresh == [False]


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
