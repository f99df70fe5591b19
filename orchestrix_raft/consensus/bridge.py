"""PySyncObj, seen from the inside.  The only module that imports it or touches its private names.

`Raft` is a `pysyncobj.SyncObj` that holds and changes what is Raft's own state: term, vote, role,
leader, commit and applied index, next and match index of each peer, the members to replicate to.  Its
becoming a leader, its leadership transfer and its bookkeeping are PySyncObj's code.

What was found unsafe in it is replaced by the modules beside this one: the handling of appends,
acknowledgements and votes, the commit rule, sending, snapshots, compaction, changes of members.  Faults
of parts that are not used at all have no cure here because they cannot happen: its journal file (no
sync, not atomic, offsets of four bytes), its dump file and the copy in memory, forwarded commands and
their request numbers, callbacks of commands, code versions, entries cut into pickled pieces, its own
TCP transport, threads and poller.  Both kinds refuse to run, so that no forgotten path can reach them.

What is relied on is listed in `RELIED_ON` and checked by a test against the installed version.
"""

import zlib
from collections.abc import Callable
from typing import Any, Final, NoReturn

from pysyncobj import SyncObj, SyncObjConf  # type: ignore[import-untyped]
from pysyncobj.config import FAIL_REASON  # type: ignore[import-untyped]
from pysyncobj.journal import Journal as PySyncObjJournal  # type: ignore[import-untyped]
from pysyncobj.node import Node  # type: ignore[import-untyped]
from pysyncobj.transport import Transport  # type: ignore[import-untyped]

from orchestrix_raft.consensus.configuration import ConfiguredLog
from orchestrix_raft.consensus.messages import TimeoutNow
from orchestrix_raft.consensus.options import Options
from orchestrix_raft.consensus.port import Role, SafetyFault
from orchestrix_raft.storage.port import Entry

RELIED_ON: Final = (
    "__init__",
    "_SyncObj__generateRaftTimeout",
    "_SyncObj__onBecomeLeader",
    "_SyncObj__onMessageReceived",
    "_SyncObj__onNodeConnected",
    "_SyncObj__onNodeDisconnected",
    "_SyncObj__setCurrentTerm",
    "_SyncObj__setState",
    "_SyncObj__sendAppendEntries",
    "_SyncObj__getCurrentLogIndex",
    "_SyncObj__getCurrentLogTerm",
    "_SyncObj__callErrCallback",
    "transferLeadership",
    "_doDestroy",
)
"""Methods of PySyncObj that run, or whose place is taken by one of ours."""

REFUSED: Final = (
    "_onTick",
    "_applyCommand",
    "_checkCommandsToApply",
    "_SyncObj__applyLogEntries",
    "_SyncObj__doApplyCommand",
    "_SyncObj__changeCluster",
    "_SyncObj__doChangeCluster",
    "_SyncObj__loadDumpFile",
    "_SyncObj__tryLogCompaction",
    "_SyncObj__sendNextNodeIdx",
    "_SyncObj__deleteEntriesFrom",
    "_SyncObj__deleteEntriesTo",
    "_SyncObj__updateClusterConfiguration",
)
"""Methods of PySyncObj that must never run here."""


_ROLES: Final = tuple(sorted(Role))


class PeerNode(Node):  # type: ignore[misc]
    """Another node, as a key of PySyncObj's tables.  Its hash does not depend on the process, so that
    sets of peers have one order everywhere and a simulation replays exactly."""

    def __init__(self, node_id: str) -> None:
        super().__init__(node_id)
        self.node_id = node_id
        self._hash = zlib.crc32(node_id.encode())

    def __hash__(self) -> int:
        return self._hash


class _LogView(PySyncObjJournal):  # type: ignore[misc]
    """Our log in the shape PySyncObj reads and extends it.  It never cuts it: that is our business."""

    def __init__(self, log: ConfiguredLog) -> None:
        self._log = log

    def add(self, command: bytes, idx: int, term: int) -> None:
        self._log.append(Entry(command, idx, term))

    def __len__(self) -> int:
        return self._log.last_index - self._log.first_index + 1

    def __getitem__(self, item: int) -> Entry:
        origin = self._log.last_index + 1 if item < 0 else self._log.first_index
        return self._log.journal.entry(origin + item)

    def setCurrentTerm(self, term: int, voted_for: str | None) -> None:
        self._log.journal.set_term(term, voted_for)

    def _destroy(self) -> None:
        """The owner of the journal closes it."""

    def clear(self, *args: object) -> NoReturn:
        raise SafetyFault("PySyncObj tried to cut the log by itself")

    deleteEntriesFrom = deleteEntriesTo = clear


class _Outlet(Transport):  # type: ignore[misc]
    """The one message PySyncObj still sends by itself is the request to take over."""

    def __init__(self, send: Callable[[str, TimeoutNow], None]) -> None:
        super().__init__(None, None, [])
        self._send = send

    def send(self, node: PeerNode, message: dict[str, Any]) -> bool:
        if message["type"] != "timeout_now":
            raise SafetyFault(f"PySyncObj tried to send {message['type']!r} by itself")
        self._send(node.id, TimeoutNow(message["term"]))
        return True


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refused(self: "Raft", *args: object, **kwargs: object) -> NoReturn:
        raise SafetyFault(f"PySyncObj's own {name} must not run")

    return refused


class Raft(SyncObj):  # type: ignore[misc]
    """Raft's state under clear names.  It decides nothing."""

    _SyncObj__raftState: int
    _SyncObj__raftCurrentTerm: int
    _SyncObj__votedForNodeId: str | None
    _SyncObj__raftLeader: PeerNode | None
    _SyncObj__raftElectionDeadline: float
    _SyncObj__transferInProgress: bool
    _SyncObj__noopIDx: int
    _SyncObj__raftCommitIndex: int
    _SyncObj__raftLastApplied: int
    _SyncObj__raftNextIndex: dict[PeerNode, int]
    _SyncObj__raftMatchIndex: dict[PeerNode, int]
    _SyncObj__lastResponseTime: dict[PeerNode, float]
    _SyncObj__otherNodes: set[PeerNode]
    _SyncObj__readonlyNodes: set[PeerNode]

    def __init__(
        self,
        node_id: str,
        log: ConfiguredLog,
        applied_index: int,
        options: Options,
        uniform: Callable[[float, float], float],
        now: Callable[[], float],
        send: Callable[[str, TimeoutNow], None],
    ) -> None:
        """`applied_index`: where the state stands; it is committed by definition.  `uniform` draws
        election time-outs, `now` is the engine's clock in seconds."""
        self._options, self._uniform, self._now = options, uniform, now
        self.replicate_now = False
        """Somebody has to hear something before the next heartbeat."""
        self.term_durable = True
        """Nothing was changed in term or vote since the journal was flushed."""
        self.loading = False
        """A snapshot is installed, on disk and in the log, and its state is still being loaded."""
        conf = SyncObjConf(
            autoTick=False,
            appendEntriesUseBatch=True,  # else it opens a pipe to wake its own poller
            dynamicMembershipChange=False,
            fullDumpFile=None,
            journalFile=None,
            useFork=False,
            pollerType="select",
        )
        super().__init__(PeerNode(node_id), [], conf, nodeClass=PeerNode, transport=_Outlet(send))
        journal = log.journal
        self._SyncObj__raftLog = _LogView(log)
        self._SyncObj__raftCurrentTerm = max(journal.term, journal.last_term)
        self._SyncObj__votedForNodeId = journal.voted_for
        self._SyncObj__raftCommitIndex = self._SyncObj__raftLastApplied = applied_index
        self._SyncObj__raftElectionDeadline = now() + self._SyncObj__generateRaftTimeout()
        self._SyncObj__noopIDx = 0

    # -- term, vote, role ------------------------------------------------------------------------
    @property
    def term(self) -> int:
        return self._SyncObj__raftCurrentTerm

    @property
    def voted_for(self) -> str | None:
        return self._SyncObj__votedForNodeId

    def set_term(self, term: int, voted_for: str | None) -> None:
        self.term_durable = False
        self._SyncObj__setCurrentTerm(term, voted_for)

    @property
    def role(self) -> Role:
        return _ROLES[self._SyncObj__raftState]

    @property
    def leading(self) -> bool:
        return self._SyncObj__raftState == 2

    def set_role(self, role: Role) -> None:
        self._SyncObj__setState(int(role))

    @property
    def leader_id(self) -> str | None:
        leader = self._SyncObj__raftLeader
        return None if leader is None else leader.node_id

    def set_leader(self, node: PeerNode | None) -> None:
        self._SyncObj__raftLeader = node

    @property
    def election_deadline(self) -> float:
        return self._SyncObj__raftElectionDeadline

    @property
    def transfer_asked(self) -> bool:
        """The leader told this node to campaign at once."""
        return self._SyncObj__transferInProgress

    def end_transfer(self) -> None:
        self._SyncObj__transferInProgress = False

    def restart_election_timer(self) -> None:
        self._SyncObj__raftElectionDeadline = self._now() + self._SyncObj__generateRaftTimeout()

    def campaign_soon(self) -> None:
        self._SyncObj__raftElectionDeadline = 0.0

    def hear_timeout_now(self, node: PeerNode, term: int) -> None:
        """Obeyed only when it comes from the leader this node follows."""
        super()._SyncObj__onMessageReceived(node, {"type": "timeout_now", "term": term})

    def become_leader(self) -> None:
        """Take office: peers start at the end of the log, and a no-op of the new term is appended."""
        self._SyncObj__onBecomeLeader()
        now = self._now()
        for node in self._SyncObj__lastResponseTime:
            self._SyncObj__lastResponseTime[node] = now
        self.replicate_now = True

    @property
    def no_op_index(self) -> int:
        """Index of the no-op of the last term led here, 0 when there was none."""
        return self._SyncObj__noopIDx

    # -- log positions ---------------------------------------------------------------------------
    @property
    def commit_index(self) -> int:
        return self._SyncObj__raftCommitIndex

    @commit_index.setter
    def commit_index(self, index: int) -> None:
        self._SyncObj__raftCommitIndex = index

    @property
    def applied_index(self) -> int:
        return self._SyncObj__raftLastApplied

    @applied_index.setter
    def applied_index(self, index: int) -> None:
        self._SyncObj__raftLastApplied = index

    # -- peers -----------------------------------------------------------------------------------
    @property
    def next_index(self) -> dict[PeerNode, int]:
        return self._SyncObj__raftNextIndex

    @property
    def match_index(self) -> dict[PeerNode, int]:
        return self._SyncObj__raftMatchIndex

    @property
    def answered_at(self) -> dict[PeerNode, float]:
        """When each peer last answered this leader (its start counts as an answer)."""
        return self._SyncObj__lastResponseTime

    def set_peers(self, voters: list[PeerNode], others: list[PeerNode]) -> None:
        """Whom to replicate to, this node left out; progress of those who stay is kept."""
        self._SyncObj__otherNodes, self._SyncObj__readonlyNodes = set(voters), set(others)
        now, end = self._now(), self._SyncObj__getCurrentLogIndex() + 1
        everybody = [*voters, *others]
        for table in (self.next_index, self.match_index, self.answered_at):
            for node in [node for node in table if node not in everybody]:
                del table[node]
        for node in everybody:
            self.next_index.setdefault(node, end)
            self.match_index.setdefault(node, 0)
            self.answered_at.setdefault(node, now)

    def forget_progress(self, node: PeerNode) -> None:
        """The node starts from nothing; `set_peers` must follow if it is to be replicated to."""
        for table in (self.next_index, self.match_index, self.answered_at):
            table.pop(node, None)

    def set_connected(self, node: PeerNode, connected: bool) -> None:
        if connected:
            self._SyncObj__onNodeConnected(node)
        else:
            self._SyncObj__onNodeDisconnected(node)

    def transfer_to(self, node: PeerNode) -> str | None:
        """Send the request to take over; why not, or None.  PySyncObj insists that the target has the
        very last entry."""
        answers: list[int] = []
        self.transferLeadership(node, lambda _result, error: answers.append(error))
        if answers == [FAIL_REASON.SUCCESS]:
            return None
        if answers == [FAIL_REASON.NOT_LEADER]:
            return "this node is not the leader"
        return f"{node.id} does not have the last entry of the log yet"

    # -- what PySyncObj calls, and what it must not -----------------------------------------------
    def _SyncObj__generateRaftTimeout(self) -> float:
        return self._uniform(self._options.election_min_s, self._options.election_max_s)

    def _SyncObj__sendAppendEntries(self) -> None:
        self.replicate_now = True

    def _SyncObj__onMessageReceived(self, node: PeerNode, message: dict[str, Any]) -> NoReturn:
        raise SafetyFault("a message reached PySyncObj around the engine")


for _name in REFUSED:
    setattr(Raft, _name, _refuse(_name))
