"""This node's place among the members: what its Hello says of them, and who may speak to it as one.

Who is a member follows from the committed configuration alone.  When that changes every connection is
judged anew, so that a node that was added learns of it, and one that was removed.  A removed node that
runs is given time to hear it from the log, with all that belongs to it, before it is turned away.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.hello import Accept, Hello, Member, Reject, removed, why_removed
from orchestrix_raft.coordinator.recruits import Recruits
from orchestrix_raft.storage.disk import Disk
from orchestrix_raft.storage.port import StorageError

GRACE_S: Final = 6.0  # a little longer than the leader goes on sending its log to a removed node

log = logging.getLogger(__name__)


class Standing:
    """Of one process.  known: addresses of members by id.  announce: judge everybody anew, in a moment."""

    def __init__(
        self, disk: Disk, known: Callable[[], Mapping[str, str]], announce: Callable[[], None]
    ) -> None:
        self._disk = disk
        self._known = known
        self._announce = announce
        self._core: Core | None = None
        self._recruits: Recruits | None = None
        self._members: frozenset[str] = frozenset()
        self._index = -1
        self._grace: dict[str, asyncio.TimerHandle] = {}
        self.removed: asyncio.Future[str]
        """Once it serves: the line for a node that learnt from its log that it is no member any more."""

    def serve(self, core: Core, recruits: Recruits) -> None:
        """The node takes part from now on."""
        self._core = core
        self._recruits = recruits
        self.removed = asyncio.get_running_loop().create_future()

    # ---- what is said ----------------------------------------------------------------------------------

    def members(self) -> tuple[tuple[Member, ...], int]:
        """The members, and the log index that they are as of.  None, while this node has not heard yet of the
        configuration that added it."""
        identity = self._disk.identity
        if not identity.cluster_id:
            return (), 0
        if self._core is None:
            founders = (Member(one.node_id, one.disk_id, one.address) for one in identity.bootstrap)
            return tuple(founders), identity.joined_index
        index, configuration = self._core.consensus.settled
        if configuration is None or index < identity.joined_index:
            return (), identity.joined_index
        known = self._known()
        members = configuration.members.items()
        return tuple(Member(name, one.disk_id, known.get(name, "")) for name, one in members), index

    def gone(self, hello: Hello) -> None:
        """The last connection to a node has ended."""
        if self._recruits is not None:
            self._recruits.gone(hello)

    # ---- who may speak ---------------------------------------------------------------------------------

    def judge(self, mine: Hello, theirs: Hello, verdict: Accept) -> Accept | Reject:
        """Beyond what the two Hellos say by themselves."""
        if mine.cluster_id and theirs.joining and not theirs.cluster_id:
            return verdict if self._recruits is None else self._recruits.judge(theirs)
        why = why_removed(mine, theirs) if verdict.member else ""
        return Reject(why, final=True) if why and theirs.node_id not in self._grace else verdict

    def follow(self) -> None:
        """The configuration may be another one."""
        core = self._core
        if core is None:
            return
        index, configuration = core.consensus.settled
        if configuration is None or index == self._index:
            return
        members = frozenset(configuration.members)
        for node_id in self._members - members:
            self._let_linger(node_id)
        self._index, self._members = index, members
        self._announce()
        if core.removed_index and not self.removed.done():
            self._leave(core.removed_index)

    def _let_linger(self, node_id: str) -> None:
        def turn_away() -> None:
            self._grace.pop(node_id, None)
            self._announce()

        self._grace[node_id] = asyncio.get_running_loop().call_later(GRACE_S, turn_away)

    def _leave(self, index: int) -> None:
        identity = self._disk.identity
        try:
            self._disk.set_removed(index)
        except StorageError as error:  # the next start is told by the others
            log.warning("that this node was removed could not be remembered: %s", error)
        self.removed.set_result(removed(identity.node_id, identity.cluster_id))

    def close(self) -> None:
        """Nobody is turned away any more."""
        for timer in self._grace.values():
            timer.cancel()
