"""What this version of the software can run: machine levels, and what each of them brought.

The nodes of a cluster run different versions while it is upgraded, and must still do the same with every
entry.  So whatever a version brings that others would not understand, or would do otherwise, waits for a
*machine level*: a number in the state, raised by an entry of the log once every member has said that it can
run it.  A node that cannot run the level of its cluster stops before the entry that raised it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.machine.commands import Asked, Command
from orchestrix_raft.machine.events import Event
from orchestrix_raft.version import MACHINE_LEVEL, VERSION

if TYPE_CHECKING:
    from orchestrix_raft.machine.state import State


AUDIT_LEVEL: Final = 2
"""From it on the audit trail has PutSchedule, and says what of a queue was changed."""


class TooOld(Exception):
    """This software cannot go on with what the log, the checkpoint or the snapshot holds.  One line that says
    what to install; nothing of what it cannot understand was applied."""


class Migration(Protocol):
    """Brings stored records into the form of a level, a bounded number at a time."""

    def __call__(self, state: "State", cursor: bytes, limit: int) -> tuple[tuple[Event, ...], bytes | None]:
        """What happens to up to `limit` records from `cursor` on (b"": the first), and where the next step
        begins; None: that was the last.  Reads only, like every `decide`."""
        ...


class Rules(NamedTuple):
    """Of one version."""

    highest: int = MACHINE_LEVEL
    version: str = VERSION
    needs: Mapping[type, int] = MappingProxyType({})
    """Command -> the level from which on it may be in the log; all others belong to the first."""
    migrations: Mapping[int, Migration] = MappingProxyType({})
    """Level -> what its raise does to the records of the level below; none: they stay as they are."""

    def refusal(self, command: Command, level: int) -> Rejected | None:
        """Why a command may not be in the log of a cluster at `level`, if so."""
        asked = command.command if isinstance(command, Asked) else command
        needed = max(self.needs.get(type(one), FIRST_LEVEL) for one in (command, asked))
        if needed <= level:
            return None
        return Rejected(
            Code.FAILED_PRECONDITION,
            "LEVEL_TOO_LOW",
            f"this needs machine level {needed} and the cluster is at {level}: upgrade the remaining nodes,"
            " `orchestrix-raft status` shows their versions",
        )

    def check(self, level: int, raised_by: str) -> None:
        """TooOld unless this version runs `level`, to which version `raised_by` has raised the cluster."""
        if level > self.highest:
            raise TooOld(
                f"the cluster is at machine level {level}, raised by version {raised_by}; this is version "
                f"{self.version}, which runs levels up to {self.highest}: install version {raised_by} or"
                " newer"
            )


RULES: Final = Rules()
"""Of this version.  What a new level brings is entered here, as `needs` and `migrations`; what it decides
otherwise has its level by name above.  Level 2 has no new command and leaves records as they are."""
