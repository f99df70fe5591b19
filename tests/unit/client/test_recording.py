"""What a client writes down of its calls, against a node in memory."""

from pathlib import Path

import pytest

from orchestrix_raft import AlreadyExists, AsyncClient, JobNotFound, OutcomeUnknown
from orchestrix_raft.coordinator.port import Done, Unknown
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.history.records import Header, Invoke, Record, Return
from orchestrix_raft.machine.commands import EnqueueResult, JobsResult, WhereResult
from orchestrix_raft.recording.reading import read_history
from tests.unit.api.fake_node import FakeNode, serving

ID = "00000000-0000-7000-8000-000000000001"


def pairs(path: Path) -> list[tuple[Invoke, Return]]:
    """Questions with their answers, in order; there is no other line."""
    records: list[Record] = [line.record for line in read_history([path])]
    assert isinstance(records[0], Header)
    assert (records[0].role, len(records) % 2) == ("client", 1)
    found = []
    for asked, told in zip(records[1::2], records[2::2], strict=True):
        assert isinstance(asked, Invoke)
        assert isinstance(told, Return)
        assert (asked.p, asked.n) == (told.p, told.n)
        assert asked.t <= told.t
        found.append((asked, told))
    return found


async def test_calls_are_written_with_what_they_asked_and_were_told(tmp_path: Path) -> None:
    node, path = FakeNode(), tmp_path / "history"
    async with serving(node) as address, AsyncClient(address, deadline=5.0, history=path) as client:
        job_id = await client.enqueue("t", unique_key="k", on_conflict="replace", delay=5.0)
        await client.get(job_id)
        with pytest.raises(JobNotFound):
            await client.get(ID)
        ids = await client.enqueue_many([("t", None), ("t", None)])
        node.answer = lambda command: Done(9, JobsResult(("cancelled",)))
        await client.cancel(job_id)
        node.answer = lambda command: Done(10, WhereResult(3, 0, b""))
        await client.purge_where(state="dead", queue="q")
    enqueue, get, missing, many, cancel, where = pairs(path)
    (spec,) = enqueue[0].jobs
    assert (spec.id, spec.unique_key, spec.scope, spec.on_conflict) == (job_id, "k", "until_done", "replace")
    assert spec.later
    assert [(one.id, one.created) for one in enqueue[1].placed] == [(job_id, True)]
    assert enqueue[1].index > 0
    assert (get[0].op, get[0].job, get[0].min_index) == ("get", job_id, enqueue[1].index)
    assert (get[1].word, get[1].outcome) == ("pending", "ok")
    assert missing[1].word == "not_found"
    assert [one.id for one in many[1].placed] == ids == [one.id for one in many[0].jobs]
    assert (cancel[0].op, cancel[1].word, cancel[1].index) == ("cancel", "cancelled", 9)
    assert (where[0].op, where[0].states, where[0].queue, where[1].done) == ("purge_where", ("dead",), "q", 3)


async def test_the_three_outcomes_are_told_apart(tmp_path: Path) -> None:
    node, path = FakeNode(), tmp_path / "history"
    taken = Rejected(Code.ALREADY_EXISTS, "UNIQUE_KEY_TAKEN", "taken")
    full = Rejected(Code.RESOURCE_EXHAUSTED, "LIVE_JOBS_LIMIT", "full")
    async with serving(node) as address, AsyncClient(address, deadline=0.5, history=path) as client:
        node.answer = lambda command: Done(1, EnqueueResult({}, {0: taken}))
        with pytest.raises(AlreadyExists):
            await client.enqueue("t", unique_key="k", on_conflict="reject")
        node.answer = lambda command: Done(1, EnqueueResult({}, {0: full}))
        with pytest.raises(Exception, match="full"):
            await client.enqueue("t")
        node.answer = lambda command: Unknown("no answer")
        with pytest.raises(OutcomeUnknown):
            await client.cancel(ID)
    (_, decided), (_, refused), (_, unknown) = pairs(path)
    assert (decided.outcome, decided.placed[0].refused) == ("ok", "UNIQUE_KEY_TAKEN")
    assert (refused.outcome, refused.reason) == ("refused", "LIVE_JOBS_LIMIT")
    assert unknown.outcome == "unknown"
