"""From a submitted command to its one answer, as an origin and as a leader sees it."""

import pytest

from orchestrix_raft.consensus.messages import ENTRY_BYTES_MAX
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.coordinator.batches import encode_command
from orchestrix_raft.coordinator.link import LinkLimits
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.coordinator.proposer import MESSAGE_BYTES, Proposer, ProposerLimits
from orchestrix_raft.domain import limits
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.commands import Batch, CancelJobs, Command, DrainSession, Entry
from orchestrix_raft.wire import transport

BOUNDS = ProposerLimits(pending_commands=10, pending_bytes=3_000, wait_s=5.0, outcome_s=15.0, resend_s=1.0)


def command(name: str, size: int = 0) -> Command:
    return CancelJobs(name.encode(), (), "x" * size)


class Bench:
    """A proposer and what its callers were told."""

    def __init__(self, bounds: ProposerLimits = BOUNDS, incarnation: int = 7) -> None:
        self.now = 100.0
        self.proposer = Proposer("n1", bounds)
        self.answers: dict[str, list[Outcome]] = {}
        if incarnation:
            self.proposer.announced(incarnation, self.now)

    def submit(self, *names: str, size: int = 0) -> None:
        for name in names:
            told = self.answers.setdefault(name, [])
            self.proposer.submit(command(name, size), self.now, told.append)

    def send(self) -> list[str]:
        """What a follower hands to the leader now: incarnation, first sequence, names."""
        batch = self.proposer.take_for_leader()
        return [] if batch is None else words(batch)

    def step(self, seconds: float, leader_known: bool = True) -> None:
        self.now += seconds
        self.proposer.expire(self.now, leader_known)

    def resolve(self, sequence: int, index: int = 50) -> None:
        self.proposer.resolve(sequence, index, None, self.now)

    def kinds(self, name: str) -> list[type]:
        return [type(outcome) for outcome in self.answers[name]]


def words(batch: bytes) -> list[str]:
    decoded = codec.decode_batch(batch)
    names = [c.request_id.decode() for c in decoded.commands if isinstance(c, CancelJobs)]
    return [f"{decoded.node_id}/{decoded.incarnation}/{decoded.first}", *names]


def forwarded(node: str, first: int, size: int = 0) -> bytes:
    return codec.encode_batch(Batch(node, 3, first, (command(f"{node}{first}", size),)))


def entry_words(proposer: Proposer) -> list[list[str]]:
    return [words(bytes(batch)) for batch in proposer.take_for_entry()]


# ---- in and out


def test_nothing_is_sent_before_the_incarnation_is_announced() -> None:
    bench = Bench(incarnation=0)
    bench.submit("a")
    assert not bench.proposer.pending
    assert bench.send() == []
    assert bench.proposer.take_for_entry() == ()
    bench.proposer.announced(9, bench.now)
    assert bench.send() == ["n1/9/1", "a"]


def test_commands_are_numbered_in_the_order_of_submission_and_sent_together() -> None:
    bench = Bench()
    bench.submit("a", "b")
    assert bench.send() == ["n1/7/1", "a", "b"]
    bench.submit("c")
    assert bench.send() == ["n1/7/3", "c"]
    assert not bench.proposer.pending


def test_a_follower_has_a_bounded_number_of_messages_under_way() -> None:
    bench = Bench()
    for name in "abc":
        bench.submit(name)
        bench.send()
    assert not bench.proposer.can_forward
    assert bench.proposer.pending, "c waits"
    bench.resolve(1)
    assert bench.send() == ["n1/7/3", "c"]


def test_each_command_is_answered_once_with_its_own_index_and_result() -> None:
    bench = Bench()
    bench.submit("a", "b")
    bench.send()
    bench.proposer.resolve(1, 50, 11, bench.now)
    bench.proposer.resolve(2, 50, 12, bench.now)
    bench.proposer.resolve(2, 51, 13, bench.now)
    assert bench.answers == {"a": [Done(50, 11)], "b": [Done(50, 12)]}
    assert bench.proposer.backlog == 0


def test_an_answer_is_nobody_s_but_that_command_s() -> None:
    bench = Bench()
    bench.submit("a", "b")
    bench.send()
    bench.proposer.resolve(2, 50, 12, bench.now)
    assert bench.kinds("a") == [Unknown], "its answer was in a snapshot"
    assert bench.answers["b"] == [Done(50, 12)]


def test_a_command_too_many_or_too_large_is_refused_with_a_hint() -> None:
    bench = Bench()
    assert bench.proposer.refusal(3_000) is None
    assert bench.proposer.refusal(3_001) is not None
    bench.submit(*map(str, range(9)))
    assert bench.proposer.refusal() is None
    bench.submit("9")
    refusal = bench.proposer.refusal()
    assert refusal is not None
    assert refusal.reason == "NODE_OVERLOADED"
    bench.send()
    assert bench.proposer.refusal() is not None, "sent and unresolved ones count"
    for sequence in range(1, 11):
        bench.resolve(sequence)
    assert bench.proposer.refusal(3_000) is None, "bytes and commands are given back"


# ---- time


def test_a_command_withdrawn_unsent_is_never_sent() -> None:
    bench = Bench(incarnation=0)
    bench.submit("a")
    bench.step(5.0, leader_known=False)
    (outcome,) = bench.answers["a"]
    assert isinstance(outcome, NotApplied)
    assert outcome.rejected.reason == "NO_LEADER"
    bench.proposer.announced(9, bench.now)
    assert bench.send() == []
    bench.submit("b")
    assert bench.send() == ["n1/9/1", "b"]


def test_a_command_that_was_sent_is_never_called_not_applied() -> None:
    bench = Bench()
    bench.submit("a")
    bench.send()
    bench.step(19.9)
    assert bench.answers["a"] == []
    bench.step(0.2)
    assert bench.kinds("a") == [Unknown]
    bench.step(100.0)
    assert bench.kinds("a") == [Unknown], "told once"
    assert bench.send() == ["n1/7/1", "a"], "it keeps its place: later ones would leave a gap"
    bench.resolve(1)
    assert bench.kinds("a") == [Unknown]


def test_callers_behind_one_that_was_told_are_told_in_their_turn() -> None:
    bench = Bench()
    bench.submit("a")
    bench.send()
    bench.step(10.0)
    bench.submit("b")
    bench.send()
    bench.step(10.0)
    assert (bench.kinds("a"), bench.kinds("b")) == ([Unknown], [])
    bench.resolve(1)
    bench.step(10.0)
    assert bench.kinds("b") == [Unknown]


def test_sent_again_after_a_second_without_progress_and_not_before() -> None:
    bench = Bench()
    bench.submit("a", "b")
    bench.send()
    bench.step(0.9)
    assert bench.send() == []
    bench.resolve(1)
    bench.step(0.9)
    assert bench.send() == []
    bench.step(0.2)
    assert bench.send() == ["n1/7/2", "b"]


def test_the_first_command_after_an_idle_time_is_sent_once() -> None:
    bench = Bench()
    for _ in range(20):
        bench.step(0.25)
    bench.submit("a")
    assert bench.send() == ["n1/7/1", "a"]
    bench.step(0.0)
    assert bench.send() == []


def test_a_caller_may_submit_again_from_its_answer() -> None:
    bench = Bench()

    def again(outcome: Outcome) -> None:
        bench.submit("again")

    bench.proposer.submit(command("sent"), bench.now, again)
    bench.send()
    bench.proposer.submit(command("waiting"), bench.now, again)
    bench.step(6.0)
    assert bench.answers["again"] == []
    assert bench.send() == ["n1/7/1", "sent", "again"]
    bench.proposer.fail_all("stop")
    assert bench.kinds("again") == [Unknown]


# ---- changes


def test_everything_unresolved_is_sent_again_in_order_to_a_new_leader() -> None:
    bench = Bench()
    bench.submit("a")
    bench.send()
    bench.submit("b")
    bench.send()
    bench.submit("c")
    bench.resolve(1)
    bench.proposer.resend(bench.now)
    assert bench.send() == ["n1/7/2", "b", "c"]


def test_under_a_new_incarnation_unresolved_commands_count_from_one() -> None:
    bench = Bench()
    bench.submit("a", "b")
    bench.send()
    bench.resolve(1)
    bench.proposer.fenced()
    bench.submit("c")
    assert bench.send() == []
    bench.proposer.announced(8, bench.now)
    assert bench.send() == ["n1/8/1", "b", "c"]
    bench.resolve(1)
    bench.resolve(2)
    assert (bench.kinds("b"), bench.kinds("c")) == ([Done], [Done])


def test_what_a_snapshot_covers_is_unknown_and_the_rest_goes_on() -> None:
    bench = Bench()
    bench.submit("a", "b", "c")
    bench.send()
    bench.proposer.settled_up_to(2, bench.now)
    assert (bench.kinds("a"), bench.kinds("b"), bench.kinds("c")) == ([Unknown], [Unknown], [])
    assert bench.send() == ["n1/7/3", "c"]
    bench.resolve(3)
    assert bench.kinds("c") == [Done]


def test_sent_commands_whose_incarnation_was_lost_sight_of_are_never_sent_again() -> None:
    bench = Bench()
    bench.submit("a", "b")
    bench.send()
    bench.submit("c")
    bench.proposer.give_up_sent(bench.now)
    bench.proposer.announced(8, bench.now)
    assert (bench.kinds("a"), bench.kinds("b"), bench.kinds("c")) == ([Unknown], [Unknown], [])
    assert bench.send() == ["n1/8/1", "c"]


def test_a_stopping_node_answers_everybody_by_what_is_known() -> None:
    bench = Bench()
    bench.submit("a")
    bench.send()
    bench.submit("b")
    bench.proposer.fail_all("the node stops")
    assert (bench.kinds("a"), bench.kinds("b")) == ([Unknown], [NotApplied])
    assert bench.proposer.backlog == 0
    assert not bench.proposer.pending


# ---- as a leader


def test_an_entry_carries_the_batches_of_followers_and_its_own() -> None:
    bench = Bench()
    bench.submit("a")
    bench.proposer.forwarded(forwarded("n2", 1))
    bench.proposer.forwarded(forwarded("n3", 4))
    assert sorted(entry_words(bench.proposer)) == [["n1/7/1", "a"], ["n2/3/1", "n21"], ["n3/3/4", "n34"]]
    assert bench.proposer.take_for_entry() == ()


def test_a_batch_that_would_stop_every_node_never_enters_the_log() -> None:
    bench = Bench()
    bench.proposer.forwarded(b"\xc1")
    bench.proposer.forwarded(codec.encode_record(("n2", 3, 1, [[99, b"no such command"]])))
    assert bench.proposer.dropped == 2
    assert bench.proposer.take_for_entry() == ()


def test_the_largest_command_of_a_follower_does_not_block_those_behind_it() -> None:
    bench = Bench(ProposerLimits())
    bench.proposer.forwarded(forwarded("n2", 1, size=LARGEST))
    bench.proposer.forwarded(forwarded("n3", 1))
    names = []
    while bench.proposer.pending:
        names += [name for batch in entry_words(bench.proposer) for name in batch[1:]]
    assert names == ["n21", "n31"]


LARGEST = limits.COMMAND_BYTES - len(encode_command(command("n21"))) - 8  # of the text in a command


def test_the_declared_sizes_fit_into_each_other() -> None:
    """What one layer sends at most is what the next one takes at least."""
    assert limits.BATCH_BYTES < limits.REQUEST_BYTES == transport.REQUEST_BYTES < limits.COMMAND_BYTES
    assert MESSAGE_BYTES <= limits.FOLLOWERS_BYTES, "a usual message of a follower never has to wait"
    assert limits.ENTRY_BYTES <= Options().entry_bytes_max < ENTRY_BYTES_MAX
    assert LinkLimits().frame_bytes >= 2 * (limits.ENTRY_BYTES + limits.FRAMING_BYTES), "a frame holds two"


@pytest.mark.parametrize("own", [0, 1 << 20, limits.FOLLOWERS_BYTES, LARGEST])
@pytest.mark.parametrize("others", [1 << 20, limits.FOLLOWERS_BYTES - 1_000, LARGEST])
def test_an_entry_never_outgrows_what_consensus_takes(own: int, others: int) -> None:
    bench = Bench(ProposerLimits())
    bench.submit("a", size=own)
    for node, size in (("n2" * 50, others), ("n3" * 50, LARGEST), ("n4" * 50, others)):
        bench.proposer.forwarded(forwarded(node, 1, size=size))
    assert bench.proposer.dropped == 0
    seen = 0
    while bench.proposer.pending:
        batches = bench.proposer.take_for_entry()
        seen += len(batches)
        assert batches
        assert len(codec.encode_entry(Entry(2**62, 2**62, batches))) <= limits.ENTRY_BYTES
    assert seen == 4


def test_a_command_that_fits_into_no_entry_is_refused_and_blocks_nobody() -> None:
    bench = Bench(ProposerLimits())
    bench.submit("large", size=limits.COMMAND_BYTES)
    bench.submit("a")
    assert bench.answers["large"] == [], "never from inside the call"
    bench.step(0.0)
    (outcome,) = bench.answers["large"]
    assert isinstance(outcome, NotApplied)
    assert outcome.rejected.reason == "COMMAND_TOO_LARGE"
    assert entry_words(bench.proposer) == [["n1/7/1", "a"]]
    bench.submit("large", size=limits.COMMAND_BYTES)
    bench.proposer.fail_all("the node stops")
    assert bench.kinds("large") == [NotApplied, NotApplied]


def test_a_batch_that_fits_into_no_entry_is_dropped() -> None:
    bench = Bench(ProposerLimits())
    bench.proposer.forwarded(forwarded("n2", 1, size=limits.COMMAND_BYTES + limits.FRAMING_BYTES))
    assert bench.proposer.dropped == 1


def test_many_commands_are_cut_into_messages_of_bounded_size() -> None:
    bench = Bench(ProposerLimits())
    count = limits.ENTRY_COMMANDS + 5
    for number in range(count):
        bench.proposer.submit_encoded(encode_command(DrainSession(b"%d" % number)), 0.0, None)
    first = codec.decode_batch(bench.proposer.take_for_leader() or b"")
    second = codec.decode_batch(bench.proposer.take_for_leader() or b"")
    assert (len(first.commands), second.first, len(second.commands)) == (limits.ENTRY_COMMANDS, count - 4, 5)


def test_forwarded_batches_are_bounded_in_memory() -> None:
    bench = Bench()
    for first in range(10):
        bench.proposer.forwarded(forwarded("n2", first, size=1_000))
    assert bench.proposer.dropped == 7


def test_a_leader_that_lost_its_office_leaves_the_commands_of_others_to_them() -> None:
    bench = Bench()
    bench.submit("a")
    bench.proposer.forwarded(forwarded("n2", 1))
    bench.proposer.lost_leadership()
    assert entry_words(bench.proposer) == [["n1/7/1", "a"]]
