"""A schedule every second for two minutes, the leader killed every 15 seconds: every slot fires once."""

import pytest

from orchestrix_raft.testing import LocalCluster
from orchestrix_raft.testing.slots import fire_through_kills

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.mark.timeout(400)
def test_two_minutes_of_dying_leaders(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.worker("orchestrix_raft.testing.handlers:worker")
    slots = fire_through_kills(cluster, kills=7, runs_between=15)
    with capsys.disabled():
        print(
            f"\n7 leaders killed: {slots.expected} slots, {len(slots.fired)} runs, {slots.lost} lost, "
            f"{slots.doubled} doubled; at most {slots.most_late_s:.2f} s late"
        )
    assert (slots.lost, slots.doubled, slots.unfinished) == (0, 0, 0), slots
    assert slots.expected >= 120
    assert 0.1 < slots.most_late_s < 6.0, "slots were due while nobody led"
    cluster.await_same_digest()
