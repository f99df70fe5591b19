"""JobService.GetLogs and FollowLogs: what a job's handlers logged, wherever it is kept."""

from collections.abc import Awaitable, Callable
from typing import Final

from orchestrix_raft.api import checks
from orchestrix_raft.api.errors import Context, Refusal, invalid
from orchestrix_raft.coordinator.line_reader import LogPage
from orchestrix_raft.coordinator.port import NodePort
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import TERMINAL
from orchestrix_raft.wire import jobs as wire

FOLLOWERS: Final = 100  # of job logs at this node: each asks the other nodes every LOOK_MS
LOOK_MS: Final = 500  # between two looks at the log of a job that goes on
ATTEMPT_MAX: Final = (1 << 32) - 1

Place = tuple[int, int]
Confirm = Callable[[], Awaitable[object]]


async def page(node: NodePort, request: wire.GetLogsRequest, confirm: Confirm) -> LogPage | None:
    """One page; None: there is no such job, by the leader's word.  confirm: waits until a read is
    linearizable."""
    after, limit = _asked(request)
    found = await _page(node, request.job_id, after, limit)
    if found is None:
        await confirm()
        found = await _page(node, request.job_id, after, limit)
    return found


def _asked(request: wire.GetLogsRequest) -> tuple[Place, int]:
    checks.job_id(request.job_id)
    if request.after_number > limits.LINE_NUMBER_MAX or request.after_token > limits.TOKEN_MAX:
        place = f"{request.after_token}, {request.after_number}"
        raise invalid("CURSOR_INVALID", f"no line has the place {place}")
    return (request.after_token, request.after_number), checks.page(request.limit, limits.PAGE)


async def _page(node: NodePort, job_id: bytes, after: Place, limit: int) -> LogPage | None:
    found = await node.logs(job_id, after, limit)
    if isinstance(found, Rejected):
        raise Refusal(found)
    return found


class LogFollowers:
    """Those who follow job logs at one node."""

    def __init__(self) -> None:
        self._count = 0

    async def follow(
        self, node: NodePort, request: wire.GetLogsRequest, context: Context, confirm: Confirm
    ) -> bool:
        """Pages until the job has ended and its last line was told; False: there is no such job."""
        if self._count >= FOLLOWERS:
            message = f"{FOLLOWERS} readers follow job logs at this node already: use another one"
            raise Refusal(Rejected(Code.RESOURCE_EXHAUSTED, "TOO_MANY_FOLLOWERS", message))
        self._count += 1
        try:
            return await _follow(node, request, context, confirm)
        finally:
            self._count -= 1


async def _follow(node: NodePort, request: wire.GetLogsRequest, context: Context, confirm: Confirm) -> bool:
    if await page(node, request, confirm) is None:
        return False
    after, limit = _asked(request)
    while True:
        view = node.job(request.job_id)
        ended = view is None or view.job.state in TERMINAL  # looked at before the lines: none comes after it
        found = await _page(node, request.job_id, after, limit)
        if found is None:
            return True
        await context.write(wire.logs_response(found.lines, found.silent))
        if found.lines:
            after = found.lines[-1].place
        if not found.more:
            if ended:
                return True
            await node.wait_job(request.job_id, LOOK_MS)
