"""The first start: together or not at all, once, whatever is lost or late."""

import dataclasses
import itertools
import random

import msgspec
import pytest

from orchestrix_raft.coordinator.forming import (
    Formed,
    Forming,
    Founding,
    Promise,
    Refused,
    Waiting,
    found,
    promised_by,
)
from orchestrix_raft.coordinator.hello import PROTOCOL, Hello, Member
from orchestrix_raft.storage.memory import MemoryDisk

PEERS = ("h1:1", "h2:1", "h3:1")
N1, N2, N3 = (Member(f"n{i}", f"d{i}", f"h{i}:1") for i in (1, 2, 3))


def hello(member: Member, promised: str = "", peers: tuple[str, ...] = PEERS) -> Hello:
    nonce = member.disk_id.encode().ljust(16, b"-")
    return Hello(
        PROTOCOL, member.node_id, member.disk_id, member.address, nonce=nonce, promised=promised, peers=peers
    )


def cluster_hello(member: Member, cluster_id: str, *members: Member) -> Hello:
    return msgspec.structs.replace(hello(member), cluster_id=cluster_id, members=members)


def waiting(forming: Forming) -> Waiting:
    assert isinstance(forming.result, Waiting)
    assert "\n" not in forming.result.why
    return forming.result


def refused(forming: Forming) -> str:
    assert isinstance(forming.result, Refused)
    assert "\n" not in forming.result.reason
    return forming.result.reason


# ---- one after the other ---------------------------------------------------------------------------------


def test_a_single_node_forms_at_once() -> None:
    formed = Forming(N1, ()).result
    assert formed == Formed((N1,), found([N1]).cluster_id, founder=True)


def test_three_nodes_promise_when_all_were_seen_and_form_when_all_have_promised() -> None:
    forming = Forming(N1, PEERS)
    assert waiting(forming).missing == ("h2:1", "h3:1")
    forming.saw(hello(N2))
    assert waiting(forming).missing == ("h3:1",)
    forming.saw(hello(N3))
    promise = forming.result
    assert promise == Promise(found([N1, N2, N3]))
    forming.promised(promise.founding)
    assert forming.promised_id == promise.founding.cluster_id
    forming.saw(hello(N2, forming.promised_id))
    assert waiting(forming).missing == ("h3:1",)
    forming.saw(hello(N3, forming.promised_id))
    assert forming.result == Formed((N1, N2, N3), forming.promised_id, founder=True)


def test_the_id_is_a_hash_of_the_sorted_list() -> None:
    ids = {found(order).cluster_id for order in itertools.permutations([N1, N2, N3])}
    assert len(ids) == 1
    assert len(ids.pop()) == 32
    assert found([N1, N2]).cluster_id != found([N1, N2, N3]).cluster_id


def test_a_hello_from_before_the_promise_that_arrives_late_changes_nothing() -> None:
    """Hellos of two connections may overtake each other; a promise is never taken back."""
    forming = Forming(N1, PEERS, promised=found([N1, N2, N3]))
    for founder in (N2, N3):
        forming.saw(hello(founder, forming.promised_id))
        forming.saw(hello(founder))
    assert isinstance(forming.result, Formed)


def test_different_lists_give_one_line_that_names_both_and_heal() -> None:
    forming = Forming(N1, PEERS)
    forming.saw(hello(N2, peers=("h1:1", "h2:1")))
    forming.saw(hello(N3))
    line = waiting(forming).why
    assert "h1:1,h2:1,h3:1" in line
    assert "n2 at h2:1 has h1:1,h2:1" in line
    forming.saw(hello(N2))
    assert isinstance(forming.result, Promise)


def test_an_unlisted_node_that_lists_this_one_is_reported_while_waiting() -> None:
    forming = Forming(N1, PEERS)
    forming.saw(hello(Member("n9", "d9", "h9:1"), peers=("h1:1", "h9:1")))
    assert "n9 at h9:1 has h1:1,h9:1" in waiting(forming).why
    forming.saw(hello(N2))
    forming.saw(hello(N3))
    assert isinstance(forming.result, Promise)


@pytest.mark.parametrize(
    ("twin", "word"),
    [
        (Member("n1", "d2", "h2:1"), "call themselves n1"),
        (Member("n2", "d1", "h2:1"), "copies of one data"),
    ],
)
def test_twins_do_not_form(twin: Member, word: str) -> None:
    forming = Forming(N1, PEERS)
    forming.saw(hello(twin))
    forming.saw(hello(N3))
    assert word in waiting(forming).why


def test_a_node_that_went_away_before_the_promise_is_waited_for_again() -> None:
    forming = Forming(N1, PEERS)
    forming.saw(hello(N2))
    forming.lost("h2:1")
    forming.saw(hello(N3))
    assert waiting(forming).missing == ("h2:1",)


def test_a_founder_that_crashed_before_the_end_adopts_what_it_promised() -> None:
    founding = found([N1, N2, N3])
    forming = Forming(N2, PEERS, promised=founding)
    forming.saw(cluster_hello(N1, founding.cluster_id, N1, N2, N3, Member("n4", "d4", "h4:1")))
    assert forming.result == Formed(founding.members, founding.cluster_id, founder=True)


def test_an_empty_node_whose_peers_have_a_cluster_without_it_is_refused() -> None:
    forming = Forming(N2, PEERS)
    forming.saw(cluster_hello(N1, "c" * 32, N1, N3))
    assert "started with --join" in refused(forming)


def test_a_member_that_lost_its_disk_is_told_so() -> None:
    forming = Forming(Member("n2", "fresh", "h2:1"), PEERS)
    forming.saw(cluster_hello(N1, "c" * 32, N1, N2, N3))
    assert "another disk" in refused(forming)


def test_a_cluster_that_names_this_very_disk_admits_it_but_not_as_founder() -> None:
    for joining in (False, True):
        forming = Forming(N2, () if joining else PEERS, join="h1:1" if joining else "")
        forming.saw(cluster_hello(N1, "c" * 32, N1, N2))
        assert forming.result == Formed((N1, N2), "c" * 32, founder=False)


def test_a_joining_node_founds_nothing_and_waits_to_be_named() -> None:
    forming = Forming(N2, (), join="h1:1")
    assert waiting(forming).why == "waits for the cluster of the node at h1:1, to add this node"
    forming.saw(cluster_hello(N1, "c" * 32, N1))
    forming.saw(hello(N3, peers=("h2:1", "h3:1")))
    assert waiting(forming).why == (
        f"waits for cluster {'c' * 32}, which node n1 at h1:1 belongs to, to add this node"
    )
    forming.lost("h1:1")
    assert "the node at h1:1" in waiting(forming).why


def test_a_node_that_was_added_knows_since_when() -> None:
    forming = Forming(N2, (), join="h1:1")
    added = msgspec.structs.replace(cluster_hello(N3, "c" * 32, N2, N3), members_index=17)
    forming.saw(added)
    assert forming.result == Formed((N2, N3), "c" * 32, founder=False, joined_index=17)


def test_what_was_promised_cannot_join() -> None:
    assert "empty data directory" in refused(Forming(N2, (), found([N1, N2, N3]), join="h1:1"))


def test_a_promise_of_another_first_start_keeps_a_node_out() -> None:
    forming = Forming(N2, PEERS, promised=found([N1, N2, N3]))
    forming.saw(cluster_hello(N1, "c" * 32, N1, N2, N3))
    assert "a new cluster starts with" in refused(forming)


def test_changed_peers_after_a_promise_are_refused_with_both_lists() -> None:
    line = refused(Forming(N2, ("h1:1", "h2:1"), promised=found([N1, N2, N3])))
    assert "h1:1,h2:1,h3:1" in line
    assert "now it has h1:1,h2:1:" in line
    assert "now it has none" in refused(Forming(N2, (), promised=found([N1, N2, N3])))


def test_a_founder_that_lost_its_disk_after_promising_is_named() -> None:
    forming = Forming(N1, PEERS, promised=found([N1, N2, N3]))
    forming.saw(hello(Member("n2", "fresh", "h2:1")))
    assert "n2 at h2:1" in waiting(forming).why


def test_a_disk_promises_once() -> None:
    forming = Forming(N1, PEERS, promised=found([N1, N2, N3]))
    with pytest.raises(ValueError, match="once"):
        forming.promised(found([N1, N2]))


def test_a_promise_survives_on_the_disks_identity() -> None:
    disk = MemoryDisk()
    assert promised_by(disk.identity) is None
    founding = found([N3, N1, N2])
    disk.set_bootstrap(founding.stored)
    assert promised_by(disk.identity) == founding


# ---- any order, any crash --------------------------------------------------------------------------------


@dataclasses.dataclass
class Place:
    """A node in the model: what its disk holds, and what its process knows."""

    number: int
    disks: int = 0
    promise: Founding | None = None
    formed: Formed | None = None
    forming: Forming | None = None  # None: not running

    @property
    def member(self) -> Member:
        return Member(f"n{self.number}", f"d{self.number}.{self.disks}", f"h{self.number}:1")

    def hello(self) -> Hello:
        if self.formed is not None:
            return cluster_hello(self.member, self.formed.cluster_id, *self.formed.members)
        return hello(self.member, self.promise.cluster_id if self.promise else "")

    def start(self) -> None:
        self.forming = None if self.formed else Forming(self.member, PEERS, promised=self.promise)

    def crash(self) -> None:
        self.forming = None

    def wipe(self) -> None:
        self.disks += 1
        self.promise = self.formed = self.forming = None

    def lose(self, other: "Place") -> None:
        if self.forming is not None:
            self.forming.lost(other.member.address)

    def work(self, formed_lists: list[tuple[Member, Formed]]) -> None:
        """Do what `result` asks, durably."""
        if self.forming is None:
            return
        result = self.forming.result
        if isinstance(result, Promise):
            assert self.promise is None, "a disk promises once"
            self.promise = result.founding
            self.forming.promised(result.founding)
        elif isinstance(result, Formed):
            assert self.formed is None, "a node never forms twice"
            self.formed, self.forming = result, None
            formed_lists.append((self.member, result))


Steps = list[tuple[str, int, int]]

LIKELY = {"tell": 24, "send": 3, "deliver": 5, "work": 14, "start": 2, "crash": 1, "lost": 1, "wipe": 1}
"""What happens how often.  tell: a Hello that arrives at once; send and deliver: one that arrives late."""


def draw_steps(seed: int) -> Steps:
    chance = random.Random(seed)
    kinds = chance.choices(list(LIKELY), weights=list(LIKELY.values()), k=100)
    return [(kind, chance.randrange(30), chance.randrange(3)) for kind in kinds]


def run(steps: Steps, wipes: bool) -> tuple[list[Place], list[tuple[Member, Formed]]]:
    places = [Place(number) for number in (1, 2, 3)]
    post: list[tuple[Place, Hello]] = []  # Hellos under way, delivered late, repeatedly or never
    formed_lists: list[tuple[Member, Formed]] = []
    for place in places:
        place.start()
    for what, number, b in steps:
        a = number % 3
        if what in ("tell", "send"):
            post.append((places[b], places[a].hello()))
        if what in ("tell", "deliver") and post:
            target, greeting = post[-1 if what == "tell" else number % len(post)]
            if target.forming is not None and greeting.address != target.member.address:
                target.forming.saw(greeting)
        elif what == "lost" and a != b:
            places[a].lose(places[b])
        elif what == "work":
            places[a].work(formed_lists)
        elif what == "start":
            places[a].start()
        elif what == "crash":
            places[a].crash()
        elif what == "wipe" and wipes:
            places[a].wipe()
            places[a].start()
    return places, formed_lists


def test_two_different_lists_with_a_common_disk_are_never_both_formed() -> None:
    """Whatever is wiped in between: every disk that is in two formed lists is in equal ones."""
    formed_runs = 0
    for seed in range(3_000):
        _, formed_lists = run(draw_steps(seed), wipes=True)
        formed_runs += bool(formed_lists)
        for (_, one), (_, two) in itertools.combinations(formed_lists, 2):
            if set(one.members) & set(two.members):
                assert (one.cluster_id, one.members) == (two.cluster_id, two.members), seed
    assert formed_runs > 300, "the steps must often lead to a cluster, or nothing was tried"


def test_without_loss_of_a_disk_all_nodes_end_in_one_cluster() -> None:
    for seed in range(1_000):
        places, formed_lists = run(draw_steps(seed), wipes=False)
        for place in places:
            place.start()
        for _ in range(4):
            for one, other in itertools.permutations(places, 2):
                if other.forming is not None:
                    other.forming.saw(one.hello())
                    other.work(formed_lists)
        assert all(place.formed for place in places), seed
        assert len({(formed.cluster_id, formed.members) for _, formed in formed_lists}) == 1, seed
        assert len(formed_lists) == 3, seed
