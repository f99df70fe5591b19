"""What a node says first: a stranger chooses every byte of it.

`decode` gives a greeting or raises `FrameError`; what it gives can be written and read again, and judged; and
every word that goes into a log from here is one printable line.
"""

import msgspec

from orchestrix_raft.coordinator import hello
from orchestrix_raft.coordinator.frames import FrameError
from orchestrix_raft.coordinator.hello import Accept, Hello, Member, Refusal, Reject
from tests.fuzz.pieces import one_line

CLUSTER = "c0" * 16
FORMED = Hello(
    1,
    "n1",
    "disk-1",
    "h1:7400",
    b"a" * 16,
    "1.0",
    CLUSTER,
    members=(Member("n1", "disk-1", "h1:7400"), Member("n2", "disk-2", "")),
    members_index=7,
    cluster_level=2,
)
EMPTY = Hello(1, "n3", "disk-3", "h3:7400", b"b" * 16, joining=True)

WORDS = (
    b"hello",
    b"refusal",
    b"type",
    b"protocol",
    b"node_id",
    b"disk_id",
    b"address",
    b"nonce",
    b"members",
    b"cluster_id",
    b"starts",
    b"promised",
    b"reason",
    b"final",
    CLUSTER.encode(),
    b"disk-2",
)


def target(data: bytes) -> None:
    """The payload of a frame."""
    try:
        found = hello.decode(data)
    except FrameError as error:
        one_line(str(error))
        return
    assert hello.decode(hello.encode(found)) == found
    if isinstance(found, Refusal):
        one_line(found.reason)
        return
    for mine in (FORMED, EMPTY):
        there, back = hello.judge(mine, found), hello.judge(found, mine)
        for verdict in (there, back):
            if isinstance(verdict, Reject):
                one_line(verdict.reason)
        if isinstance(there, Accept) and isinstance(back, Accept):
            assert there == back, "both sides reach the same verdict"
        if isinstance(there, Accept) and there.member:
            assert found.cluster_id == mine.cluster_id
        one_line(hello.why_removed(mine, found) or "nothing")
        one_line(hello.two_processes(mine, found))
        hello.copied_from(mine, found)


def examples() -> list[bytes]:
    """One of each kind."""
    refusal = Refusal("two clusters never merge", final=True)
    bare = msgspec.structs.replace(EMPTY, joining=False, promised=CLUSTER, peers=("h1:7400", "h3:7400"))
    starts = msgspec.structs.replace(FORMED, starts=(b"s" * 8,), start_index=3, level=9)
    return [hello.encode(one) for one in (FORMED, EMPTY, refusal, bare, starts)]
