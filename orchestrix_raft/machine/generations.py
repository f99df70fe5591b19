"""Generations of a cluster: what a restore or a recovery makes void.

A cluster that goes on from a backup, or from the survivor of a lost majority, has forgotten whatever its
former self did afterwards.  That former self may have given the same jobs to workers under tokens of the
same numbers. So the new cluster begins with one entry that raises the generation: every token from then on
is larger than every token from before, those from before are refused, and nobody resumes a session from
before.  The jobs that ran are taken from such sessions when these expire, which is later than when their
workers stop by themselves.

The same entry stands for whatever else the state has to be told then.  Marks for comparing contents are
here, too: both are for those who look after a cluster's data."""

from collections.abc import Iterator
from typing import Final

from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.node import OVER, Health
from orchestrix_raft.machine.commands import MarkContents, RaiseGeneration
from orchestrix_raft.machine.events import ContentsMarked, Event, GenerationRaised, NodeHealthSet
from orchestrix_raft.machine.sessions import detachments
from orchestrix_raft.machine.state import GENERATION_SHIFT, State

_NUMBER: Final = (1 << GENERATION_SHIFT) - 1  # what of a token or an epoch is not the generation

# ---- decide


def decide_raise(state: State, command: RaiseGeneration) -> tuple[Event, ...] | Rejected:
    """Every session gets a deadline anew, every node is over, and then the generation is the next one."""
    if command.seen != state.generation:
        return Rejected(
            Code.FAILED_PRECONDITION,
            "GENERATION_CHANGED",
            f"the state is of generation {state.generation}, not {command.seen}",
        )
    sessions = [state.sessions[session_id] for session_id in sorted(state.sessions)]
    ends = (
        NodeHealthSet(node_id, state.nodes[node_id].incarnation, Health.DEAD)
        for node_id in sorted(state.nodes)
        if state.nodes[node_id].health not in OVER
    )
    return (*detachments(state, sessions), *ends, GenerationRaised(command.seen + 1))


def decide_mark(state: State, command: MarkContents) -> tuple[ContentsMarked]:
    """Every node looks at what it holds after this entry."""
    return (ContentsMarked(),)


# ---- evolve


def evolve_raised(state: State, event: GenerationRaised) -> None:
    """No epoch that anybody was ever told is that of a session any more."""
    state.generation = event.generation
    for session_id, session in state.sessions.items():
        session.epoch = (event.generation << GENERATION_SHIFT) | (session.epoch & _NUMBER)
        state.touched_sessions[session_id] = session


def evolve_marked(state: State, event: ContentsMarked) -> None:
    """For the node around the machine; nothing is decided by it."""
    state.marked = state.index


# ---- what must hold


def faults_in_generations(state: State) -> Iterator[str]:
    """What contradicts the rules above, one line each."""
    newest = (state.generation << GENERATION_SHIFT) + state.token_counter
    for session in state.sessions.values():
        name = f"session {session.session_id.hex()}"
        former = session.epoch >> GENERATION_SHIFT > 0
        if former and session.node_id:
            yield f"{name} is of a former generation and attached"
        for token in session.slots:
            if token > newest:
                yield f"{name} holds token {token}, the newest is {newest}"
            if token >> GENERATION_SHIFT < state.generation and not former:
                yield f"{name} could be resumed and holds token {token} of a former generation"
