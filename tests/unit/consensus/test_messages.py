"""Messages between engines: their bytes, and what is turned away at the door."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.consensus.configuration import Configuration, Member, Standing
from orchestrix_raft.consensus.messages import (
    AppendAnswer,
    AppendEntries,
    Message,
    PreVote,
    PreVoteAnswer,
    SnapshotAnswer,
    SnapshotChunk,
    TimeoutNow,
    VoteAnswer,
    VoteRequest,
    malformed,
)
from orchestrix_raft.storage.port import Entry, SnapshotRef
from tests.simulation.raft.scripted import Scripted

BYTES = Configuration({"n1": Member(Standing.VOTER, "d")}).encode()
REF = SnapshotRef(9, 2, 100, bytes(32), 3, BYTES)
SOUND: list[Message] = [
    AppendEntries(3, 1, 5, 4, 1, [Entry(b"\0a", 5, 1), Entry(BYTES, 6, 3)]),
    AppendEntries(3, 1, 5, 4, 1, []),
    AppendAnswer(3, 1, True, 7),
    PreVote(4, 99, 6, 3, 0),
    PreVoteAnswer(3, 99, True, False),
    VoteRequest(4, 6, 3, 0, False),
    VoteAnswer(4),
    TimeoutNow(3),
    SnapshotChunk(3, 1, REF, 0, b"x" * 60),
    SnapshotChunk(3, 1, REF, 60, b"x" * 40),
    SnapshotAnswer(3, 1, 9, 60, False),
]


@pytest.mark.parametrize("message", SOUND, ids=lambda message: type(message).__name__)
def test_a_sound_message_survives_its_bytes_and_is_let_in(message: Message) -> None:
    data = msgspec.msgpack.encode(message)
    assert msgspec.msgpack.decode(data, type=Message) == message
    assert malformed(message) is None


def test_the_tags_on_the_wire_are_those_of_earlier_releases() -> None:
    tags = {type(m).__name__: msgspec.msgpack.decode(msgspec.msgpack.encode(m))[0] for m in SOUND}
    assert tags == {
        "AppendEntries": 1,
        "AppendAnswer": 2,
        "PreVote": 3,
        "PreVoteAnswer": 4,
        "VoteRequest": 5,
        "VoteAnswer": 6,
        "TimeoutNow": 7,
        "SnapshotChunk": 8,
        "SnapshotAnswer": 9,
    }


NONSENSE: list[Message] = [
    AppendEntries(-1, 1, 5, 4, 1, []),
    AppendEntries(3, 1, 5, 0, 0, []),
    AppendEntries(3, 1, 2**63, 4, 1, []),
    AppendEntries(3, 1, 5, 4, 4, []),
    AppendEntries(3, 1, 5, 4, 1, [Entry(b"\0", 6, 1)]),
    AppendEntries(3, 1, 5, 4, 1, [Entry(b"\0", 5, 1), Entry(b"\0", 7, 1)]),
    AppendEntries(3, 1, 5, 4, 2, [Entry(b"\0", 5, 1)]),
    AppendEntries(3, 1, 5, 4, 1, [Entry(b"\0", 5, 4)]),
    AppendEntries(3, 1, 5, 4, 1, [Entry(b"", 5, 1)]),
    AppendEntries(3, 1, 5, 4, 1, [Entry(b"\x10evil", 5, 1)]),
    AppendAnswer(3, 1, True, -7),
    VoteAnswer(-4),
    SnapshotChunk(3, 1, REF._replace(index=0), 0, b"x"),
    SnapshotChunk(3, 1, REF._replace(term=4), 0, b"x"),
    SnapshotChunk(3, 1, REF._replace(digest=b"short"), 0, b"x"),
    SnapshotChunk(3, 1, REF._replace(size=0), 0, b"x"),
    SnapshotChunk(3, 1, REF._replace(configuration_index=10), 0, b"x"),
    SnapshotChunk(3, 1, REF._replace(configuration=b"\x10evil"), 0, b"x"),
    SnapshotChunk(3, 1, REF, 60, b"x" * 41),
    SnapshotChunk(3, 1, REF, 60, b""),
]


@pytest.mark.parametrize("message", NONSENSE, ids=repr)
def test_nonsense_is_dropped_counted_and_never_an_exception(message: Message) -> None:
    cluster = Scripted(3)
    cluster.start()
    engine = cluster["n2"]
    before = (engine.term, engine.commit_index, cluster.log("n2"))
    engine.receive("n1", message)
    assert sum(engine.dropped.values()) == 1
    assert (engine.term, engine.commit_index, cluster.log("n2")) == before


def test_a_message_without_a_connection_is_dropped_and_counted() -> None:
    cluster = Scripted(3)
    cluster.start()
    cluster["n2"].receive("stranger", VoteRequest(99, 99, 99, 0, True))
    assert cluster["n2"].dropped == {"not connected": 1}
    assert cluster["n2"].term == cluster["n1"].term


NUMBERS = st.integers(-2, 40)
ENTRIES = st.lists(
    st.builds(Entry, st.sampled_from([b"\0a", b"\x01", BYTES, b"", b"\x7f"]), NUMBERS, NUMBERS), max_size=4
)
REFS = st.builds(
    SnapshotRef, NUMBERS, NUMBERS, NUMBERS, st.just(bytes(32)), NUMBERS, st.sampled_from([b"", BYTES])
)
ANY: st.SearchStrategy[Message] = st.one_of(
    st.builds(AppendAnswer, NUMBERS, NUMBERS, st.booleans(), NUMBERS),
    st.builds(PreVote, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    st.builds(PreVoteAnswer, NUMBERS, NUMBERS, st.booleans(), st.booleans()),
    st.builds(VoteRequest, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.booleans()),
    st.builds(VoteAnswer, NUMBERS),
    st.builds(TimeoutNow, NUMBERS),
    st.builds(SnapshotChunk, NUMBERS, NUMBERS, REFS, NUMBERS, st.binary(max_size=8)),
    st.builds(SnapshotAnswer, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.booleans()),
)


@given(st.lists(st.tuples(st.sampled_from(["n2", "n3"]), ANY), max_size=12))
def test_no_sequence_of_answers_and_requests_breaks_an_engine(messages: list[tuple[str, Message]]) -> None:
    cluster = Scripted(3)
    cluster.start()
    for peer, message in messages:
        cluster["n1"].receive(peer, message)
    cluster["n1"].tick()
