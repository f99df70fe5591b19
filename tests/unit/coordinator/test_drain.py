"""A node hands over: its leadership, its workers, itself; and what it does when that cannot be."""

import pytest

from orchestrix_raft.consensus.port import Refused
from orchestrix_raft.coordinator.cleanup import LOOK_S, JobOwnershipCleanup
from orchestrix_raft.coordinator.drain import cost_of_leaving, successor, summary
from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.node import Drain, Health
from orchestrix_raft.domain.session import CoordinatorMessage, DrainAsked, Hello, Redirect, Welcome
from orchestrix_raft.domain.session import Refused as StreamRefused
from orchestrix_raft.machine.commands import (
    DetachSession,
    DrainNode,
    DrainSession,
    Enqueue,
    Move,
    MoveSessions,
    UndrainNode,
)
from tests.scenarios.driver import job, key
from tests.unit.coordinator.bench import Cores
from tests.unit.coordinator.hub_bench import Bench


class Worker:
    """A worker process: one stream, or two while it goes from one node to the other."""

    def __init__(self, cores: Cores, name: str, node: str) -> None:
        self.cores = cores
        self.name = name
        self.epoch = 0
        self.heard: list[CoordinatorMessage] = []
        self.open(node)

    def open(self, node: str) -> None:
        said = Hello(key(self.name), self.name, ("default",), 2, (), self.epoch, ())
        self.cores[node].open_session(said, self.heard.append)
        self.cores.run()
        self.epoch = max((m.epoch for m in self.heard if isinstance(m, Welcome)), default=0)

    def told(self) -> list[str]:
        """The nodes it was told to go on at, first of each list."""
        return [m.servers[0].partition(":")[0] for m in self.heard if isinstance(m, Redirect)]

    def obey(self) -> None:
        """Go where it was told last."""
        self.open(self.told()[-1])

    @property
    def refusals(self) -> list[str]:
        return [m.reason for m in self.heard if isinstance(m, StreamRefused)]

    @property
    def node(self) -> str:
        return self.cores["n1"].state.sessions[key(self.name)].node_id


@pytest.fixture
def cores() -> Cores:
    return Cores(3)


def drain(cores: Cores, node: str, leaving: bool = False) -> None:
    known = cores["n1"].state.nodes[node]
    cores.submit("n3", DrainNode(node, known.incarnation, leaving))
    cores.run()


def progress(cores: Cores, node: str) -> Drain:
    found = cores["n3"].state.nodes[node].drain
    assert found is not None
    return found


def test_workers_are_spread_and_what_they_run_goes_with_them(cores: Cores) -> None:
    workers = [Worker(cores, f"w{number}", "n1") for number in range(4)]
    cores.submit("n2", Enqueue(tuple(map(job, "abcdefgh"))))
    cores.run()
    drain(cores, "n1")
    assert sorted(worker.told() for worker in workers) == [["n2"], ["n2"], ["n3"], ["n3"]]
    assert all(worker.heard[-1].servers[1:] for worker in workers if isinstance(worker.heard[-1], Redirect))
    for worker in workers:
        worker.obey()
    assert sorted(worker.node for worker in workers) == ["n2", "n2", "n3", "n3"]
    done = progress(cores, "n1")
    assert (done.sessions, done.jobs, done.asked) == (4, 8, 4)
    assert (done.acknowledged, done.acknowledged_jobs, done.orphaned) == (4, 8, 0)
    jobs = [cores["n2"].state.jobs[key(name)] for name in "abcdefgh"]
    assert {(one.attempt, one.losses, one.failures) for one in jobs} == {(1, 0, 0)}
    assert {one.owner for one in jobs} == {"n2", "n3"}
    assert summary(done) == ("4 of 4 workers handed over, 4 acknowledged with 8 of 8 jobs, 0 orphaned with 0")


def test_a_drained_node_gives_its_leadership_away_serves_clients_and_takes_no_workers(cores: Cores) -> None:
    drain(cores, "n1")
    assert not cores["n1"].leading
    told = cores.submit("n1", Enqueue((job("a"),)))
    cores.run()
    assert told.outcomes
    late = Worker(cores, "late", "n1")
    assert late.refusals == ["NODE_STOPPING"]
    known = cores["n1"].state.nodes["n1"]
    cores.submit("n2", UndrainNode("n1", known.incarnation))
    cores.run()
    assert Worker(cores, "again", "n1").node == "n1"
    assert not cores["n1"].drain.over


def test_leadership_goes_to_nobody_who_drains_himself(cores: Cores) -> None:
    drain(cores, "n3")  # the twins prefer it
    drain(cores, "n1")
    assert cores["n2"].leading
    drain(cores, "n2")
    cores.run(5.0)
    assert cores["n2"].leading, "there is nobody else"


def test_a_worker_that_does_not_listen_is_told_three_times_and_left_to_its_deadline(cores: Cores) -> None:
    deaf = Worker(cores, "deaf", "n1")
    drain(cores, "n1")
    cores.run(14.5)
    assert sorted(deaf.told()[:2]) == ["n2", "n3"]
    assert len(deaf.told()) == 3
    assert deaf.refusals == []
    cores.run(1.0)
    assert deaf.refusals == ["NODE_STOPPING"]
    assert deaf.node == ""
    assert (progress(cores, "n1").asked, progress(cores, "n1").orphaned) == (1, 1)
    deaf.open("n2")
    assert deaf.node == "n2", "it may still come back in time"


def test_a_drain_that_is_asked_for_again_begins_anew(cores: Cores) -> None:
    worker = Worker(cores, "w", "n2")
    for times in (1, 2):
        drain(cores, "n2")
        cores.run(0.25)
        assert len(worker.told()) == times
        cores.submit("n1", UndrainNode("n2", cores["n1"].state.nodes["n2"].incarnation))
        cores.run()


def test_a_target_that_dies_is_replaced_by_another(cores: Cores) -> None:
    worker = Worker(cores, "w", "n1")
    drain(cores, "n1")
    (first,) = worker.told()
    other = "n2" if first == "n3" else "n3"
    cores["n1"].disconnected(first)
    cores.run(0.25)
    assert worker.told() == [first, other]


def test_what_cannot_be_committed_in_time_is_closed(cores: Cores) -> None:
    worker = Worker(cores, "w", "n1")
    drain(cores, "n2")
    drain(cores, "n3")
    drain(cores, "n1")
    cores.run(29.0)
    assert worker.refusals == [], "there is nobody to go to, and it is not in the way"
    cores.run(1.5)
    assert worker.refusals == ["NODE_STOPPING"]


def test_undone_in_the_middle_workers_that_are_still_there_get_jobs_again(cores: Cores) -> None:
    worker = Worker(cores, "w", "n1")
    drain(cores, "n1")
    cores.submit("n2", Enqueue((job("a"),)))
    cores.run()
    assert not cores["n1"].state.jobs[key("a")].token
    cores.submit("n2", UndrainNode("n1", cores["n1"].state.nodes["n1"].incarnation))
    cores.run(20.0)
    assert cores["n1"].state.jobs[key("a")].token
    assert worker.node == "n1"
    assert len(worker.told()) == 1


# ---- the end of a process


def test_a_process_that_ends_hands_over_first_and_then_says_goodbye(cores: Cores) -> None:
    worker = Worker(cores, "w", "n1")
    core = cores["n1"]
    core.drain.leave(core.now)
    cores.run(1.0)
    assert not core.leading
    assert (core.drain.over, core.drain.ending) == (False, False)
    worker.obey()
    cores.run()
    assert (core.drain.over, core.drain.said_goodbye) == (True, True)
    assert cores["n2"].state.nodes["n1"].health is Health.STOPPED


@pytest.mark.parametrize("others_drain", [True, False])
def test_with_nobody_to_go_to_it_ends_at_once(others_drain: bool) -> None:
    cores = Cores(3 if others_drain else 1)
    worker = Worker(cores, "w", "n1")
    for name in list(cores.cores)[1:]:
        drain(cores, name)
    core = cores["n1"]
    core.drain.leave(core.now)
    cores.run(0.25)
    assert worker.refusals == ["NODE_STOPPING"]
    assert core.drain.over
    assert core.state.nodes["n1"].health is Health.STOPPED


def test_what_is_under_way_is_not_asked_for_again(cores: Cores) -> None:
    cores.cluster.hold_commits = True
    core = cores["n2"]
    core.drain.leave(core.now)
    cores.run(1.0)
    assert core.proposer.backlog == 1


def test_a_process_out_of_contact_does_not_wait(cores: Cores) -> None:
    Worker(cores, "w", "n2")
    core = cores["n2"]
    cores.cluster.leader_id = None
    core.drain.leave(core.now)
    core.step()
    assert core.drain.over
    assert not core.drain.said_goodbye


def test_entries_are_held_back_while_somebody_takes_over_and_no_longer(
    cores: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = cores["n1"]
    asked: list[str | None] = []

    def behind(target: str | None = None) -> Refused:
        asked.append(target)
        return Refused("it does not have the last entry of the log yet")

    monkeypatch.setattr(core.consensus, "transfer", behind)
    core.drain.leave(core.now)
    core.step()
    told = cores.submit("n1", Enqueue((job("a"),)))
    cores.run(0.5)
    assert told.outcomes == []
    assert len(asked) > 1
    assert set(asked) == {"n3"}
    cores.run(0.75)
    assert len(told.outcomes) == 1, "nobody took over: the work goes on"
    monkeypatch.undo()
    cores.run(1.0)
    assert not core.leading


def test_one_that_was_asked_to_take_over_has_its_election(
    cores: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = cores["n1"]
    asked: list[str | None] = []

    def asks(target: str | None = None) -> str:
        asked.append(target)
        return target or ""

    monkeypatch.setattr(core.consensus, "transfer", asks)
    core.drain.leave(core.now)
    cores.run(0.75)
    assert asked == ["n3"]


# ---- what it would cost


def test_what_cannot_be_handed_over_is_said(cores: Cores) -> None:
    core = cores["n2"]
    assert cost_of_leaving(core) == cost_of_leaving(core, "n1") == ""
    core.disconnected("n3")
    assert cost_of_leaving(core, "n1") == (
        "without node n1 there is no majority: of 3 voting nodes these would be left: n2; "
        "nothing new is accepted then"
    )
    assert cost_of_leaving(core, "n3") == "", "it is away already"
    core.connected("n3", "disk-n3")
    drain(cores, "n1")
    assert cost_of_leaving(core, "n3") == ""
    drain(cores, "n2")
    assert cost_of_leaving(core, "n3") == "no other node than n3 takes sessions: undrain one, or start one"
    assert "n1 is the whole cluster" in cost_of_leaving(Cores(1)["n1"])


# ---- told by the leader, told to drain, forgotten


def test_half_of_the_voters_are_no_majority() -> None:
    cores = Cores(4)
    assert cost_of_leaving(cores["n1"]) == ""
    cores["n1"].disconnected("n4")
    assert "of 4 voting nodes these would be left: n2, n3;" in cost_of_leaving(cores["n1"])


def test_rebalancing_tells_a_worker_once(cores: Cores) -> None:
    worker = Worker(cores, "w", "n2")
    cores.submit("n1", MoveSessions((Move(key("w"), 1, "n3"),)))
    cores.run(10.0)
    assert worker.told() == ["n3"]
    worker.obey()
    assert worker.node == "n3"


def test_a_worker_is_told_to_drain_by_its_node_now_and_after_every_welcome(cores: Cores) -> None:
    worker = Worker(cores, "w", "n2")
    cores.submit("n1", DrainSession(key("w")))
    cores.run()
    assert worker.heard[-1] == DrainAsked()
    worker.open("n3")
    assert worker.heard[-1] == DrainAsked()
    assert worker.heard.count(DrainAsked()) == 2


def test_a_session_without_a_stream_is_found_at_the_second_look() -> None:
    bench = Bench()
    bench.worker("served")
    bench.worker("forgotten")
    del bench.hub.table.streams[key("forgotten")]
    cleanup = JobOwnershipCleanup(bench.hub.table)
    for now in (0.0, LOOK_S - 1.0):
        cleanup.step(now)
        assert bench.waiting == [], "a detachment may be under way"
    cleanup.step(LOOK_S)
    assert [command for command, _ in bench.waiting] == [DetachSession(key("forgotten"), 1)]
    bench.commit()
    cleanup.step(2 * LOOK_S)
    assert bench.waiting == []


# ---- who leads next


def test_leadership_is_not_asked_to_go_where_it_would_not_stay(cores: Cores) -> None:
    leader = cores["n1"]
    assert successor(leader, "") == "n3"
    assert successor(leader, "n2") == "n2"
    drain(cores, "n3")
    assert successor(leader, "") == "n2"
    refused = successor(leader, "n3")
    assert isinstance(refused, Rejected)
    assert refused.message.startswith(
        "node n3 is draining and would give leadership away at once: undrain it"
    )
    drain(cores, "n2")
    refused = successor(leader, "")
    assert isinstance(refused, Rejected)
    assert refused.reason == "TRANSFER_REFUSED"
    assert refused.message == "every other voter that answers is draining (n2, n3): undrain one first"


def test_who_does_not_lead_leaves_the_answer_to_consensus(cores: Cores) -> None:
    assert successor(cores["n2"], "") == ""
    assert successor(cores["n2"], "n9") == "n9"
