"""What a worker writes down of its handlers, against a node in memory."""

from pathlib import Path

from orchestrix_raft import Worker
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.history.records import Ack, End, Header, Start
from orchestrix_raft.recording.reading import read_history
from tests.unit.api.fake_node import FakeNode
from tests.unit.worker.pool import Pool, at_work, enqueue, finished


async def test_every_run_has_its_start_its_end_and_the_answer(
    pool: Pool, node: FakeNode, tmp_path: Path
) -> None:
    path = tmp_path / "history"
    worker = Worker(pool.addresses[0], name="w", history=path)

    @worker.job("echo")
    async def echo(ctx: object, a: int) -> int:
        return a

    async with at_work(worker):
        ids = await enqueue(node, 3)
        await finished(node, ids)
    records = [line.record for line in read_history([path])]
    assert isinstance(records[0], Header)
    assert (records[0].role, records[0].name) == ("worker", "w")
    starts = [record for record in records if isinstance(record, Start)]
    assert {record.job for record in starts} == {format_job_id(one) for one in ids}
    for start in starts:
        end = next(r for r in records if isinstance(r, End) and r.token == start.token)
        ack = next(r for r in records if isinstance(r, Ack) and r.token == start.token)
        assert (start.worker, start.attempt, start.queue) == ("w", 1, "default")
        assert (end.job, end.outcome, ack.accepted) == (start.job, "completed", True)
        assert records.index(start) < records.index(end) < records.index(ack)
        assert start.t <= end.t <= ack.t
