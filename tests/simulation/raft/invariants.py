"""What must hold after every step of a simulated cluster, whatever went wrong before.

The checker sees everything: memory of the living nodes, disks of the dead.  It keeps its own record of
what was committed and judges the engines by that, never by what they say about themselves.
"""

from collections.abc import Iterable

from orchestrix_raft.consensus.configuration import Configuration, Placed, Standing
from orchestrix_raft.consensus.entries import COMMAND, CONFIGURATION
from orchestrix_raft.consensus.port import Role
from orchestrix_raft.storage.port import Entry
from tests.simulation.raft.node import RaftNode


class Violation(Exception):
    """A promise was broken: kind and what happened."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind


class Invariants:
    """The record of one run."""

    def __init__(self, nodes: dict[str, RaftNode], start_list: Configuration) -> None:
        self._nodes = nodes
        self._start_list = start_list
        self.committed: dict[int, Entry] = {1: Entry(b"\x01", 1, 0)}
        self._committed_in: dict[int, int] = {}  # index -> term of the node that showed it first
        self.top = 1
        self.leaders: dict[int, str] = {}
        self._checked_commit: dict[tuple[str, int], int] = {}
        self._checked_applied: dict[tuple[str, int], int] = {}
        self._checked_log: dict[str, tuple[int, int, int, int]] = {}
        self.configurations = [Placed(0, start_list)]

    def check(self, node: RaftNode) -> None:
        """After every step of `node`."""
        self._check_commit(node)
        self._check_leader(node)
        self._check_configuration(node)
        self._check_applied(node)
        self._check_memory(node)

    def _check_memory(self, node: RaftNode) -> None:
        """No disk of these runs is ever an old one of the same id: nobody may say so."""
        for line in node.engine.problems():
            if "has forgotten" in line:
                raise Violation("FALSE_ACCUSATION", line)

    # -- commit ----------------------------------------------------------------------------------
    def _check_commit(self, node: RaftNode) -> None:
        engine = node.engine
        key = (node.node_id, node.lives)
        seen = self._checked_commit.get(key, 0)
        if engine.commit_index <= seen:
            if engine.commit_index < seen:
                raise Violation("COMMIT_REGRESS", f"{node.node_id} {seen} -> {engine.commit_index}")
            return
        journal = node.journal
        fresh = seen > 0 and engine.role is Role.LEADER
        for index in range(max(seen + 1, journal.first_index + 1), engine.commit_index + 1):
            self._record(journal.entry(index), node)
        self._checked_commit[key] = engine.commit_index
        if fresh and journal.entry(engine.commit_index).term == engine.term:
            self._check_durable(node, journal.entry(engine.commit_index))

    def _record(self, entry: Entry, node: RaftNode) -> None:
        known = self.committed.setdefault(entry.index, entry)
        if (known.data, known.term) != (entry.data, entry.term):
            raise Violation(
                "COMMITTED_CHANGED",
                f"{node.node_id} commits {entry}, it was {known} (term {node.engine.term})",
            )
        if entry.index not in self._committed_in:
            self._committed_in[entry.index] = node.engine.term
            self.top = max(self.top, entry.index)
            if entry.data[:1] == CONFIGURATION:
                self._record_configuration(Placed(entry.index, Configuration.decode(entry.data)))

    def _record_configuration(self, new: Placed) -> None:
        old = self.configurations[-1]
        assert old.configuration is not None
        assert new.configuration is not None
        if new.configuration.previous_index != old.index:
            raise Violation(
                "CONFIG_CHAIN", f"{new} follows {new.configuration.previous_index}, not {old.index}"
            )
        before, after = set(old.configuration.voters), set(new.configuration.voters)
        if len(before ^ after) > 1:
            raise Violation("QUORUM_STEP", f"{old} -> {new}")
        if any(i not in old.configuration.members for i in after - before):
            raise Violation("NOT_VIA_LEARNER", f"{old} -> {new}")
        self.configurations.append(new)

    def _check_durable(self, leader: RaftNode, entry: Entry) -> None:
        configuration = leader.engine.configuration
        assert configuration is not None
        holders = [
            voter
            for voter, member in configuration.members.items()
            if member.standing is Standing.VOTER and self._on_disk(voter, member.disk_id, entry)
        ]
        if not configuration.is_quorum(holders):
            raise Violation(
                "UNDURABLE_COMMIT", f"{leader.node_id} commits {entry.index}, durable only on {holders}"
            )

    def _on_disk(self, node_id: str, disk_id: str, entry: Entry) -> bool:
        node = self._nodes[node_id]
        if node.disk_id != disk_id:
            return True  # it was lost after it had voted: no rule can bring it back
        stored = node.disk._entries
        position = node.disk._position
        if position is not None and position.index >= entry.index:
            return True
        if not stored:
            return False
        offset = entry.index - stored[0].index
        return offset <= 0 or (offset < len(stored) and stored[offset].term == entry.term)

    # -- leader ----------------------------------------------------------------------------------
    def _check_leader(self, node: RaftNode) -> None:
        engine = node.engine
        if engine.role is not Role.LEADER:
            return
        known = self.leaders.get(engine.term)
        if known == node.node_id:
            return
        if known is not None:
            raise Violation("ELECTION_SAFETY", f"{known} and {node.node_id} lead term {engine.term}")
        self.leaders[engine.term] = node.node_id
        journal = node.journal
        for index in range(journal.first_index + 1, self.top + 1):
            entry = self.committed.get(index)
            if entry is None or self._committed_in[index] >= engine.term:
                continue
            if index > journal.last_index or journal.entry(index) != entry:
                raise Violation("LEADER_COMPLETENESS", f"{node.node_id} leads {engine.term} without {entry}")
        self._check_member_leads(node)

    def _check_member_leads(self, node: RaftNode) -> None:
        engine = node.engine
        found = self._configurations_of(node)
        newest, before = found[-1], found[-2] if len(found) > 1 else found[-1]
        placed = [newest] if newest.index <= engine.commit_index else [newest, before]
        for one in placed:
            member = one.configuration.members.get(node.node_id) if one.configuration else None
            if member is not None and member.standing is Standing.VOTER and member.disk_id == node.disk_id:
                return
        raise Violation("NONMEMBER_LEADER", f"{node.node_id} leads term {engine.term} under {newest}")

    # -- configuration and state -----------------------------------------------------------------
    def _configurations_of(self, node: RaftNode) -> list[Placed]:
        """By an independent look at the journal; below its start by the record of what was committed."""
        journal = node.journal
        below = [placed for placed in self.configurations if placed.index <= journal.first_index]
        entries = journal.slice(journal.first_index + 1, journal.last_index + 1)
        held = [Placed(e.index, Configuration.decode(e.data)) for e in entries if e.data[:1] == CONFIGURATION]
        return below + held

    def _check_configuration(self, node: RaftNode) -> None:
        journal, engine = node.journal, node.engine
        key = (journal.first_index, journal.last_index, journal.last_term, node.lives)
        if self._checked_log.get(node.node_id) == key:
            return
        self._checked_log[node.node_id] = key
        expected = self._configurations_of(node)[-1]
        if expected.index == 0 and node.bootstrap is None and engine.configuration is None:
            return  # it joined and has not come to a configuration entry yet
        if (expected.configuration, expected.index) != (engine.configuration, engine._log.in_force.index):
            raise Violation(
                "CONFIG_NOT_FROM_LOG", f"{node.node_id} uses {engine._log.in_force}, its log says {expected}"
            )

    def _check_applied(self, node: RaftNode) -> None:
        """The state is exactly the committed commands up to the applied index."""
        key = (node.node_id, node.lives)
        applied, seen = node.engine.applied_index, self._checked_applied.get(key, 0)
        if applied == seen:
            return
        if applied < seen:
            raise Violation("APPLIED_REGRESS", f"{node.node_id} {seen} -> {applied}")
        self._checked_applied[key] = applied
        state = node.machine.applied
        since = 0 if seen == 0 or node.journal.first_index > seen else seen
        expected = [
            (index, self.committed[index].data[1:])
            for index in range(since + 1, applied + 1)
            if self.committed[index].data[:1] == COMMAND
        ]
        found = state if since == 0 else [item for item in state[-len(expected) - 1 :] if item[0] > since]
        if found != expected:
            raise Violation(
                "STATE_DIVERGED", f"{node.node_id} at {applied}: {found[-3:]} for {expected[-3:]}"
            )

    # -- now and then ----------------------------------------------------------------------------
    def check_log_matching(self, nodes: Iterable[RaftNode]) -> None:
        """Same index and term: same entry, and the same entries before it."""
        up = [node.journal for node in nodes if node.up]
        for number, a in enumerate(up):
            for b in up[:number]:
                low, high = max(a.first_index, b.first_index) + 1, min(a.last_index, b.last_index)
                matched = False
                for index in range(high, low - 1, -1):
                    left, right = a.entry(index), b.entry(index)
                    if left.term == right.term:
                        matched = True
                    if matched and left != right:
                        raise Violation("LOG_MATCHING", f"{left} and {right}")
