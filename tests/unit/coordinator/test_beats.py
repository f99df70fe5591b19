"""Evidence of silence: what counts against a node, and from when on."""

from orchestrix_raft.coordinator.beats import BeatLimits, Beats
from orchestrix_raft.coordinator.messages import BeatSummary, NodeBeat
from orchestrix_raft.domain.node import Health
from orchestrix_raft.duties.health import VerdictAfter, unhealthy_nodes
from orchestrix_raft.machine.commands import NodeHealthChanged
from tests.scenarios.driver import Driver

LIMITS = BeatLimits(10.0, verdict=VerdictAfter(20_000, 30_000))
BEAT = NodeBeat(5, 1_000, 42, 3, 7, 0, b"")


class Bench:
    """The leader n0 of a cluster with n1 and n2, looking every quarter of a second as a core does."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.driver = Driver()
        self.driver.start_node("n1")
        self.driver.start_node("n2")
        self.beats = Beats("n0", LIMITS)

    def look(self, seconds: float, *talking: str) -> list[tuple[str, Health]]:
        """Time passes; who talks is heard every 10 s.  The verdicts, which are committed."""
        verdicts = []
        for quarter in range(int(seconds * 4)):
            self.now += 0.25
            if quarter % 40 == 0:
                for node_id in talking:
                    self.beats.heard(node_id, BEAT, self.now)
            verdicts += self.verdicts()
        return verdicts

    def verdicts(self) -> list[tuple[str, Health]]:
        state = self.driver.machine.state
        commands = unhealthy_nodes(state, self.beats.silence_ms(state.nodes, self.now), LIMITS.verdict)
        for command in commands:
            self.driver.do(command)
        return [(command.node_id, command.health) for command in commands]


def test_a_silent_node_is_suspect_after_20_s_and_dead_after_30_s() -> None:
    bench = Bench()
    bench.beats.lead(bench.now)
    assert bench.look(19.5, "n1") == []
    assert bench.look(1.0, "n1") == [("n2", Health.SUSPECT)]
    assert bench.look(9.0, "n1") == []
    assert bench.look(1.0, "n1") == [("n2", Health.DEAD)]
    assert bench.look(60.0, "n1") == []


def test_a_new_leader_gives_each_node_a_full_interval() -> None:
    bench = Bench()
    bench.beats.heard("n1", BEAT, bench.now)
    bench.now += 3_600.0
    bench.beats.lead(bench.now)
    assert bench.look(19.5) == []
    assert bench.look(11.0, "n1", "n2") == []


def test_a_new_leader_does_not_call_a_suspect_alive_before_it_has_heard_it() -> None:
    bench = Bench()
    node = bench.driver.machine.state.nodes["n2"]
    bench.driver.do(NodeHealthChanged("n2", node.incarnation, Health.SUSPECT))
    bench.beats.lead(bench.now)
    assert bench.look(29.5, "n1") == []
    assert bench.look(1.0, "n1") == [("n2", Health.DEAD)]
    bench = Bench()
    node = bench.driver.machine.state.nodes["n2"]
    bench.driver.do(NodeHealthChanged("n2", node.incarnation, Health.SUSPECT))
    bench.beats.lead(bench.now)
    assert bench.look(5.0, "n1", "n2") == [("n2", Health.ALIVE)]


def test_a_leader_that_stood_still_calls_nobody_dead_for_it() -> None:
    bench = Bench()
    bench.beats.lead(bench.now)
    assert bench.look(15.0, "n1", "n2") == []
    bench.now += 100.0
    assert bench.verdicts() == []
    assert bench.look(19.0) == []
    assert bench.look(12.0, "n1") == [("n2", Health.SUSPECT), ("n2", Health.DEAD)]


def test_a_process_that_has_just_begun_is_not_silent_yet() -> None:
    bench = Bench()
    bench.beats.lead(bench.now)
    bench.look(19.0, "n1")
    bench.beats.joined("n2", bench.now)
    assert bench.look(19.0, "n1") == []
    assert bench.look(2.0, "n1") == [("n2", Health.SUSPECT)]


def test_what_was_heard_of_a_node_that_left_is_forgotten() -> None:
    bench = Bench()
    for node_id in ("n1", "n2"):
        bench.beats.heard(node_id, BEAT, bench.now)
    bench.beats.keep({"n2"})
    assert bench.beats.of("n1") is None
    assert bench.beats.of("n2") is not None


def test_the_leader_does_not_judge_itself() -> None:
    bench = Bench()
    bench.beats.lead(bench.now)
    bench.look(60.0)
    assert bench.driver.machine.state.nodes["n0"].health is Health.ALIVE


def test_a_suspect_that_leads_knows_that_it_lives() -> None:
    bench = Bench()
    bench.driver.do(
        NodeHealthChanged("n0", bench.driver.machine.state.nodes["n0"].incarnation, Health.SUSPECT)
    )
    bench.beats.lead(bench.now)
    assert bench.look(1.0) == [("n0", Health.ALIVE)]


def test_a_follower_knows_the_others_from_the_leaders_summary() -> None:
    leader, follower = Beats("n0", LIMITS), Beats("n1", LIMITS)
    leader.heard("n1", BEAT, 100.0)
    leader.heard("n2", BEAT, 103.0)
    summary = leader.summary(105.0)
    assert summary == BeatSummary((("n1", 42, 7, 3, 5_000), ("n2", 42, 7, 3, 2_000)))
    follower.summarised(summary, 900.0)
    assert follower.of("n1") is None, "of itself it knows better"
    heard = follower.of("n2")
    assert heard is not None
    assert (heard.applied_index, heard.owned_jobs, heard.sessions, heard.at) == (42, 7, 3, 898.0)
