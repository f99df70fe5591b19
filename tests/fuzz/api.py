"""The services of the API: what anybody who reaches the port may send, and what it leads to.

A call is answered, or refused with a reason and one line that is not "internal"; the state machine then holds
all of its invariants, and no fault was caught on the way.  What a refused call asked for was not done.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from google.protobuf.message import DecodeError

from orchestrix_raft.api.backups import BackupCalls
from orchestrix_raft.api.cluster import ClusterService
from orchestrix_raft.api.errors import Refusal, UnknownOutcome
from orchestrix_raft.api.jobs import JobService
from orchestrix_raft.api.queues import QueueService
from orchestrix_raft.api.schedules import ScheduleService
from orchestrix_raft.api.workers import WorkerService
from orchestrix_raft.domain.errors import Code
from orchestrix_raft.domain.job import OnConflict, UniqueScope
from orchestrix_raft.machine.invariants import check
from orchestrix_raft.wire import services
from orchestrix_raft.wire.jobs import EnqueueRequest, GetJobRequest, NewJob, unique_rule_message
from orchestrix_raft.wire.queues import ConfigureQueueRequest
from orchestrix_raft.wire.schedules import PutScheduleRequest
from orchestrix_raft.wire.services import Method
from orchestrix_raft.wire.transport import EOF
from orchestrix_raft.wire.workers import WorkerMessage
from tests.fuzz.direct_node import DirectNode
from tests.fuzz.messages import IDS, build, change
from tests.fuzz.pieces import Pieces

CALLS_MAX: Final = 8
MESSAGES_MAX: Final = 8  # of one stream
WRITTEN_MAX: Final = 5  # of a stream that may go on for ever
MESSAGE_CHARS: Final = 4_000
_FACES: Final = {
    services.JOBS.name: JobService,
    services.SCHEDULES.name: ScheduleService,
    services.QUEUES.name: QueueService,
    services.WORKERS.name: WorkerService,
    services.CLUSTER.name: ClusterService,
}
METHODS: Final = tuple(
    sorted(
        (zlib.crc32(method.path.encode()) & 0xFFFF, service.name, method)
        for service in services.ALL
        for method in service.methods.values()
    )
)
"""A method by a number that stays when others are added: samples of the corpus mean what they meant."""

CHANGED: Final = 128
"""From this byte on a request is a sound one, if there is one here, of which some fields are changed."""

RAW: Final = 224
"""From this byte on a request is bytes as they come; the byte says how many, of a stream."""

WORDS = tuple(mark.to_bytes(2) for mark, _, _ in METHODS)
_LOOP: Final = asyncio.new_event_loop()


class Gone(Exception):
    """The other side of a stream has had enough."""


class Stream:
    """The transport's end of a call: what it reads was built before, what is written must be a message."""

    def __init__(self, method: Method, incoming: list[Any]) -> None:
        self._method = method
        self._incoming = incoming
        self.written = 0

    async def read(self) -> Any:
        await asyncio.sleep(0)
        return self._incoming.pop(0) if self._incoming else EOF

    async def write(self, message: Any) -> None:
        assert isinstance(message, self._method.response)
        message.SerializeToString()
        self.written += 1
        if self.written == WRITTEN_MAX and self._method.server_streams and not self._method.client_streams:
            raise Gone
        await asyncio.sleep(0)


def target(data: bytes) -> None:
    """Up to eight calls to one node, of any method each."""
    pieces = Pieces(data)
    node = DirectNode()
    faces = {name: face(lambda: node) for name, face in _FACES.items()}
    for _ in range(CALLS_MAX):
        if pieces.over:
            break
        mark = int.from_bytes(pieces.take(2))
        _, name, method = next((one for one in METHODS if one[0] >= mark), METHODS[0])
        _LOOP.run_until_complete(_call(node, faces[name], method, pieces))
        assert not node.core.faults, f"a command was refused because of a bug: {node.core.faults}"
        assert not node.core.stopped
    check(node.core.replica.machine)


async def _call(node: DirectNode, face: Any, method: Method, pieces: Pieces) -> None:
    handler = _handler(face, method)
    before, began = _made(node), node.cores.now
    try:
        requests = _requests(method, pieces)
        if method.client_streams:
            async with asyncio.timeout(20):
                await handler(Stream(method, requests))
        elif method.server_streams:
            if hasattr(requests[0], "follow"):
                requests[0].follow = False
            await handler(requests[0], Stream(method, []))
        else:
            answer = await handler(requests[0])
            assert isinstance(answer, method.response)
            answer.SerializeToString()
    except Refusal as refusal:
        why = refusal.rejected
        assert why.code is not Code.INTERNAL, why
        assert why.reason.replace("_", "").isalnum(), why
        assert "\n" not in why.message, f"more than one line: {why.message!r}"
        assert len(why.message) <= MESSAGE_CHARS, "a refusal does not repeat whatever was sent"
        in_time = node.cores.now == began  # else something may have expired
        assert _made(node) == before or method.client_streams or not in_time, "what was refused was not done"
    except (UnknownOutcome, DecodeError, Gone):
        pass


def _made(node: DirectNode) -> tuple[int, int, int]:
    """What calls make, counted."""
    state = node.core.state
    return len(state.jobs), len(state.schedules), len(state.limited)


def _handler(face: Any, method: Method) -> Callable[..., Awaitable[Any]]:
    """The service's own function of the method."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in method.name).lstrip("_")
    if hasattr(face, snake):
        found: Callable[..., Awaitable[Any]] = getattr(face, snake)
        return found
    backups = BackupCalls(face._door)
    found = getattr(backups, snake)
    return found


def _requests(method: Method, pieces: Pieces) -> list[Any]:
    """Raw bytes, as they come, or messages made of them."""
    kind = pieces.byte()
    count = 1 + kind % MESSAGES_MAX if method.client_streams else 1
    if kind >= RAW:
        return [method.request.FromString(pieces.some()) for _ in range(count)]
    if kind >= CHANGED and method.name in SOUND:
        return [_changed(method, kind, pieces) for _ in range(count)]
    return [build(method.request, pieces) for _ in range(count)]


def _changed(method: Method, kind: int, pieces: Pieces) -> Any:
    request = method.request.FromString(pieces.choose(SOUND[method.name]))
    for _ in range(kind % 4):
        change(request, pieces)
    return request


def _sound() -> dict[str, tuple[bytes, ...]]:
    """Requests that are accepted, by method."""
    plain = NewJob(job_id=IDS[0], type="t", args=b'{"a":1}')
    delayed = NewJob(job_id=IDS[1], type="t", delay_ms=5, unique_key="u")
    delayed.unique.MergeFrom(unique_rule_message(UniqueScope.UNTIL_DONE, 0, OnConflict.REJECT))
    whole = NewJob(job_id=IDS[0], type="t", queue="q2", args=b"{}", priority=5, timeout_ms=9, retry_for_ms=9)
    whole.unique_key, whole.key, whole.correlation_id, whole.expires_ms = "k", "eu", "c", 9
    whole.labels.append("gpu")
    whole.retry.max_retries, whole.retry.jitter_percent = 3, 10
    whole.unique.MergeFrom(unique_rule_message(UniqueScope.WINDOW, 9, OnConflict.REPLACE))
    hello, report, goodbye = WorkerMessage(), WorkerMessage(), WorkerMessage()
    hello.hello.session_id, hello.hello.capacity = IDS[2], 2
    hello.hello.queues.append("default")
    report.report.completed.add(job_id=IDS[0], token=1, result=b"1")
    goodbye.goodbye.SetInParent()
    put = PutScheduleRequest(request_id=IDS[3])
    put.spec.id, put.spec.cron.expression, put.spec.job.type = "s", "*/5 * * * *", "t"
    limit = ConfigureQueueRequest(request_id=IDS[3], name="default", concurrency=1)
    found: dict[str, tuple[Any, ...]] = {
        "Enqueue": (EnqueueRequest(jobs=[plain, delayed]), EnqueueRequest(jobs=[whole])),
        "Session": (hello, report, goodbye),
        "GetJob": (GetJobRequest(job_id=IDS[0]),),
        "PutSchedule": (put,),
        "ConfigureQueue": (limit,),
    }
    return {name: tuple(one.SerializeToString() for one in requests) for name, requests in found.items()}


SOUND: Final = _sound()


def call(path: str, *requests: bytes) -> bytes:
    """The input that makes one call; for samples."""
    (mark,) = (mark for mark, _, method in METHODS if method.path.endswith(f"/{path}"))
    head = mark.to_bytes(2) + bytes((RAW + len(requests) - 1,))
    return head + b"".join(bytes((len(one),)) + one for one in requests)


def examples() -> list[bytes]:
    """A few calls that work, and build on each other; and sound requests to be changed."""
    enqueue = call("Enqueue", SOUND["Enqueue"][0])
    changed = [
        mark.to_bytes(2) + bytes((CHANGED, place))
        for mark, _, method in METHODS
        for place in range(len(SOUND.get(method.name, ())))
    ]
    return [
        enqueue + call("Session", *SOUND["Session"]) + call("GetJob", *SOUND["GetJob"]),
        call("PutSchedule", *SOUND["PutSchedule"]),
        call("ConfigureQueue", *SOUND["ConfigureQueue"]) + enqueue,
        call("Enqueue", SOUND["Enqueue"][1]),
        *changed,
    ]
