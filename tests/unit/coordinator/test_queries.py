"""Listings and status: pages that miss nothing and repeat nothing while the state moves on."""

import pytest

from orchestrix_raft.coordinator import queries
from orchestrix_raft.coordinator.history import LayeredHistory
from orchestrix_raft.coordinator.port import Page
from orchestrix_raft.coordinator.queries import Listing, attempts, status, view
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.report import Completed, Failed
from orchestrix_raft.machine import state as states
from orchestrix_raft.machine.commands import CancelJobs, Enqueue, NodeHealthChanged, NoteAudit, Report
from tests.scenarios.driver import WALL_START_MS, job, key, name_of
from tests.unit.coordinator.bench import Cores

EVERY = frozenset[JobState]()


def ids(page: Page) -> list[str]:
    return [name_of(one.job.spec.job_id) for one in page.jobs]


def page_of(cores: Cores, limit: int = 10, cursor: bytes = b"", **wanted: object) -> Page:
    listing = listing_of(cores, limit, cursor, **wanted)
    while not listing.slice():
        pass
    return listing.page()


def listing_of(cores: Cores, limit: int, cursor: bytes = b"", **wanted: object) -> Listing:
    given: dict[str, object] = {"states": EVERY, "queue": "", "job_type": "", **wanted}
    return Listing(cores["n1"], limit=limit, cursor=cursor, **given)  # type: ignore[arg-type]


def all_pages(cores: Cores, limit: int, **wanted: object) -> list[str]:
    found: list[str] = []
    cursor = b""
    while True:
        page = page_of(cores, limit, cursor, **wanted)
        found += ids(page)
        assert len(page.jobs) <= limit
        if not page.cursor:
            return found
        assert Listing.check(page.cursor) is None
        cursor = page.cursor


@pytest.fixture(params=["one dict", "many parts"])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cores:
    """Jobs a..f enqueued a second apart; b, d and f cancelled in the order f, b, d."""
    if request.param == "many parts":
        monkeypatch.setattr(states, "FEW", 1)
    cores = Cores()
    for name in "abcdef":
        cores.submit("n1", Enqueue((job(name, queue="mail" if name in "ab" else "default"),)))
        cores.run(1.0)
    for name in "fbd":
        cores.submit("n1", CancelJobs(b"", (key(name),), "why"))
        cores.run(1.0)
    return cores


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7])
def test_pages_show_every_job_once_live_ones_first_newest_first(cores: Cores, limit: int) -> None:
    assert all_pages(cores, limit) == ["e", "c", "a", "d", "b", "f"]


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_filters_hold_on_every_page(cores: Cores, limit: int) -> None:
    assert all_pages(cores, limit, states=frozenset({JobState.CANCELLED})) == ["d", "b", "f"]
    assert all_pages(cores, limit, states=frozenset({JobState.PENDING})) == ["e", "c", "a"]
    assert all_pages(cores, limit, queue="mail") == ["a", "b"]
    assert all_pages(cores, limit, job_type="other") == []
    assert all_pages(cores, limit, states=frozenset({JobState.DEAD})) == []


def test_a_listing_survives_a_checkpoint(cores: Cores) -> None:
    cores.run(6.0)
    cores.checkpoint("n1")
    cores.submit("n1", CancelJobs(b"", (key("a"),), "why"))
    cores.run()
    assert all_pages(cores, 2) == ["e", "c", "a", "d", "b", "f"]


def test_a_job_that_ends_while_a_page_is_made_hides_none_of_the_others(
    cores: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SLICE", 10)
    for number in range(10):
        cores.submit("n1", Enqueue((job(f"x{number}"),)))
    cores.run()
    before = set(all_pages(cores, 100))
    listing = listing_of(cores, 3)
    assert not listing.slice()
    cores.submit("n1", CancelJobs(b"", (key("x9"),), "why"))
    cores.run()
    while not listing.slice():
        pass
    page = listing.page()
    seen = ids(page)
    while page.cursor:
        page = page_of(cores, 3, page.cursor)
        seen += ids(page)
    assert set(seen) == before
    assert len(seen) == len(set(seen))


def test_a_strange_cursor_is_refused() -> None:
    assert Listing.check(b"") is None
    for cursor in (b"L", b"X" + b"\0" * 24, b"F" + b"\0" * 25):
        refused = Listing.check(cursor)
        assert refused is not None
        assert refused.reason == "CURSOR_INVALID"


def test_attempts_are_those_of_the_job_alone_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = Cores()
    cores.worker("n1", "w", capacity=2)
    cores.submit("n1", Enqueue((job("a"), job("a+"))))
    cores.run()
    core = cores["n1"]
    for _ in range(2):
        token = core.state.jobs[key("a")].token
        cores.submit("n1", Report(key("w"), (Failed(key("a"), token, "boom", 0, 1, retry_in_ms=0),)))
        cores.run(0.5)
    other = core.state.jobs[key("a+")].token
    cores.submit("n1", Report(key("w"), (Completed(key("a+"), other, b"1", 0, 1),)))
    cores.run()
    monkeypatch.delattr(LayeredHistory, "scan")  # a walk sorts whatever waits for the next checkpoint
    assert [(one.attempt, one.error) for one in attempts(core, key("a"))] == [(1, "boom"), (2, "boom")]
    assert len(attempts(core, key("a+"))) == 1
    assert attempts(core, key("nobody")) == []
    assert limits.ATTEMPTS_KEPT >= 2


def test_when_a_waiting_job_is_due_is_shown_in_wall_time() -> None:
    cores = Cores()
    due = WALL_START_MS + 90_000
    cores.submit("n1", Enqueue((job("at", run_at_ms=due), job("in", delay_ms=5_000), job("now"))))
    cores.run()
    core = cores["n1"]
    jobs = core.state.jobs
    assert view(core, jobs[key("at")]).scheduled_ms == due
    assert view(core, jobs[key("in")]).scheduled_ms == core.state.wall_ms + 5_000
    assert view(core, jobs[key("now")]).scheduled_ms == 0


# ---- status


def test_status_counts_jobs_queues_and_sessions(cores: Cores) -> None:
    cores.worker("n1", "w")
    cores.run()
    shown = status(cores["n1"], "cluster")
    assert (shown.leader, shown.answered_by, shown.cluster_id) == ("n1", "n1", "cluster")
    assert shown.jobs[JobState.CANCELLED] == 3
    assert shown.jobs[JobState.DISPATCHED] == 1
    default = next(queue for queue in shown.queues if queue.name == "default")
    assert (default.scheduled, default.pending, default.dispatched, default.running) == (0, 1, 1, 0)
    assert [session.name for session in shown.sessions] == ["w"]
    assert shown.problems == []
    assert not shown.stale


def test_status_names_who_leads_who_follows_and_who_does_not_answer() -> None:
    cores = Cores(3)
    cores.run(1.0)
    cores["n1"].disconnected("n3")
    state = cores["n1"].state
    suspect = NodeHealthChanged("n2", state.nodes["n2"].incarnation, Health.SUSPECT)
    cores.submit("n1", suspect)
    cores["n1"].step()
    shown = status(cores["n1"], "cluster")
    assert [(node.node_id, node.role, node.votes, node.reached) for node in shown.nodes] == [
        ("n1", "leader", True, True),
        ("n2", "follower", True, True),
        ("n3", "follower", True, False),
    ]
    assert any("n2" in problem and "suspect" in problem for problem in shown.problems)
    assert any("n3" in problem and "does not answer" in problem for problem in shown.problems)


def test_a_follower_says_at_once_that_a_node_it_has_lost_is_not_reached() -> None:
    cores = Cores(3)
    cores.run(15.0)

    def reached() -> bool:
        return status(cores["n2"], "c").nodes[2].reached

    assert reached()
    cores["n2"].disconnected("n3")
    assert not reached(), "what the leader has heard is older"
    cores.run(25.0)
    assert reached(), "the leader goes on hearing it: only the way from here to there is cut"
    cores["n2"].disconnected("n3")
    cores["n2"].connected("n3", "disk-n3")
    assert reached()


def test_status_tells_learners_from_voters() -> None:
    cores = Cores(3)
    cores["n1"].consensus.change_membership("learner", "n4", "disk-n4", lambda ok, why: None)
    cores.run(1.0)
    cores["n1"].connected("n4", "disk-n4")
    shown = status(cores["n1"], "cluster")
    assert [node.role for node in shown.nodes] == ["leader", "follower", "follower", "learner"]
    assert [node.votes for node in shown.nodes] == [True, True, True, False]
    assert all(node.reached for node in shown.nodes)
    assert "node n4 is a learner: it votes once it has caught up with the log" in shown.problems


def test_a_dead_learner_is_told_from_a_dead_voter() -> None:
    cores = Cores(3)
    cores["n1"].consensus.change_membership("learner", "n4", "disk-n4", lambda ok, why: None)
    cores.run(1.0)
    cores["n1"].disconnected("n3")
    state = cores["n1"].state
    cores.submit("n1", NodeHealthChanged("n3", state.nodes["n3"].incarnation, Health.DEAD))
    cores["n1"].step()
    shown = {node.node_id: node for node in status(cores["n1"], "c").nodes}
    assert (shown["n3"].role, shown["n3"].votes, shown["n3"].health) == ("follower", True, Health.DEAD)
    assert (shown["n4"].role, shown["n4"].votes, shown["n4"].reached) == ("learner", False, False)


def test_a_removed_node_says_so_of_itself() -> None:
    cores = Cores(3)
    cores.run(1.0)
    cores["n1"].consensus.change_membership("remove", "n3", None, lambda ok, why: None)
    cores.run(1.0)
    shown = status(cores["n3"], "c")
    me = next(node for node in shown.nodes if node.node_id == "n3")
    assert (me.role, me.votes) == ("removed", False)
    assert "node n3 was removed from the cluster: it ends in a moment" in shown.problems
    assert not any("learner" in problem for problem in shown.problems)
    assert [node.node_id for node in status(cores["n1"], "c").nodes] == ["n1", "n2"]


def test_without_a_leader_status_says_what_this_node_sees_by_itself() -> None:
    cores = Cores(3)
    cores.run(15.0)
    assert [node.role for node in status(cores["n2"], "c").nodes] == ["leader", "follower", "follower"]
    cores["n2"].disconnected("n1")
    cores["n2"].disconnected("n3")
    shown = status(cores["n2"], "c")
    assert [node.role for node in shown.nodes] == ["leader", "follower", "follower"], "says the leader"
    cores.cluster.depose()
    shown = status(cores["n2"], "c")
    assert (shown.leader, shown.stale) == ("", True)
    assert [(node.role, node.reached, node.health) for node in shown.nodes] == [
        ("follower", False, None),
        ("follower", True, Health.ALIVE),
        ("follower", False, None),
    ]
    assert "1 of 3 nodes reachable" in shown.problems[0]
    assert sum("does not answer" in problem for problem in shown.problems) == 2


def test_a_leader_that_is_not_heard_of_any_more_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = Cores(3)
    monkeypatch.setattr(cores["n2"].consensus, "leader_contact_s", lambda: 2.1)
    cores["n2"].disconnected("n1")
    shown = status(cores["n2"], "c")
    assert shown.leader == ""
    assert (shown.nodes[0].role, shown.nodes[0].reached) == ("follower", False)


def test_status_says_what_is_wrong_without_a_leader_or_without_workers(cores: Cores) -> None:
    assert "3 jobs wait and no worker is connected" in status(cores["n1"], "c").problems
    for name in "ac":
        cores.submit("n1", CancelJobs(b"", (key(name),), "why"))
        cores.run(1.0)
    assert "1 job waits and no worker is connected" in status(cores["n1"], "c").problems
    cores.cluster.depose()
    cores.run()
    shown = status(cores["n1"], "c")
    assert shown.stale
    assert any("no leader" in problem for problem in shown.problems)


def test_a_diverged_replica_is_named(cores: Cores) -> None:
    cores["n1"].replica.digests.divergent["n9"] = 128
    assert any("n9" in problem and "128" in problem for problem in status(cores["n1"], "c").problems)


def test_what_the_log_cannot_do_for_a_peer_is_a_problem(
    cores: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "node n3 lags behind and gets no snapshot: no room"
    monkeypatch.setattr(cores["n1"].consensus, "problems", lambda: [why])
    assert why in status(cores["n1"], "c").problems


def test_the_audit_trail_is_read_from_the_front_or_from_its_end(cores: Cores) -> None:
    for number in range(1, 6):
        cores.submit("n1", NoteAudit("alice", "verify", str(number), "done"))
    cores.run(0.5)

    def targets(after: int, limit: int, latest: bool = False) -> list[tuple[int, str]]:
        found = queries.audit(cores["n1"], after, limit, latest)
        return [(number, record.target) for number, record in found]

    assert targets(0, 2) == [(1, "1"), (2, "2")]
    assert targets(3, 9) == targets(0, 2, latest=True) == [(4, "4"), (5, "5")]
    assert targets(4, 3, latest=True) == [(5, "5")]
    assert targets(5, 3, latest=True) == []
    assert len(targets(0, 99, latest=True)) == 5
