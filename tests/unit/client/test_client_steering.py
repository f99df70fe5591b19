"""The client's commands on a filter, purge and explain, against a node in memory."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from orchestrix_raft import AsyncClient, InvalidArgument, JobNotFound, RetryPolicy
from orchestrix_raft.coordinator.port import Done, Outcome
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.machine.commands import (
    CancelWhere,
    Command,
    Enqueue,
    PurgeWhere,
    RetryWhere,
    WhereResult,
)
from orchestrix_raft.machine.explain import Reason
from tests.unit.api.fake_node import WALL_MS, FakeNode, serving


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
async def client(node: FakeNode) -> AsyncIterator[AsyncClient]:
    async with serving(node) as address, AsyncClient(address, deadline=5.0) as client:
        yield client


async def test_a_command_on_a_filter_goes_on_to_its_end(client: AsyncClient, node: FakeNode) -> None:
    steps = iter([WhereResult(500, 0, b"1"), WhereResult(0, 2, b"2"), WhereResult(7, 0, b"")])
    node.answer = lambda command: Done(1, next(steps))
    assert await client.retry_where(queue="mail") == 507
    sent = [command for command in node.submitted if isinstance(command, RetryWhere)]
    assert [command.cursor for command in sent] == [b"", b"1", b"2"]
    assert {command.where for command in sent} == {JobFilter((JobState.DEAD,), "mail")}
    assert len({command.request_id for command in sent}) == 3


async def test_each_command_has_the_states_that_make_sense(client: AsyncClient, node: FakeNode) -> None:
    def answer(command: Command) -> Outcome:
        return Done(1, WhereResult(1, 0, b""))

    node.answer = answer
    assert await client.cancel_where(type="t", reason="why") == 1
    assert await client.purge_where(state=("completed", "dead"), older_than=timedelta(hours=1)) == 1
    cancel, purge = node.submitted
    assert isinstance(cancel, CancelWhere)
    assert isinstance(purge, PurgeWhere)
    assert (cancel.where, cancel.reason) == (
        JobFilter((JobState.SCHEDULED, JobState.PENDING), "", "t"),
        "why",
    )
    assert purge.where == JobFilter((JobState.COMPLETED, JobState.DEAD), before_ms=WALL_MS - 3_600_000)


async def test_a_filter_that_cannot_be_meant_is_refused(client: AsyncClient, node: FakeNode) -> None:
    with pytest.raises(InvalidArgument, match="no such state"):
        await client.purge_where(state="done")
    with pytest.raises(InvalidArgument, match="states completed, cancelled, dead"):
        await client.purge_where(state="running")
    with pytest.raises(InvalidArgument, match="older_than"):
        await client.retry_where(older_than=-1.0)
    assert not node.submitted


async def test_purge_answers_with_a_word_and_an_unknown_job_is_an_error(client: AsyncClient) -> None:
    job_id = await client.enqueue("t")
    assert await client.purge(job_id) == "purged"
    with pytest.raises(JobNotFound):
        await client.purge(job_id)


async def test_explain_gives_the_reasons_as_values(client: AsyncClient, node: FakeNode) -> None:
    job_id = await client.enqueue("t")
    node.reasons = [Reason("no_worker", {"queue": "default"})]
    (reason,) = await client.explain(job_id)
    assert (reason.code, reason.text) == ("no_worker", "no worker serves its queue 'default'")
    assert reason.facts == {"queue": "default"}


async def test_presets_and_the_age_limit_are_sent(client: AsyncClient, node: FakeNode) -> None:
    job_id = await client.enqueue("t", retry=RetryPolicy.patient(max_retries=3), retry_for=timedelta(days=2))
    await client.enqueue_many([("t", {})], retry=RetryPolicy.fast(), retry_for=9)
    one, many = (command.jobs[0] for command in node.submitted if isinstance(command, Enqueue))
    assert (one.retry.patient, one.retry.max_retries, one.retry_for_ms) == (True, 3, 2 * 86_400_000)
    assert (many.retry.delay_ms, many.retry.max_retries, many.retry_for_ms) == (1_000, 5, 9_000)
    assert (await client.get(job_id)).retry_for == 2 * 86_400


async def test_an_unknown_preset_is_refused(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgument, match="there are default, fast, patient"):
        await client.enqueue("t", retry=RetryPolicy(preset="eager"))


@pytest.mark.parametrize("where", [{"queue": ""}, {"type": ""}])
async def test_an_empty_name_is_no_way_to_mean_every_job(
    client: AsyncClient, node: FakeNode, where: dict[str, str]
) -> None:
    """As it comes of a variable that is not set."""
    with pytest.raises(InvalidArgument, match="is empty: name one, or leave it out to mean all"):
        await client.cancel_where(**where)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="is empty"):
        await client.purge_where(state="dead", **where)  # type: ignore[arg-type]
    assert not node.submitted


async def test_without_a_filter_every_job_must_be_meant(client: AsyncClient, node: FakeNode) -> None:
    for command in (client.cancel_where, client.retry_where):
        with pytest.raises(InvalidArgument, match=r"would mean every job.*or say all=True"):
            await command()
    with pytest.raises(InvalidArgument, match=r"would mean every job"):
        await client.cancel_where(reason="a reason is no filter")
    assert not node.submitted
    node.answer = lambda command: Done(1, WhereResult(3, 0, b""))
    assert await client.cancel_where(all=True) == await client.retry_where(all=True) == 3
    assert await client.cancel_where(state="running") == await client.retry_where(older_than=1.0) == 3
