"""From a command to its place in the log, once, whoever leads.

Every node is an *origin*: its commands carry (node, incarnation, sequence) and the state machine
applies them in order and once.  So sending again is always safe, and this module sends again whenever
the earlier sending may have been lost: another leader or term, a new connection to the leader, a gap
answer, an installed snapshot, a second without progress.

A command is numbered when it is first sent.  Until then it may be withdrawn (no leader for too long);
afterwards it stays until it is resolved, even if its caller was told that the outcome is unknown.

The leader merges what it has, its own and what followers forwarded, into one entry; at most
`entries_in_flight` of its entries are uncommitted, and what arrives meanwhile is the next one.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from orchestrix_raft.coordinator.batches import check_batch, encode_command, join_batch
from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.machine.commands import Command
from orchestrix_raft.machine.port import Result

OnDone = Callable[[Outcome], None]

MESSAGE_BYTES = 2 << 20  # of batches in one message or entry, so that one of them never stalls a link
_ENVELOPE = 64  # bytes of a batch's own fields


class ProposerLimits(NamedTuple):
    """Bounds, in commands, bytes and seconds."""

    pending_commands: int = 100_000
    pending_bytes: int = 64 << 20
    wait_s: float = 5.0  # for a leader; then the command is withdrawn
    outcome_s: float = 15.0  # for an answer once sent; then the caller is told "unknown"
    resend_s: float = 1.0  # without progress
    in_flight: int = 2  # entries of a leader, messages of a follower


class _Item:
    """One command from submission to resolution."""

    __slots__ = ("data", "deadline", "done", "sequence")

    def __init__(self, data: bytes, deadline: float, done: OnDone | None) -> None:
        self.data = data
        self.deadline = deadline
        self.done = done
        self.sequence = 0

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller, once."""
        done, self.done = self.done, None
        if done is not None:
            done(outcome)


class Proposer:
    """Gathers, numbers, sends and resolves the commands of one node; and, on the leader, collects those
    of the others."""

    def __init__(self, node_id: str, bounds: ProposerLimits) -> None:
        self._node_id = node_id
        self._bounds = bounds
        self._waiting: deque[_Item] = deque()  # not numbered yet
        self._sent: deque[_Item] = deque()  # numbered, unresolved, in order
        self._unsent_at = 0  # position in `_sent` from which sending starts (again)
        self._told = 0  # of `_sent`, from its head: their callers know that the outcome is unknown
        self._next = 1
        self._bytes = 0
        self._refused: list[tuple[_Item, Rejected]] = []  # never to be sent; answered with the next step
        self._forwarded: deque[bytes] = deque()
        self._forwarded_bytes = 0
        self._progress_at = 0.0
        self._messages: deque[int] = deque()  # last sequence of each message under way to the leader
        self.incarnation = 0  # 0: not announced yet, nothing may be sent
        self.dropped = 0  # forwarded batches that were not well-formed

    # ---- in ------------------------------------------------------------------------------------------

    def submit(self, command: Command, now: float, done: OnDone | None) -> None:
        """Take a command; `done` is called exactly once (never from inside this call)."""
        self.submit_encoded(encode_command(command), now, done)

    def submit_encoded(self, data: bytes, now: float, done: OnDone | None) -> None:
        """The same for a command that is encoded already."""
        item = _Item(data, now + self._bounds.wait_s, done)
        if len(data) > limits.COMMAND_BYTES:  # in the queue it would block those behind it for ever
            self._refused.append((item, _too_large(len(data))))
            return
        self._waiting.append(item)
        self._bytes += len(data)

    def refuse(self, why: Rejected, done: OnDone | None) -> None:
        """Answer a command that must not be sent, as if it had been taken."""
        self._refused.append((_Item(b"", 0.0, done), why))

    def refusal(self, size: int = 0) -> Rejected | None:
        """Why no further command can be taken now, if so."""
        if len(self._waiting) + len(self._sent) >= self._bounds.pending_commands or (
            self._bytes + size > self._bounds.pending_bytes
        ):
            return Rejected(
                Code.RESOURCE_EXHAUSTED,
                "NODE_OVERLOADED",
                "too many commands are waiting on this node: slow down or use another node",
            )
        return None

    def forwarded(self, batch: bytes) -> None:
        """Leader: a follower's batch.  One that does not decode would stop every node, one that is too large
        would never fit into an entry: drop it here."""
        if (
            len(batch) > limits.COMMAND_BYTES + limits.FRAMING_BYTES // 2
            or not check_batch(batch)
            or self._forwarded_bytes > self._bounds.pending_bytes
        ):
            self.dropped += 1
            return
        self._forwarded.append(batch)
        self._forwarded_bytes += len(batch)

    # ---- out -----------------------------------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Something could be sent now."""
        return bool(self._forwarded) or (
            self.incarnation > 0 and bool(self._waiting or self._unsent_at < len(self._sent))
        )

    @property
    def can_forward(self) -> bool:
        """Fewer messages than the bound are under way to the leader."""
        return len(self._messages) < self._bounds.in_flight

    def take_for_entry(self) -> tuple[msgspec.Raw, ...]:
        """Leader: the batches of the next entry, at most ENTRY_BYTES.  Forwarded ones may fill their share of
        it, or be one larger one; the rest is for the leader's own."""
        out: list[msgspec.Raw] = []
        size = 0
        while self._forwarded and (not out or size + len(self._forwarded[0]) <= limits.FOLLOWERS_BYTES):
            batch = self._forwarded.popleft()
            self._forwarded_bytes -= len(batch)
            size += len(batch)
            out.append(msgspec.Raw(batch))
        own = self._next_batch(MESSAGE_BYTES, whole=size <= limits.FOLLOWERS_BYTES)
        if own is not None:
            out.append(msgspec.Raw(own))
        return tuple(out)

    def take_for_leader(self) -> bytes | None:
        """Follower: one batch for the leader, unless enough messages are under way."""
        if not self.can_forward:
            return None
        batch = self._next_batch(MESSAGE_BYTES, whole=True)
        if batch is not None:
            self._messages.append(self._sent[self._unsent_at - 1].sequence)
        return batch

    def _next_batch(self, room: int, whole: bool) -> bytes | None:
        """What is to be sent next.  whole: one command may be larger than `room` (it cannot be cut)."""
        if self.incarnation == 0:
            return None
        sent, waiting, start = self._sent, self._waiting, self._unsent_at
        parts: list[bytes] = []
        room -= _ENVELOPE
        while len(parts) < limits.ENTRY_COMMANDS:
            again = self._unsent_at < len(sent)
            if again:
                item = sent[self._unsent_at]
            elif waiting:
                item = waiting[0]
            else:
                break
            if len(item.data) > room and (parts or not whole):
                break
            if not again:
                waiting.popleft()
                item.sequence = self._next
                item.deadline += self._bounds.outcome_s
                self._next += 1
                sent.append(item)
            self._unsent_at += 1
            room -= len(item.data)
            parts.append(item.data)
        if not parts:
            return None
        return join_batch(self._node_id, self.incarnation, sent[start].sequence, parts)

    # ---- back ----------------------------------------------------------------------------------------

    def resolve(self, sequence: int, index: int, result: Result, now: float) -> None:
        """Sequence `sequence` was applied at `index`.  Comes in order."""
        self._progress_at = now
        sent = self._sent
        while sent and sent[0].sequence <= sequence:
            item = self._settle_first()
            if item.sequence == sequence:
                item.answer(Done(index, result))
            else:
                item.answer(Unknown("applied, but the answer was lost with an installed snapshot"))
        while self._messages and self._messages[0] <= sequence:
            self._messages.popleft()

    def settled_up_to(self, sequence: int, now: float) -> None:
        """An installed snapshot covers everything up to `sequence`: applied, results unknown."""
        while self._sent and self._sent[0].sequence <= sequence:
            item = self._settle_first()
            item.answer(Unknown("the node took over a snapshot; the command was applied or refused in it"))
        self.resend(now)

    def give_up_sent(self, now: float) -> None:
        """How far the old incarnation came is not known any more: what was sent may have been applied, so
        it must not be sent under another one."""
        while self._sent:
            self._settle_first().answer(
                Unknown("the node lost sight of the command; it may have been applied")
            )
        self.resend(now)

    def _settle_first(self) -> _Item:
        """The oldest sent command needs no sending any more."""
        item = self._sent.popleft()
        self._bytes -= len(item.data)
        self._unsent_at = max(0, self._unsent_at - 1)
        self._told = max(0, self._told - 1)
        return item

    def resend(self, now: float) -> None:
        """What was sent may be lost: start over with the first unresolved command."""
        self._unsent_at = 0
        self._messages.clear()
        self._progress_at = now

    def lost_leadership(self) -> None:
        """Batches of others are theirs to send again."""
        self._forwarded.clear()
        self._forwarded_bytes = 0

    def announced(self, incarnation: int, now: float) -> None:
        """A new incarnation of this node begins: unresolved commands are certainly not applied under the
        old one any more, so they start again from 1."""
        self.incarnation = incarnation
        self._next = 1
        for item in self._sent:
            item.sequence = self._next
            self._next += 1
        self.resend(now)

    def fenced(self) -> None:
        """This incarnation is over; nothing is sent until the next is announced."""
        self.incarnation = 0

    def expire(self, now: float, leader_known: bool) -> None:
        """Withdraw what waited too long unsent, tell callers of sent commands that the outcome is unknown,
        and send again after a second without progress."""
        if self._refused:
            refused, self._refused = self._refused, []
            for item, why in refused:
                item.answer(NotApplied(why))
        while self._waiting and self._waiting[0].deadline <= now:
            item = self._waiting.popleft()
            self._bytes -= len(item.data)
            item.answer(NotApplied(unavailable(leader_known)))
        while self._told < len(self._sent) and self._sent[self._told].deadline <= now:
            self._told += 1
            item = self._sent[self._told - 1]
            item.answer(Unknown("no answer from the cluster in time; ask again with the same ids"))
        if not (self._sent and self._unsent_at > 0):
            self._progress_at = now  # nothing is under way: the second begins with the next sending
        elif now - self._progress_at > self._bounds.resend_s:
            self.resend(now)

    def fail_all(self, message: str) -> None:
        """The node stops: answer everybody."""
        waiting, self._waiting = [*(item for item, _ in self._refused), *self._waiting], deque()
        self._refused = []
        sent, self._sent = self._sent, deque()
        self._unsent_at = self._told = self._bytes = 0
        for item in waiting:
            item.answer(NotApplied(Rejected(Code.UNAVAILABLE, "NODE_STOPPING", message)))
        for item in sent:
            item.answer(Unknown(message))

    @property
    def backlog(self) -> int:
        """Commands that are not resolved yet."""
        return len(self._waiting) + len(self._sent)


def _too_large(size: int) -> Rejected:
    return Rejected(
        Code.INVALID_ARGUMENT,
        "COMMAND_TOO_LARGE",
        f"the command has {size} bytes: at most {limits.COMMAND_BYTES}, please split it",
    )


def unavailable(leader_known: bool) -> Rejected:
    """The answer to a caller that waited in vain."""
    if leader_known:
        return Rejected(
            Code.UNAVAILABLE, "OVERLOADED", "the cluster did not take the request in time; try again"
        )
    return Rejected(
        Code.UNAVAILABLE,
        "NO_LEADER",
        "the cluster has no leader (no majority reachable?); try again or another node",
    )
