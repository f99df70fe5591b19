"""Assigning ready jobs to free slots, after every command and after the timers of an entry.

Which job: over all lanes a pool serves, higher priority first, then ready longest, among those that their
queue's limits let through.  Which worker: lowest used/capacity, then longest idle.  Afterwards no lane with
such a job in it is served by a free slot.  An assignment costs the logarithm of what waits; jobs and
sessions that do not fit, and jobs behind a closed gate, are not looked at.
"""

from collections.abc import Mapping
from heapq import heappop, heappush, heapreplace

from orchestrix_raft.domain.job import Job
from orchestrix_raft.machine.attempts import decide_assignment, evolve_assigned
from orchestrix_raft.machine.board import Candidate
from orchestrix_raft.machine.events import Event
from orchestrix_raft.machine.evolve import EVOLVE
from orchestrix_raft.machine.gates import Gate
from orchestrix_raft.machine.jobs import decide_overdue
from orchestrix_raft.machine.state import State


def dispatch(state: State, events: list[Event]) -> None:
    """Assign what can be assigned; appends one JobAssigned each."""
    board = state.board
    if board.freed:
        board.refresh()
    if not board.woken and not board.opened:
        return
    jobs = state.jobs
    sessions = state.sessions
    candidates = board.candidates(jobs)
    while candidates:
        _, _, job_id, lane = candidates[0]
        gate = lane.gate
        if gate is not None and not _passes(gate, candidates, jobs):
            continue
        best = lane.best()
        if best is None:
            heappop(candidates)
            if gate is not None:
                _follow(gate, candidates, jobs)
            continue
        job = jobs[job_id]
        overdue = None if job.timer is None else decide_overdue(state, job)
        if overdue is not None:
            EVOLVE[type(overdue)](state, overdue)
            events.append(overdue)
        else:
            pool, session_id = best
            session = sessions[session_id]
            event = decide_assignment(state, job, session)
            lane.take()
            evolve_assigned(state, event)
            pool.reseat(session)
            events.append(event)
        item = lane.first(jobs)
        if item is None:
            heappop(candidates)
        else:
            heapreplace(candidates, (item[0], item[1], item[2], lane))
        if gate is not None:
            _follow(gate, candidates, jobs)


def _passes(gate: Gate, candidates: list[Candidate], jobs: Mapping[bytes, Job]) -> bool:
    """Whether the best candidate may be assigned.  If not, it has been put where it belongs: its queue is
    closed, or another lane has used what its key was allowed."""
    candidate = candidates[0]
    if not gate.is_open():
        gate.wait(heappop(candidates))
        return False
    lane = candidate[3]
    item = lane.first(jobs)
    if item is None:
        heappop(candidates)
        _follow(gate, candidates, jobs)
    elif item[1] != candidate[1]:
        heapreplace(candidates, (item[0], item[1], item[2], lane))
    else:
        return True
    return False


def _follow(gate: Gate, candidates: list[Candidate], jobs: Mapping[bytes, Job]) -> None:
    """An open gate always has its best waiting lane among the candidates."""
    if gate.is_open():
        candidate = gate.next(jobs)
        if candidate is not None:
            heappush(candidates, candidate)


def shut_out(state: State) -> None:
    """After loading: everything stands where it stood, nothing is assigned."""
    for candidate in state.board.candidates(state.jobs):
        gate = candidate[3].gate
        if gate is not None and not gate.is_open():
            gate.wait(candidate)
