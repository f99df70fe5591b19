"""Cancel, retry and purge: of one job, and of all that a filter accepts, step by step."""

import os
from typing import Any

from orchestrix_raft.client.calls import Caller
from orchestrix_raft.wire import jobs as wire
from orchestrix_raft.wire import services
from orchestrix_raft.wire.errors import JobNotFound


async def steer(caller: Caller, op: str, method: services.Method, request: Any, job_id: str) -> str:
    """What became of the one job that `request` names, in a word; `JobNotFound`."""
    notes = caller.notes
    if notes is None:
        response: wire.JobsResponse = await caller.call(method, request)
    else:
        response = await notes.steer(op, job_id, request, lambda: caller.call(method, request))
    caller.wrote(response.applied_index)
    word = response.results[0]
    if word == "not_found":
        raise JobNotFound(f"no job {job_id}", "JOB_NOT_FOUND")
    return word


async def steer_where(
    caller: Caller, op: str, method: services.Method, where: wire.JobFilterMessage, reason: str = ""
) -> int:
    """All steps of a command on a filter; how many jobs it did something to."""
    notes = caller.notes
    if notes is None:
        return await _walk(caller, method, where, reason)
    return await notes.where(op, where, lambda: _walk(caller, method, where, reason))


async def _walk(caller: Caller, method: services.Method, where: wire.JobFilterMessage, reason: str) -> int:
    done = 0
    cursor = b""
    while True:
        request = wire.WhereRequest(request_id=os.urandom(16), filter=where, cursor=cursor, reason=reason)
        response: wire.WhereResponse = await caller.call(method, request)
        caller.wrote(response.applied_index)
        done += response.done
        cursor = response.next_cursor
        if not cursor:
            return done
