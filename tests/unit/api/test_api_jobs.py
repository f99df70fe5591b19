"""JobService over a real gRPC connection, with a node in memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from orchestrix_raft.coordinator.port import Done, NotApplied, Unknown
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.machine.commands import CancelJobs, Enqueue, EnqueueResult, RetryJobs
from orchestrix_raft.wire import jobs as wire
from orchestrix_raft.wire.common import ReadOptions, RetryPolicyMessage
from orchestrix_raft.wire.services import JOBS
from orchestrix_raft.wire.status import reason_of
from orchestrix_raft.wire.transport import EOF
from tests.unit.api.fake_node import NO_LEADER, FakeNode, serving

ID = bytes(range(16))
OTHER = bytes(range(1, 17))
MIB = 1 << 20
YEAR_MS = 366 * 24 * 3_600_000


class Stub:
    """Methods of JobService by name."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        method = JOBS.methods[name]
        make: Any = self._channel.stream_stream if method.client_streams else self._channel.unary_unary
        return make(method.path, method.request.SerializeToString, method.response.FromString)


@pytest.fixture
async def stub(node: FakeNode) -> AsyncIterator[Stub]:
    async with serving(node) as address, grpc.aio.insecure_channel(address) as channel:
        yield Stub(channel)


def new_job(**changes: Any) -> wire.NewJob:
    return wire.NewJob(**({"job_id": ID, "type": "t"} | changes))


def request_of(*jobs: wire.NewJob, batch_id: int = 0) -> wire.EnqueueRequest:
    return wire.EnqueueRequest(jobs=jobs, batch_id=batch_id)


async def refusal(call: Any) -> tuple[str, str, str]:
    """(code, reason, message) of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    trailers: Any = error.trailing_metadata()
    return error.code().name, reason_of(trailers), error.details() or ""


async def test_a_batch_is_one_command(node: FakeNode, stub: Stub) -> None:
    response = await stub.Enqueue(request_of(new_job(), new_job(job_id=OTHER)))
    assert [len(command.jobs) for command in node.submitted if isinstance(command, Enqueue)] == [2]
    assert response.applied_index == 1
    assert not response.existing
    assert not response.rejected


async def test_a_job_that_exists_is_named_with_its_id(stub: Stub) -> None:
    await stub.Enqueue(request_of(new_job()))
    response = await stub.Enqueue(request_of(new_job(job_id=OTHER), new_job()))
    assert [(e.position, e.job_id) for e in response.existing] == [(1, ID)]


HOSTILE = [
    (new_job(job_id=b""), "JOB_ID_INVALID", "job_id has 0 bytes"),
    (new_job(job_id=b"x" * 17), "JOB_ID_INVALID", "17 bytes"),
    (new_job(type=""), "TYPE_INVALID", "type is empty"),
    (new_job(type="t" * 201), "TYPE_INVALID", "at most 200"),
    (new_job(type="a b"), "TYPE_INVALID", "'a b'"),
    (new_job(type="a\x00"), "TYPE_INVALID", "control characters"),
    (new_job(queue="a,b"), "QUEUE_INVALID", "'a,b'"),
    (new_job(queue="ä"), "QUEUE_INVALID", "'ä'"),
    (new_job(queue="a\n"), "QUEUE_INVALID", "letters"),
    (new_job(queue="q" * 101), "QUEUE_INVALID", "at most 100"),
    (new_job(args=b"{"), "ARGS_NOT_JSON", "not JSON"),
    (new_job(args=b'{"a":"\xff"}'), "ARGS_NOT_JSON", "not JSON"),
    (new_job(args=b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "ARGS_NOT_JSON", "recursion"),
    (new_job(args=b'{"a":NaN}'), "ARGS_NOT_JSON", "not JSON"),
    (new_job(args=b'{"a":-Infinity}'), "ARGS_NOT_JSON", "not JSON"),
    (new_job(args=b'{"a":1e999}'), "ARGS_NOT_JSON", "out of range"),
    (new_job(args=b"[1]"), "ARGS_NOT_AN_OBJECT", "object"),
    (new_job(args=b'{"a":"' + b"x" * MIB + b'"}'), "ARGS_TOO_LARGE", "at most 1048576"),
    (new_job(priority=1_000_001), "PRIORITY_OUT_OF_RANGE", "1000001"),
    (new_job(priority=-1_000_001), "PRIORITY_OUT_OF_RANGE", "-1000001"),
    (new_job(run_at_ms=1, delay_ms=1), "RUN_AT_AND_DELAY", "exclude"),
    (new_job(run_at_ms=1 << 63), "RUN_AT_OUT_OF_RANGE", "9999"),
    (new_job(delay_ms=YEAR_MS + 1), "DURATION_TOO_LONG", "delay_ms"),
    (new_job(timeout_ms=(1 << 64) - 1), "DURATION_TOO_LONG", "timeout_ms"),
    (new_job(unique_key="k" * 257), "UNIQUE_KEY_TOO_LONG", "at most 256"),
    (new_job(correlation_id="k" * 257), "CORRELATION_ID_TOO_LONG", "at most 256"),
    (new_job(labels=[f"l{n}" for n in range(17)]), "LABELS_INVALID", "at most 16"),
    (new_job(labels=[""]), "LABELS_INVALID", "''"),
    (new_job(labels=["a b"]), "LABELS_INVALID", "'a b'"),
    (new_job(retry=RetryPolicyMessage(max_retries=1_001)), "RETRY_POLICY_INVALID", "within 0..1000"),
    (new_job(retry=RetryPolicyMessage(jitter_percent=101)), "RETRY_POLICY_INVALID", "within 0..100"),
    (new_job(retry=RetryPolicyMessage(multiplier_permille=100_001)), "RETRY_POLICY_INVALID", "multiplier"),
    (new_job(retry=RetryPolicyMessage(multiplier_permille=999)), "RETRY_POLICY_INVALID", "multiplier"),
    (new_job(retry=RetryPolicyMessage(delay_ms=YEAR_MS + 1)), "DURATION_TOO_LONG", "retry.delay_ms"),
    (new_job(retry=RetryPolicyMessage(max_delay_ms=YEAR_MS + 1)), "DURATION_TOO_LONG", "retry.max_delay_ms"),
]


@pytest.mark.parametrize(
    ("job", "reason", "words"), HOSTILE, ids=[f"{n}-{row[1]}" for n, row in enumerate(HOSTILE)]
)
async def test_a_malformed_job_is_refused_in_one_line(
    node: FakeNode, stub: Stub, job: wire.NewJob, reason: str, words: str
) -> None:
    code, given, message = await refusal(stub.Enqueue(request_of(job)))
    assert (code, given) == ("INVALID_ARGUMENT", reason)
    assert words in message
    assert "\n" not in message
    assert len(message) < 400
    assert not node.submitted


async def test_what_is_just_within_the_limits_is_taken(stub: Stub) -> None:
    job = new_job(
        type="t" * 200,
        queue="aZ0._:/@-" * 11,
        args=b'{"a":"' + b"x" * (MIB - 8) + b'"}',
        priority=-1_000_000,
        delay_ms=YEAR_MS,
        timeout_ms=YEAR_MS,
        unique_key="k" * 256,
        labels=["zone=eu", *(f"l{n}" for n in range(15))],
        retry=RetryPolicyMessage(max_retries=1_000, jitter_percent=100),
    )
    response = await stub.Enqueue(request_of(job))
    assert not response.rejected


async def test_a_malformed_job_does_not_take_its_neighbours_down(node: FakeNode, stub: Stub) -> None:
    response = await stub.Enqueue(request_of(new_job(type=""), new_job(), new_job(job_id=b"")))
    assert [(r.position, r.code, r.reason) for r in response.rejected] == [
        (0, 3, "TYPE_INVALID"),
        (2, 3, "JOB_ID_INVALID"),
    ]
    assert list(node.jobs) == [ID]


async def test_positions_count_in_the_request_also_behind_refused_jobs(node: FakeNode, stub: Stub) -> None:
    full = Rejected(Code.RESOURCE_EXHAUSTED, "LIVE_JOBS", "too many live jobs")
    node.answer = lambda command: Done(4, EnqueueResult({0: OTHER}, {1: full}))
    response = await stub.Enqueue(request_of(new_job(type=""), new_job(), new_job(), new_job()))
    assert [(e.position, e.job_id) for e in response.existing] == [(1, OTHER)]
    assert [(r.position, r.reason) for r in response.rejected] == [(0, "TYPE_INVALID"), (2, "LIVE_JOBS")]


async def test_a_request_of_which_every_job_is_refused_fails_as_a_whole(node: FakeNode, stub: Stub) -> None:
    full = Rejected(Code.RESOURCE_EXHAUSTED, "LIVE_JOBS", "too many live jobs")
    node.answer = lambda command: Done(4, EnqueueResult({}, {0: full}))
    assert await refusal(stub.Enqueue(request_of(new_job()))) == (
        "RESOURCE_EXHAUSTED",
        "LIVE_JOBS",
        full.message,
    )


@pytest.mark.parametrize(
    ("jobs", "reason", "words"),
    [
        ([], "BATCH_EMPTY", "no jobs"),
        ([new_job()] * 1_001, "BATCH_TOO_LARGE", "1001 jobs: at most 1000"),
        ([new_job(args=b'{"a":"' + b"x" * 900_000 + b'"}')] * 5, "BATCH_TOO_LARGE", "at most 4194304"),
    ],
)
async def test_a_batch_beyond_the_limits_is_refused(
    stub: Stub, jobs: list[wire.NewJob], reason: str, words: str
) -> None:
    code, given, message = await refusal(stub.Enqueue(request_of(*jobs)))
    assert (code, given) == ("INVALID_ARGUMENT", reason)
    assert words in message


async def test_a_message_far_beyond_the_limits_never_reaches_the_node(node: FakeNode, stub: Stub) -> None:
    jobs = [new_job(args=b'{"a":"' + b"x" * 1_000_000 + b'"}')] * 6
    code, reason, message = await refusal(stub.Enqueue(request_of(*jobs)))
    assert code == "RESOURCE_EXHAUSTED"
    assert reason == "", (
        "the transport refuses it before anybody of ours sees it: see docs/reference/errors.md"
    )
    assert "larger than max" in message
    assert not node.submitted


@pytest.mark.parametrize(
    ("outcome", "wanted"),
    [
        (NotApplied(NO_LEADER), ("UNAVAILABLE", "NO_LEADER", NO_LEADER.message)),
        (Unknown("the leader is gone"), ("UNKNOWN", "OUTCOME_UNKNOWN", "the leader is gone")),
        (Done(1, Rejected(Code.ABORTED, "X", "no")), ("ABORTED", "X", "no")),
    ],
)
async def test_outcomes_become_codes_with_their_reason(
    node: FakeNode, stub: Stub, outcome: Any, wanted: tuple[str, str, str]
) -> None:
    node.answer = lambda command: outcome
    assert await refusal(stub.Enqueue(request_of(new_job()))) == wanted


async def test_an_error_of_the_node_is_internal_and_tells_no_secrets(
    node: FakeNode, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(command: object) -> None:
        raise ZeroDivisionError("secret")

    node.answer = fail
    code, reason, message = await refusal(stub.Enqueue(request_of(new_job())))
    assert (code, reason) == ("INTERNAL", "INTERNAL")
    assert "secret" not in message
    assert "secret" in caplog.text


NO_MESSAGE = b"\x0a\x04\x12\x02\xff\xfe"  # a job whose type is not UTF-8


@pytest.mark.parametrize("name", [name for name, m in JOBS.methods.items() if not m.client_streams])
async def test_bytes_that_are_no_message_are_the_callers_fault(node: FakeNode, name: str) -> None:
    async with serving(node) as address, grpc.aio.insecure_channel(address) as channel:
        make: Any = channel.unary_unary  # without serializers: bytes as they are
        call = make(JOBS.methods[name].path)(b"\xff" if name != "Enqueue" else NO_MESSAGE)
        assert (await refusal(call))[:2] == ("INVALID_ARGUMENT", "MALFORMED_MESSAGE")


async def test_bytes_that_are_no_message_end_a_stream_as_the_callers_fault(node: FakeNode) -> None:
    async with serving(node) as address, grpc.aio.insecure_channel(address) as channel:
        make: Any = channel.stream_stream
        call = make(JOBS.methods["EnqueueStream"].path)()
        await call.write(NO_MESSAGE)
        assert (await refusal(call.read()))[:2] == ("INVALID_ARGUMENT", "MALFORMED_MESSAGE")


async def test_the_stream_answers_each_batch_by_its_id(node: FakeNode, stub: Stub) -> None:
    call = stub.EnqueueStream()
    for number in range(1, 6):
        await call.write(request_of(new_job(job_id=bytes([number]) * 16), batch_id=number))
    await call.done_writing()
    responses = [response async for response in call]
    assert sorted(response.batch_id for response in responses) == [1, 2, 3, 4, 5]
    assert len(node.jobs) == len(node.submitted) == 5


async def test_batches_of_a_stream_are_under_way_together_but_bounded(node: FakeNode, stub: Stub) -> None:
    node.gate = asyncio.Event()
    call = stub.EnqueueStream()
    for number in range(1, 51):
        await call.write(request_of(new_job(job_id=bytes([number]) * 16), batch_id=number))
    while node.gates_entered < 32:
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert node.gates_entered == 32
    node.gate.set()
    await call.done_writing()
    assert len([response async for response in call]) == 50


async def test_a_stream_goes_on_after_a_batch_that_was_not_applied(node: FakeNode, stub: Stub) -> None:
    outcomes: list[Any] = [NotApplied(NO_LEADER), Unknown("gone"), None]
    node.answer = lambda command: outcomes.pop(0)
    call = stub.EnqueueStream()
    responses = []
    for number in range(1, 4):
        await call.write(request_of(new_job(), batch_id=number))
        responses.append(await call.read())
    await call.write(request_of(batch_id=4))
    responses.append(await call.read())
    errors = [(r.batch_id, r.error.code, r.error.reason) for r in responses]
    assert errors == [(1, 14, "NO_LEADER"), (2, 2, "OUTCOME_UNKNOWN"), (3, 0, ""), (4, 3, "BATCH_EMPTY")]
    await call.done_writing()
    assert await call.read() is EOF


async def test_malformed_jobs_of_a_stream_are_named_by_position(stub: Stub) -> None:
    call = stub.EnqueueStream()
    await call.write(request_of(new_job(type=""), batch_id=1))
    response = await call.read()
    assert [(r.position, r.reason) for r in response.rejected] == [(0, "TYPE_INVALID")]
    call.cancel()


async def test_a_client_that_goes_away_ends_its_stream(
    node: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    node.gate = asyncio.Event()
    async with serving(node) as address:
        async with grpc.aio.insecure_channel(address) as channel:
            call = Stub(channel).EnqueueStream()
            await call.write(request_of(new_job(), batch_id=1))
            while not node.gates_entered:
                await asyncio.sleep(0)
        node.gate.set()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_job_is_read_as_freshly_as_asked(node: FakeNode, stub: Stub) -> None:
    await stub.Enqueue(request_of(new_job(args=b'{"a":1}')))
    response = await stub.GetJob(wire.GetJobRequest(job_id=ID, read=ReadOptions(min_index=9)))
    assert (response.job.type, response.job.args, response.read.applied_index) == ("t", b'{"a":1}', 1)
    assert node.fresh_calls == [(9, False)]


@pytest.mark.parametrize("method", ["GetJob", "WaitJob", "GetHistory", "GetLogs"])
async def test_not_found_is_said_only_after_asking_the_leader(
    node: FakeNode, stub: Stub, method: str
) -> None:
    request = JOBS.methods[method].request(job_id=ID)
    code, reason, message = await refusal(getattr(stub, method)(request))
    assert (code, reason) == ("NOT_FOUND", "JOB_NOT_FOUND")
    assert "00010203-0405-0607-0809-0a0b0c0d0e0f" in message
    assert node.fresh_calls[-1][1] is True


@pytest.mark.parametrize("method", ["GetJob", "WaitJob", "GetHistory", "GetLogs"])
async def test_a_job_that_a_fresher_look_shows_is_found(node: FakeNode, stub: Stub, method: str) -> None:
    await stub.Enqueue(request_of(new_job()))
    jobs = dict(node.jobs)
    jobs[ID].state = JobState.COMPLETED
    node.jobs.clear()
    node.on_linearizable = lambda: node.jobs.update(jobs)
    await getattr(stub, method)(JOBS.methods[method].request(job_id=ID))


@pytest.mark.parametrize("method", ["GetJob", "WaitJob", "GetHistory", "GetLogs", "ListJobs"])
async def test_a_read_that_cannot_be_fresh_says_so(node: FakeNode, stub: Stub, method: str) -> None:
    node.refuse_fresh = NO_LEADER
    request = JOBS.methods[method].request(**({} if method == "ListJobs" else {"job_id": ID}))
    assert (await refusal(getattr(stub, method)(request)))[:2] == ("UNAVAILABLE", "NO_LEADER")


@pytest.mark.parametrize("method", ["GetJob", "WaitJob", "GetHistory", "GetLogs"])
async def test_an_id_of_the_wrong_length_is_refused(stub: Stub, method: str) -> None:
    request = JOBS.methods[method].request(job_id=b"short")
    assert (await refusal(getattr(stub, method)(request)))[:2] == ("INVALID_ARGUMENT", "JOB_ID_INVALID")


async def test_waiting_ends_with_the_time_given(node: FakeNode, stub: Stub) -> None:
    await stub.Enqueue(request_of(new_job()))
    response = await stub.WaitJob(wire.WaitJobRequest(job_id=ID, timeout_ms=1))
    assert response.job.state == JobState.PENDING


async def test_waiting_longer_than_a_minute_at_once_is_refused(stub: Stub) -> None:
    request = wire.WaitJobRequest(job_id=ID, timeout_ms=60_001)
    assert (await refusal(stub.WaitJob(request)))[:2] == ("INVALID_ARGUMENT", "TIMEOUT_TOO_LONG")


async def test_a_listing_is_paged(stub: Stub) -> None:
    for number in range(1, 6):
        await stub.Enqueue(request_of(new_job(job_id=bytes([number]) * 16, type=f"t{number % 2}")))
    first = await stub.ListJobs(wire.ListJobsRequest(type="t1", limit=2))
    rest = await stub.ListJobs(wire.ListJobsRequest(type="t1", limit=2, cursor=first.next_cursor))
    assert [job.job_id[0] for job in (*first.jobs, *rest.jobs)] == [5, 3, 1]
    assert not rest.next_cursor


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"limit": 1_001}, "LIMIT_OUT_OF_RANGE"),
        ({"queue": "a b"}, "QUEUE_INVALID"),
        ({"type": "a b"}, "TYPE_INVALID"),
        ({"states": [0]}, "STATE_INVALID"),
        ({"states": [99]}, "STATE_INVALID"),
        ({"cursor": b"?"}, "CURSOR_INVALID"),
    ],
)
async def test_a_wrong_filter_is_refused(stub: Stub, fields: dict[str, Any], reason: str) -> None:
    assert (await refusal(stub.ListJobs(wire.ListJobsRequest(**fields))))[:2] == ("INVALID_ARGUMENT", reason)


async def test_steering_answers_one_word_per_job(node: FakeNode, stub: Stub) -> None:
    await stub.Enqueue(request_of(new_job()))
    cancelled = await stub.CancelJobs(
        wire.CancelJobsRequest(request_id=OTHER, job_ids=[ID, OTHER], reason="why")
    )
    retried = await stub.RetryJobs(wire.RetryJobsRequest(request_id=OTHER, job_ids=[ID]))
    assert (list(cancelled.results), list(retried.results)) == (["cancelled", "not_found"], ["retried"])
    assert node.submitted[1:] == [CancelJobs(OTHER, (ID, OTHER), "why"), RetryJobs(OTHER, (ID,))]
    assert (cancelled.applied_index, retried.applied_index) == (2, 3)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"request_id": b"", "job_ids": [ID]}, "REQUEST_ID_INVALID"),
        ({"request_id": ID, "job_ids": []}, "BATCH_TOO_LARGE"),
        ({"request_id": ID, "job_ids": [ID] * 1_001}, "BATCH_TOO_LARGE"),
        ({"request_id": ID, "job_ids": [b"x"]}, "JOB_ID_INVALID"),
        ({"request_id": ID, "job_ids": [ID], "reason": "r" * 1_001}, "REASON_TOO_LONG"),
    ],
)
async def test_a_wrong_steering_request_is_refused(
    node: FakeNode, stub: Stub, fields: dict[str, Any], reason: str
) -> None:
    assert (await refusal(stub.CancelJobs(wire.CancelJobsRequest(**fields))))[:2] == (
        "INVALID_ARGUMENT",
        reason,
    )
    assert not node.submitted
