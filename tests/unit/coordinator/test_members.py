"""Changes of members: asked for at any node, made by the leader, one at a time, answered once."""

from orchestrix_raft.consensus.configuration import Configuration, Member, Placed, Standing
from orchestrix_raft.coordinator.members import MemberChanges, removes
from orchestrix_raft.coordinator.messages import MemberAnswer, MemberChange
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.coordinator.settings import Identity
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.machine.commands import Enqueue
from tests.scenarios.driver import job, key
from tests.unit.coordinator.bench import Cores


def ask(cores: Cores, at: str, change: str, node_id: str, disk_id: str = "") -> list[Outcome]:
    answers: list[Outcome] = []
    cores[at].members.ask(change, node_id, disk_id, cores.now, answers.append)
    assert not answers
    cores.run()
    return answers


def refusal(answers: list[Outcome]) -> tuple[str, str]:
    (answer,) = answers
    assert isinstance(answer, NotApplied)
    assert "\n" not in answer.rejected.message
    return answer.rejected.reason, answer.rejected.message


def members(cores: Cores, at: str = "n1") -> set[str]:
    configuration = cores[at].consensus.settled.configuration
    assert configuration is not None
    return set(configuration.members)


def test_a_node_is_added_through_any_member() -> None:
    cores = Cores(3)
    for at, name in (("n1", "n4"), ("n2", "n5")):
        (answer,) = ask(cores, at, "add", name, f"disk-{name}")
        assert isinstance(answer, Done)
        assert answer.index > 1
    assert members(cores, "n3") == {"n1", "n2", "n3", "n4", "n5"}


def test_adding_a_member_again_is_done_and_its_id_on_another_disk_is_refused() -> None:
    cores = Cores(3)
    assert isinstance(ask(cores, "n2", "add", "n3", "disk-n3")[0], Done)
    reason, text = refusal(ask(cores, "n2", "add", "n3", "disk-other"))
    assert reason == "MEMBER_CHANGE_REFUSED"
    assert "another disk" in text


def test_names_that_cannot_stand_in_the_log_are_refused_and_stop_nobody() -> None:
    cores = Cores(1)
    for name, disk in (("a b", "d"), ("n4", "d\n"), ("x" * 300, "d")):
        assert "is no name" in refusal(ask(cores, "n1", "add", name, disk))[1]
    assert isinstance(ask(cores, "n1", "add", "n4", "disk-n4")[0], Done)


def test_several_requests_at_once_are_made_one_after_the_other() -> None:
    cores = Cores(5)
    answers: list[Outcome] = []
    for at, name in (("n1", "n5"), ("n2", "n4"), ("n3", "n2")):
        cores[at].members.ask("remove", name, "", cores.now, answers.append)
    cores.run()
    assert len(answers) == 3
    assert all(isinstance(answer, Done) for answer in answers)
    assert members(cores) == {"n1", "n3"}


def test_only_the_node_that_was_asked_answers_and_once() -> None:
    cores = Cores(3)
    answers: list[Outcome] = []
    cores.cluster.hold_commits = True
    cores["n2"].members.ask("remove", "n3", "", cores.now, answers.append)
    cores.run()
    for peer, count in (("n3", 0), ("n1", 1), ("n1", 1)):
        cores["n2"].members.answered(peer, MemberAnswer(1, 9, None))
        assert len(answers) == count


def test_what_would_stop_the_cluster_is_refused_with_the_reason() -> None:
    cores = Cores(1)
    assert refusal(ask(cores, "n1", "remove", "n9"))[0] == "NOT_A_MEMBER"
    assert "the members are n1" in refusal(ask(cores, "n1", "remove", "n9"))[1]
    assert "last voter" in refusal(ask(cores, "n1", "remove", "n1"))[1]


def test_a_removed_node_loses_its_sessions_and_its_place_and_knows_that_it_is_over() -> None:
    cores = Cores(3)
    cores.worker("n3", "w1")
    cores.submit("n3", Enqueue((job("a"),)))
    cores.run()
    assert isinstance(ask(cores, "n2", "remove", "n3")[0], Done)
    cores.run(1.0)
    state = cores["n1"].state
    assert set(state.nodes) == {"n1", "n2"}
    assert state.sessions[key("w1")].node_id == ""
    assert state.jobs[key("a")].state is not JobState.PENDING  # it has the session's deadline to go on
    assert cores["n3"].removed_index == cores["n3"].consensus.settled.index
    assert cores["n3"].proposer.incarnation == 0
    before = state.index
    cores.run(2.0)
    assert state.index == before, "it announces itself again"
    assert [cores[name].removed_index for name in ("n1", "n2")] == [0, 0]


def test_the_next_leader_removes_what_the_last_one_could_not() -> None:
    cores = Cores(3)
    cores.cluster.hold_commits = True
    answers = ask(cores, "n1", "remove", "n3")
    assert not answers
    cores.cluster.elect("n2")
    cores.cluster.hold_commits = False
    cores.run(2.0)
    assert isinstance(answers[0], Done)
    assert set(cores["n1"].state.nodes) == {"n1", "n2"}


def test_a_removal_that_was_made_by_a_lost_request_is_answered_as_done() -> None:
    """The answer to the first sending is lost; the second must not say that there is no such member."""
    cores = Cores(3)
    cores.cut = {"n2"}
    answers = ask(cores, "n2", "remove", "n3")
    cores["n1"].receive("n2", MemberChange(1, "remove", "n3", "", False))
    cores.run(0.5)
    assert members(cores) == {"n1", "n2"}
    cores.cut = set()
    cores.run(1.5)
    assert isinstance(answers[0], Done)


def test_without_a_leader_the_request_is_withdrawn_and_without_an_answer_its_outcome_is_unknown() -> None:
    cores = Cores(3)
    cores.cut = {"n2"}
    lost = ask(cores, "n2", "remove", "n3")
    cores.run(14.5)
    assert not lost
    cores.run(1.0)
    assert isinstance(lost[0], Unknown)
    cores.cluster.depose()
    withdrawn = ask(cores, "n2", "remove", "n3")
    cores.run(4.5)
    assert not withdrawn
    cores.run(1.0)
    assert refusal(withdrawn)[0] == "NO_LEADER"


def test_everybody_is_answered_when_the_node_stops() -> None:
    cores = Cores(3)
    cores.cluster.hold_commits = True
    proposed = ask(cores, "n1", "remove", "n3")
    waiting: list[Outcome] = []
    cores["n1"].members.ask("remove", "n2", "", cores.now, waiting.append)
    cores["n1"].stop("the node stops")
    assert isinstance(proposed[0], Unknown)
    assert refusal(waiting)[0] == "NODE_STOPPING"


def test_a_node_serves_a_bounded_number_of_requests_of_a_peer() -> None:
    cores = Cores(2)
    sent: list[tuple[str, object]] = []
    changes = MemberChanges(cores["n1"].consensus, cores["n1"].members._bounds, lambda *out: sent.append(out))
    cores.cluster.hold_commits = True
    cores["n1"].consensus.change_membership("remove", "n2", None, lambda ok, why: None)
    for number in range(1_000):
        changes.asked("n2", MemberChange(number, "remove", "n9", "", False), cores.now)
    changes.pump(cores.now, True)
    assert not sent
    cores.cluster.hold_commits = False
    cores.run()
    changes.pump(cores.now, True)
    assert 0 < len(sent) < 100
    assert all(isinstance(message, MemberAnswer) and message.refusal for _, message in sent)


def test_only_a_configuration_from_after_a_node_was_added_can_have_removed_it() -> None:
    def placed(index: int, *names: str) -> Placed:
        return Placed(index, Configuration({name: Member(Standing.VOTER, f"disk-{name}") for name in names}))

    me = Identity("n4", "n4:7400", "1", b"b" * 16, disk_id="disk-n4", joined_index=9)
    assert not removes(Placed(0, None), me)
    assert not removes(placed(5, "n1", "n2"), me), "it reads the log from before it was added"
    assert not removes(placed(9, "n1", "n4"), me)
    assert removes(placed(10, "n1", "n2"), me)
    assert removes(Placed(10, Configuration({"n4": Member(Standing.VOTER, "another")})), me)
