"""Assigning ready jobs to free slots, after every command and after the timers of an entry.

Which job: over all lanes a pool serves, higher priority first, then ready longest.  Which worker: lowest
used/capacity, then longest idle.  Afterwards no lane with a job in it is served by a free slot.  An
assignment costs the logarithm of what waits; jobs and sessions that do not fit are not looked at.
"""

from heapq import heappop, heapreplace

from orchestrix_raft.machine.attempts import decide_assignment, evolve_assigned
from orchestrix_raft.machine.events import Event
from orchestrix_raft.machine.state import State


def dispatch(state: State, events: list[Event]) -> None:
    """Assign what can be assigned; appends one JobAssigned each."""
    board = state.board
    if board.freed:
        board.refresh()
    if not board.woken:
        return
    jobs = state.jobs
    sessions = state.sessions
    candidates = board.candidates(jobs)
    while candidates:
        rank, _, job_id, lane = candidates[0]
        best = lane.best()
        if best is None:
            heappop(candidates)
            continue
        pool, session_id = best
        session = sessions[session_id]
        event = decide_assignment(state, jobs[job_id], session)
        lane.take(rank)
        evolve_assigned(state, event)
        pool.reseat(session)
        events.append(event)
        item = lane.first(jobs)
        if item is None:
            heappop(candidates)
        else:
            heapreplace(candidates, (item[0], item[1], item[2], lane))
