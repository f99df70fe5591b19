"""What the final observation makes of a cluster's feed of events."""

from orchestrix_raft import AsyncClient
from orchestrix_raft.history.records import Event, Observed
from orchestrix_raft.testing.observing import observed_lines
from tests.unit.api.fake_node import FakeNode, serving

ID = bytes(range(16))


async def test_events_keep_the_time_that_limits_go_by_where_a_node_tells_it() -> None:
    node = FakeNode()
    node.events.happen("job_enqueued", ID, elapsed_ms=None)
    node.events.happen("job_assigned", ID, elapsed_ms=0)
    node.events.happen("job_completed", ID, elapsed_ms=700)
    async with serving(node) as address, AsyncClient(address, deadline=5.0) as client:
        records = [line.record for line in await observed_lines(client, [])]
    events = [record for record in records if isinstance(record, Event)]
    assert [event.elapsed_ms for event in events] == [-1, 0, 700]
    assert isinstance(records[-1], Observed)
    assert records[-1].events_after == 0
