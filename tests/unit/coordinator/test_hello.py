"""Who may talk to whom."""

import msgspec
import pytest

from orchestrix_raft.coordinator.frames import FrameError
from orchestrix_raft.coordinator.hello import (
    HELLO_BYTES,
    MEMBERS_MAX,
    PROTOCOL,
    Accept,
    Hello,
    Member,
    Refusal,
    Reject,
    copied_from,
    decode,
    encode,
    judge,
    why_removed,
)
from orchestrix_raft.coordinator.starts import START_BYTES, STARTS_MAX, first_boot_id

N1 = Hello(PROTOCOL, "n1", "d1", "h1:7400", nonce=b"1" * 16, version="1.0")
N2 = Hello(PROTOCOL, "n2", "d2", "h2:7400", nonce=b"2" * 16, version="1.1")
CLUSTER = "c" * 32


def but(hello: Hello, **changes: object) -> Hello:
    return msgspec.structs.replace(hello, **changes)


def formed(hello: Hello, *members: tuple[str, str], cluster_id: str = CLUSTER) -> Hello:
    listed = tuple(Member(node, disk, f"{node}:7400") for node, disk in members)
    return but(hello, cluster_id=cluster_id, members=listed)


def reason(mine: Hello, theirs: Hello) -> str:
    verdict = judge(mine, theirs)
    assert isinstance(verdict, Reject)
    assert "\n" not in verdict.reason
    return verdict.reason


def test_nodes_of_one_cluster_are_members_even_if_not_listed_yet() -> None:
    assert judge(formed(N1, ("n1", "d1")), formed(N2)) == Accept(member=True)


def test_two_clusters_never_merge() -> None:
    assert "two clusters never merge" in reason(formed(N1), formed(N2, cluster_id="d" * 32))


def test_two_empty_nodes_may_only_form() -> None:
    assert judge(N1, N2) == Accept(member=False)


def test_another_protocol_is_refused_with_both_versions_named() -> None:
    line = reason(N1, but(N2, protocol=PROTOCOL + 1))
    assert "1.0" in line
    assert "1.1" in line


def test_oneself_is_recognised_behind_another_address() -> None:
    assert "itself" in reason(N1, but(N1, address="alias:7400"))


def test_a_second_process_with_the_same_id_is_refused() -> None:
    another = reason(N1, but(N2, node_id="n1"))
    assert "two processes run as node n1" in another
    assert "stop the other one and start it with another --node-id" in another
    assert "the data directory of one is a copy" in reason(N1, but(N2, node_id="n1", disk_id="d1"))


def test_a_process_whose_directory_knows_the_start_of_this_one_is_a_copy_and_has_to_end() -> None:
    """It knows, because that start stood in what was copied; the original never heard of the copy."""
    mine, theirs = b"m" * 12, b"t" * 12
    original = but(N1, nonce=first_boot_id(mine), starts=(mine,))
    copy = but(N1, nonce=first_boot_id(theirs), starts=(mine, theirs), address="elsewhere:7400")
    for_the_copy, for_the_original = judge(original, copy), judge(copy, original)
    assert isinstance(for_the_copy, Reject)
    assert isinstance(for_the_original, Reject)
    assert (for_the_copy.final, for_the_original.final) == (True, False)
    assert copied_from(copy, original)
    assert not copied_from(original, copy)
    assert not copied_from(copy, copy)
    assert not copied_from(but(copy, node_id="n2"), original)


def test_a_copied_data_directory_is_refused_under_any_id() -> None:
    assert "copies of one data directory" in reason(formed(N1), formed(but(N2, disk_id="d1")))


@pytest.mark.parametrize("swap", [False, True])
def test_an_empty_node_enters_a_cluster_only_as_the_member_it_knows(swap: bool) -> None:
    def both(cluster: Hello, empty: Hello) -> Accept | Reject:
        return judge(empty, cluster) if swap else judge(cluster, empty)

    assert both(formed(N1, ("n1", "d1"), ("n2", "d2")), N2) == Accept(member=False)
    lost = both(formed(N1, ("n1", "d1"), ("n2", "other")), N2)
    assert isinstance(lost, Reject)
    assert "another disk" in lost.reason
    never = both(formed(N1, ("n1", "d1")), N2)
    assert isinstance(never, Reject)
    assert "started with --join" in never.reason


def test_a_founder_that_crashed_before_it_learnt_the_end_may_come_back() -> None:
    assert judge(formed(N1), but(N2, promised=CLUSTER)) == Accept(member=False)
    assert "another cluster" in reason(formed(N1, ("n2", "d2")), but(N2, promised="e" * 32))


@pytest.mark.parametrize("swap", [False, True])
def test_a_node_that_wants_to_be_added_may_stay_and_say_so(swap: bool) -> None:
    joining = but(N2, joining=True)
    cluster = formed(N1, ("n1", "d1"), ("n2", "other"))
    assert (judge(joining, cluster) if swap else judge(cluster, joining)) == Accept(member=False)
    assert "another cluster" in reason(cluster, but(joining, promised="e" * 32))


def test_a_node_that_a_later_list_leaves_out_was_removed() -> None:
    mine, theirs = but(formed(N1, ("n1", "d1")), members_index=7), but(formed(N2), members_index=6)
    assert why_removed(mine, theirs) == (
        f"node n2 was removed from cluster {CLUSTER}: to add the machine again, start it with an empty data "
        "directory and --join; the --node-id may stay"
    )
    assert not why_removed(mine, but(theirs, members_index=7)), "it was added just now"
    assert not why_removed(but(mine, members=()), theirs), "this node does not know who is a member"
    assert not why_removed(but(formed(N1, ("n2", "d2")), members_index=7), theirs)
    assert why_removed(but(formed(N1, ("n2", "other")), members_index=7), theirs), "its disk was replaced"


def test_a_node_that_cannot_run_the_level_of_the_cluster_is_refused_for_good() -> None:
    cluster = but(formed(N1, ("n1", "d1"), ("n2", "d2")), level=3, cluster_level=2)
    old_member, old_joiner = formed(but(N2, level=1, cluster_level=1)), but(N2, level=1)
    for old in (old_member, old_joiner):
        verdict = judge(cluster, old)
        assert verdict == Reject(
            "node n2 is version 1.1, which runs machine levels up to 1, and the cluster is at 2: install "
            "version 1.0 or newer on it",
            final=True,
        )
        assert isinstance(judge(old, cluster), Accept), "it leaves the verdict to the others"
    assert judge(cluster, but(old_member, level=2)) == Accept(member=True)


def test_a_node_of_another_cluster_is_not_told_about_levels() -> None:
    verdict = judge(but(formed(N1), cluster_level=2), formed(but(N2, level=1), cluster_id="d" * 32))
    assert isinstance(verdict, Reject)
    assert "two clusters never merge" in verdict.reason
    assert not verdict.final


def test_the_longest_hello_fits_its_limit_and_survives_the_wire() -> None:
    member = Member("é" * 100, "d" * 100, "h" * 300)
    hello = but(
        N1,
        members=(member,) * MEMBERS_MAX,
        peers=("p" * 300,) * MEMBERS_MAX,
        starts=(b"s" * START_BYTES,) * STARTS_MAX,
        start_index=2**62 - 1,
        joining=True,
        members_index=2**62 - 1,
    )
    assert len(encode(hello)) < HELLO_BYTES
    assert decode(encode(hello)) == hello
    for final in (False, True):
        assert decode(encode(Refusal("no", final))) == Refusal("no", final)


def test_a_hello_of_a_later_version_is_still_readable() -> None:
    raw = msgspec.msgpack.decode(encode(but(N1, protocol=9))) | {"colour": "red"}
    assert decode(msgspec.msgpack.encode(raw)) == but(N1, protocol=9)


@pytest.mark.parametrize(
    "change",
    [
        {"node_id": ""},
        {"node_id": "x" * 101},
        {"nonce": b""},
        {"protocol": -1},
        {"members": [["a"]]},
        {"peers": ["a"] * (MEMBERS_MAX + 1)},
        {"type": "other"},
        {"disk_id": 5},
        {"address": "a" * 301},
        {"starts": [b"short"]},
        {"starts": [b"s" * START_BYTES] * (STARTS_MAX + 1)},
        {"start_index": -1},
        {"members_index": -1},
        {"level": -1},
        {"cluster_level": 1_000_001},
    ],
)
def test_what_is_out_of_bounds_is_no_hello(change: dict[str, object]) -> None:
    raw = msgspec.msgpack.decode(encode(N1)) | change
    with pytest.raises(FrameError):
        decode(msgspec.msgpack.encode(raw))


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x93\x01\x02\x03", b"\xff" * 50])
def test_garbage_is_no_hello(payload: bytes) -> None:
    with pytest.raises(FrameError):
        decode(payload)


@pytest.mark.parametrize("name", ["node_id", "disk_id", "address", "version", "cluster_id", "promised"])
def test_what_would_drive_a_terminal_or_begin_another_line_of_a_log_is_no_hello(name: str) -> None:
    for text in ("a\nb", "\x1b[2J", "a\u2028b"):
        with pytest.raises(FrameError, match="cannot be printed"):
            decode(encode(but(N1, **{name: text})))


def test_the_reason_of_a_refusal_is_made_printable() -> None:
    """It is logged, and whoever listens at an address may have written it."""
    assert decode(encode(Refusal("no\n\x1b[2J more"))) == Refusal("no??[2J more")


def test_an_error_of_decoding_does_not_repeat_what_cannot_be_printed() -> None:
    with pytest.raises(FrameError) as caught:
        decode(msgspec.msgpack.encode({"type": "a\nb"}))
    assert str(caught.value).isprintable()
