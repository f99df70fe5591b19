"""JobService: purge, commands on a filter, explain; over a real gRPC connection, with a node in memory."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest

from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.domain.retry import FAST_RETRY, PATIENT_RETRY
from orchestrix_raft.machine.commands import (
    CancelWhere,
    Enqueue,
    PurgeJobs,
    PurgeWhere,
    RetryWhere,
    WhereResult,
)
from orchestrix_raft.machine.explain import CODES, Reason
from orchestrix_raft.wire import jobs as wire
from orchestrix_raft.wire.common import RetryPolicyMessage
from orchestrix_raft.wire.explain import TEXTS, text_of
from tests.unit.api.fake_node import WALL_MS, FakeNode, serving
from tests.unit.api.test_api_jobs import ID, OTHER, YEAR_MS, Stub, new_job, refusal, request_of

DEAD: Any = [int(JobState.DEAD)]


@pytest.fixture
async def stub(node: FakeNode) -> AsyncIterator[Stub]:
    async with serving(node) as address, grpc.aio.insecure_channel(address) as channel:
        yield Stub(channel)


def filter_of(state: Any) -> wire.JobFilterMessage:
    return wire.JobFilterMessage(states=[state])


def where(**changes: Any) -> wire.WhereRequest:
    fields: dict[str, Any] = {"request_id": OTHER, "filter": wire.JobFilterMessage(states=DEAD)} | changes
    return wire.WhereRequest(**fields)


async def test_purge_answers_one_word_per_job(node: FakeNode, stub: Stub) -> None:
    await stub.Enqueue(request_of(new_job()))
    response = await stub.PurgeJobs(wire.PurgeJobsRequest(request_id=OTHER, job_ids=[ID, OTHER]))
    assert list(response.results) == ["purged", "not_found"]
    assert node.submitted[1:] == [PurgeJobs(OTHER, (ID, OTHER))]


async def test_a_step_is_one_command_and_carries_the_cursor_on(node: FakeNode, stub: Stub) -> None:
    node.answer = lambda command: Done(7, WhereResult(3, 1, b"cursor"))
    states: Any = [int(JobState.PENDING), int(JobState.SCHEDULED)]
    asked = wire.JobFilterMessage(states=states, queue="q", type="t", older_than_ms=5_000)
    response = await stub.CancelWhere(where(filter=asked, cursor=b"before", limit=20, reason="why"))
    assert (response.done, response.skipped, response.next_cursor, response.applied_index) == (
        3,
        1,
        b"cursor",
        7,
    )
    meant = JobFilter((JobState.SCHEDULED, JobState.PENDING), "q", "t", WALL_MS - 5_000)
    assert node.submitted == [CancelWhere(OTHER, meant, b"before", 20, "why")]


async def test_retry_and_purge_steps_have_a_bound_of_their_own(node: FakeNode, stub: Stub) -> None:
    node.answer = lambda command: Done(7, WhereResult(0, 0, b""))
    await stub.RetryWhere(where())
    await stub.PurgeWhere(where(limit=1))
    meant = JobFilter((JobState.DEAD,))
    assert node.submitted == [RetryWhere(OTHER, meant, b"", 500), PurgeWhere(OTHER, meant, b"", 1)]


@pytest.mark.parametrize(
    ("method", "changes", "reason"),
    [
        ("PurgeWhere", {"request_id": b"x"}, "REQUEST_ID_INVALID"),
        ("PurgeWhere", {"filter": wire.JobFilterMessage()}, "FILTER_INVALID"),
        ("PurgeWhere", {"filter": filter_of(2)}, "FILTER_INVALID"),
        ("PurgeWhere", {"filter": filter_of(99)}, "FILTER_INVALID"),
        ("CancelWhere", {}, "FILTER_INVALID"),
        ("RetryWhere", {"filter": filter_of(5)}, "FILTER_INVALID"),
        ("RetryWhere", {"filter": wire.JobFilterMessage(states=DEAD, queue="a b")}, "QUEUE_INVALID"),
        ("RetryWhere", {"filter": wire.JobFilterMessage(states=DEAD, type="a b")}, "TYPE_INVALID"),
        ("RetryWhere", {"cursor": bytes(65)}, "CURSOR_INVALID"),
        ("RetryWhere", {"limit": 501}, "LIMIT_OUT_OF_RANGE"),
    ],
)
async def test_a_step_that_cannot_be_meant_is_refused(
    node: FakeNode, stub: Stub, method: str, changes: dict[str, Any], reason: str
) -> None:
    assert (await refusal(getattr(stub, method)(where(**changes))))[:2] == ("INVALID_ARGUMENT", reason)
    assert not node.submitted


async def test_explain_tells_each_reason_as_a_word_a_line_and_facts(node: FakeNode, stub: Stub) -> None:
    await stub.Enqueue(request_of(new_job()))
    node.reasons = [
        Reason("queue_paused", {"queue": "q"}),
        Reason("delayed", {"until_ms": 1_700_000_000_000}),
    ]
    response = await stub.ExplainJob(wire.ExplainJobRequest(job_id=ID))
    assert response.job.job_id == ID
    assert [(r.code, r.text, dict(r.facts)) for r in response.reasons] == [
        ("queue_paused", "its queue 'q' is paused", {"queue": "q"}),
        ("delayed", "its delay is over at 2023-11-14T22:13:20.000Z", {"until_ms": "1700000000000"}),
    ]


async def test_explain_of_an_unknown_job_is_refused(node: FakeNode, stub: Stub) -> None:
    assert (await refusal(stub.ExplainJob(wire.ExplainJobRequest(job_id=ID))))[:2] == (
        "NOT_FOUND",
        "JOB_NOT_FOUND",
    )


def test_every_reason_has_a_line_and_a_new_one_is_told_as_it_is() -> None:
    assert TEXTS.keys() == CODES
    assert text_of("brand_new", {"queue": "q", "limit": 3}) == "brand_new: queue q, limit 3"


async def test_presets_and_the_age_limit_reach_the_job(node: FakeNode, stub: Stub) -> None:
    fast = RetryPolicyMessage(preset=RetryPolicyMessage.PRESET_FAST)
    patient = RetryPolicyMessage(preset=RetryPolicyMessage.PRESET_PATIENT, max_retries=2)
    await stub.Enqueue(request_of(new_job(retry=fast, retry_for_ms=60_000)))
    await stub.Enqueue(request_of(new_job(job_id=OTHER, retry=patient)))
    first, second = (c.jobs[0] for c in node.submitted if isinstance(c, Enqueue))
    assert (first.retry, first.retry_for_ms) == (FAST_RETRY, 60_000)
    assert second.retry.patient
    assert (second.retry.max_retries, second.retry.delay_ms) == (2, PATIENT_RETRY.delay_ms)


async def test_an_age_limit_of_more_than_a_year_is_refused(stub: Stub) -> None:
    code, reason, message = await refusal(stub.Enqueue(request_of(new_job(retry_for_ms=YEAR_MS + 1))))
    assert (code, reason) == ("INVALID_ARGUMENT", "DURATION_TOO_LONG")
    assert "retry_for_ms" in message
