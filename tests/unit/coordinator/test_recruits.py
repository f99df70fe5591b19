"""Nodes that want to be added: asked for once, told what keeps them out, found where an operator says."""

from collections.abc import Callable

import msgspec
import pytest

from orchestrix_raft.coordinator.hello import PROTOCOL, Accept, Hello, Member, Reject
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.coordinator.recruits import ASK_AGAIN_S, Recruits, noting
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.machine.commands import NoteAudit

CLUSTER = "c" * 32
N1 = Hello(PROTOCOL, "n1", "d1", "h1:7400", nonce=b"1" * 16, cluster_id=CLUSTER)
N4 = Hello(PROTOCOL, "n4", "d4", "h4:7400", nonce=b"4" * 16, joining=True)
REFUSED = Rejected(Code.FAILED_PRECONDITION, "MEMBER_CHANGE_REFUSED", "this id belongs to another disk")


class Member1:
    """The member whose recruits they are, and the link by which it knows them."""

    def __init__(self) -> None:
        self.me = N1
        self.asked: list[Hello] = []
        self.done: list[Callable[[Outcome], None]] = []
        self.told: list[tuple[str, str]] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.there: Hello | str = N4
        self.recruits = Recruits(lambda: self.me, self._add, self, lambda *timer: self.timers.append(timer))

    def _add(self, hello: Hello, done: Callable[[Outcome], None]) -> None:
        self.asked.append(hello)
        self.done.append(done)

    def put_off(self, node_id: str, reason: str) -> None:
        self.told.append((node_id, reason))

    async def meet(self, address: str) -> Hello | str:
        return self.there

    def ring(self) -> None:
        """The time has come."""
        (timer,), self.timers = self.timers, []
        assert timer[0] == ASK_AGAIN_S
        timer[1]()


def test_a_node_is_asked_for_once_and_stays_connected_until_it_is_listed() -> None:
    member = Member1()
    for _ in range(3):
        assert member.recruits.judge(N4) == Accept(member=False)
    member.done[-1](Done(7, None))
    member.me = msgspec.structs.replace(N1, members=(Member("n4", "d4", "h4:7400"),))
    assert member.recruits.judge(N4) == Accept(member=False)
    assert member.asked == [N4]
    assert not member.told


@pytest.mark.parametrize("outcome", [NotApplied(REFUSED), Unknown(REFUSED.message)])
def test_what_keeps_a_node_out_is_told_to_it_and_asked_again_later(outcome: Outcome) -> None:
    member = Member1()
    member.recruits.judge(N4)
    member.done[-1](outcome)
    assert member.told == [("n4", REFUSED.message)]
    assert len(member.asked) == 1
    member.ring()
    assert len(member.asked) == 2
    member.done[-1](outcome)
    member.recruits.gone(N4)
    member.ring()
    assert len(member.asked) == 2, "it is not there any more"
    member.done[-1](outcome)
    assert len(member.told) == 2


def test_a_node_that_was_added_meanwhile_is_not_asked_for_again() -> None:
    member = Member1()
    member.recruits.judge(N4)
    member.done[-1](Unknown("?"))
    member.me = msgspec.structs.replace(N1, members=(Member("n4", "d4", "h4:7400"),))
    member.ring()
    assert member.asked == [N4]


def test_a_crowd_of_them_is_bounded_and_those_who_leave_make_room() -> None:
    member = Member1()
    crowd = [msgspec.structs.replace(N4, nonce=number.to_bytes(16, "big")) for number in range(1_000)]
    verdicts = [member.recruits.judge(hello) for hello in crowd]
    assert len(member.asked) < 100
    assert verdicts[-1] == Reject("too many nodes want to be added at once: this one has to wait")
    for hello in crowd:
        member.recruits.gone(hello)
    assert member.recruits.judge(crowd[-1]) == Accept(member=False)


async def test_an_operator_names_the_address_where_one_waits() -> None:
    member = Member1()
    assert await member.recruits.fetch("H4:7400") == N4
    assert await member.recruits.fetch("h1:7400") == N1
    member.there = msgspec.structs.replace(N4, cluster_id=CLUSTER)
    assert await member.recruits.fetch("h4:7400") == member.there


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ("cannot connect to h4:8400: Connection refused", "start it there, with an empty data directory and"),
        (msgspec.structs.replace(N4, joining=False), "waits for the first start of another cluster"),
        (msgspec.structs.replace(N4, cluster_id="d" * 32), "belongs to cluster " + "d" * 32),
    ],
)
async def test_why_there_is_no_node_to_add_is_one_line(there: Hello | str, says: str) -> None:
    member = Member1()
    member.there = there
    answer = await member.recruits.fetch("h4:7400")
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.reason) == (Code.FAILED_PRECONDITION, "NO_NODE_TO_ADD")
    assert says in answer.message
    assert "\n" not in answer.message


async def test_what_is_no_address_is_refused_at_once() -> None:
    answer = await Member1().recruits.fetch("nowhere")
    assert isinstance(answer, Rejected)
    assert answer.reason == "ADDRESS_INVALID"


@pytest.mark.parametrize(
    ("outcome", "noted"), [(Done(7, None), 1), (NotApplied(REFUSED), 0), (Unknown("?"), 0)]
)
def test_who_joins_is_noted_under_its_own_name(outcome: Outcome, noted: int) -> None:
    notes: list[NoteAudit] = []
    told: list[Outcome] = []
    noting(N4, notes.append, told.append)(outcome)
    assert told == [outcome]
    assert notes == [NoteAudit("node n4 at h4:7400", "join", "h4:7400", "done: n4 is a member")] * noted
