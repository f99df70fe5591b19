"""Who caused what an entry did: the client, the worker, the node or the leader behind a command, or time.

Taken down while commands are applied, for the event feed; not part of the state and of no digest.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from orchestrix_raft.domain.worker import Session
from orchestrix_raft.machine.commands import (
    AttachSession,
    CloseSession,
    DetachSession,
    DrainNode,
    DrainSession,
    ExpireSession,
    FireSchedule,
    Forget,
    ForgetAudit,
    MigrateRecords,
    MoveSessions,
    NodeHealthChanged,
    NodeStarted,
    NodeStopped,
    Observe,
    RaiseLevel,
    RemoveNode,
    Report,
    ResumeSession,
)


class Actor(IntEnum):
    """A kind of actor.  Numbers are stored in the feeds of nodes: never changed, never used again."""

    TIME = 1  # something was due
    CLIENT = 2
    WORKER = 3
    NODE = 4
    LEADER = 5  # one of its duties

    @property
    def word(self) -> str:
        """As it is shown."""
        return self.name.lower()


class Cause(NamedTuple):
    """Of the events of an entry from position `first` on, up to the next cause.

    name: of the worker, or the id of the node; for a client, of the node that took the call.
    """

    first: int
    actor: Actor
    name: str


_OF_WORKERS: Final = frozenset({Report, Observe, AttachSession, ResumeSession, DrainSession, CloseSession})
_OF_NODES: Final = frozenset({DetachSession, NodeStarted, NodeStopped})
_OF_THE_LEADER: Final = frozenset(
    {
        NodeHealthChanged,
        RemoveNode,
        MoveSessions,
        ExpireSession,
        Forget,
        ForgetAudit,
        FireSchedule,
        RaiseLevel,
        MigrateRecords,
    }
)

_ACTORS: Final = MappingProxyType[type, Actor](
    dict[type, Actor]()
    | dict.fromkeys(_OF_WORKERS, Actor.WORKER)
    | dict.fromkeys(_OF_NODES, Actor.NODE)
    | dict.fromkeys(_OF_THE_LEADER, Actor.LEADER)
)


def actor_of(sessions: Mapping[bytes, Session], node_id: str, command: Any) -> tuple[Actor, str]:
    """Who is behind a command that came through the node `node_id`; asked before it is applied: it may end
    the session that it is from."""
    actor = _ACTORS.get(type(command), Actor.CLIENT)
    match actor:
        case Actor.WORKER:
            session = sessions.get(command.session_id)
            return actor, session.name if session is not None else getattr(command, "name", "")
        case Actor.NODE:
            return actor, node_id or getattr(command, "node_id", "")
        case Actor.LEADER:
            return actor, ""
        case _ if type(command) is DrainNode and command.leaving:
            return Actor.NODE, node_id
        case _:
            return actor, node_id
