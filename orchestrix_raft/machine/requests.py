"""Results of clients' requests, remembered so that a repeated request gets its own answer.

Like the sequence of an origin this is bookkeeping of exactly-once, not something that happens to a job:
there is no event for it.  First in, first out, by elapsed time and by number.
"""

from orchestrix_raft.domain import limits
from orchestrix_raft.machine.codec import Remembered, encode_record
from orchestrix_raft.machine.commands import JobsResult, ScheduleResult, WhereResult
from orchestrix_raft.machine.history import REQUESTS
from orchestrix_raft.machine.state import State

Kept = JobsResult | WhereResult | ScheduleResult


def recall(state: State, request_id: bytes) -> Kept | None:
    """The result of this very request, if it was applied within the last REQUEST_TTL_MS."""
    if not request_id:
        return None
    kept = state.records.remembered(request_id)
    if kept is None or kept.expires_ms <= state.elapsed_ms:
        return None
    if kept.schedule is not None:
        return kept.schedule
    return JobsResult(kept.words) if kept.where is None else WhereResult(*kept.where)


def remember(state: State, request_id: bytes, result: Kept) -> None:
    """Keep a result; an empty id asks for no memory."""
    if not request_id:
        return
    state.counter += 1
    expires_ms = state.elapsed_ms + limits.REQUEST_TTL_MS
    if isinstance(result, JobsResult):
        kept = Remembered(state.counter, expires_ms, result.words)
    elif isinstance(result, ScheduleResult):
        kept = Remembered(state.counter, expires_ms, (), schedule=result)
    else:
        where = (result.done, result.skipped, result.cursor)
        kept = Remembered(state.counter, expires_ms, (), where)
    state.records.put(REQUESTS, request_id, encode_record(kept))
    # An id that expired and is used again before it was forgotten gives up its old place, as in a node that
    # was rebuilt from the table.
    state.requests.pop(request_id, None)
    state.requests[request_id] = (kept.seq, kept.expires_ms)
    if len(state.requests) > limits.REQUESTS_KEPT:
        _forget_oldest(state)


def expire(state: State) -> None:
    """Forget what is too old; a bounded number per entry."""
    for _ in range(limits.TIMERS_PER_ENTRY):
        if not state.requests or next(iter(state.requests.values()))[1] > state.elapsed_ms:
            return
        _forget_oldest(state)


def _forget_oldest(state: State) -> None:
    request_id, _ = state.requests.popitem(last=False)
    state.records.put(REQUESTS, request_id, None)
