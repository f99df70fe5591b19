"""A process that is given up by mistake, or meets itself in a snapshot, goes on; what it said counts once."""

import pytest

from orchestrix_raft.coordinator.messages import Forward
from orchestrix_raft.coordinator.port import Outcome, Unknown
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.session import Welcome
from orchestrix_raft.machine.commands import NodeHealthChanged, NodeStarted
from orchestrix_raft.version import MACHINE_LEVEL
from tests.scenarios.driver import key
from tests.unit.coordinator.bench import Cores, applied_at, enqueue, health_of, unnumbered_from


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


def test_a_node_given_up_by_mistake_comes_back_with_its_workers_by_itself() -> None:
    cores = Cores(3)
    worker = cores.worker("n2", "w")
    cores.run()
    before = cores["n2"].incarnation
    unnumbered_from(cores, NodeHealthChanged("n2", before, Health.DEAD))
    cores.run(2.0)
    assert cores["n2"].incarnation > before
    assert health_of(cores)["n2"] == "alive"
    assert cores["n1"].state.sessions[key("w")].node_id == "n2"
    assert [type(message) for message in worker.messages] == [Welcome, Welcome]


def test_a_node_given_up_by_mistake_comes_back_also_with_nothing_to_say() -> None:
    cores = Cores(3)
    before = cores["n3"].incarnation
    unnumbered_from(cores, NodeHealthChanged("n3", before, Health.DEAD))
    cores.run(0.5)
    assert cores["n3"].incarnation > before
    assert health_of(cores)["n3"] == "alive"


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


def test_an_announcement_is_sent_again_after_a_second_and_not_before() -> None:
    cores = Cores(3)
    core = cores["n2"]
    core.proposer.fenced()
    core._origin.announce_at = 0.0
    sent = 0
    for _ in range(8):
        core.step()
        sent += sum(isinstance(message, Forward) for _, message in core.outbox)
        core.outbox.clear()
        cores.now += 0.25
    assert sent == 2


def test_an_old_announcement_of_this_process_does_not_silence_it() -> None:
    cores = Cores(3)
    old = cores["n2"].identity
    incarnation = cores["n2"].proposer.incarnation
    unnumbered_from(cores, NodeHealthChanged("n2", incarnation, Health.DEAD))
    cores.run(2.0)
    unnumbered_from(cores, NodeStarted("n2", old.boot_id, old.address, old.version, MACHINE_LEVEL))
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
