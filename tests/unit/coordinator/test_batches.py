"""Joined batches are the machine's own bytes."""

from orchestrix_raft.coordinator.batches import check_batch, encode_command, join_batch
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.commands import Batch, CancelJobs, DrainSession


def test_a_joined_batch_is_byte_for_byte_the_encoded_batch() -> None:
    commands = (DrainSession(b"s" * 16), CancelJobs(b"r", (b"a", b"b"), "why"))
    joined = join_batch("n1", 7, 3, [encode_command(command) for command in commands])
    assert joined == codec.encode_batch(Batch("n1", 7, 3, commands))
    assert codec.decode_batch(joined).commands == commands


def test_only_what_every_node_can_decode_passes() -> None:
    good = join_batch("n1", 7, 3, [encode_command(DrainSession(b"s"))])
    assert check_batch(good)
    said = encode_command(CancelJobs(b"r", (b"a",), "reason"))
    assert check_batch(join_batch("n1", 7, 3, [said]))
    assert not check_batch(join_batch("n1", 7, 3, [said.replace(b"reason", b"re\xffson")]))
    assert not check_batch(good.replace(b"n1", b"n\xff"))
    assert not check_batch(good[:-3] + b"\x91" * 100_000), "too deep"
    for bad in (b"", good[:-1], good + b"\x00", codec.encode_record(("n1", 7, 3, [], "one field too many"))):
        assert not check_batch(bad)
