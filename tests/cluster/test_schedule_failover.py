"""A schedule that fires every second while its leaders die: no slot lost, none doubled."""

import pytest

from orchestrix_raft.testing import LocalCluster
from orchestrix_raft.testing.slots import fire_through_kills

pytestmark = pytest.mark.cluster


@pytest.mark.timeout(120)
def test_two_dead_leaders_lose_and_double_no_slot(cluster: LocalCluster) -> None:
    cluster.worker("orchestrix_raft.testing.handlers:worker")
    slots = fire_through_kills(cluster, kills=2, runs_between=4)
    assert (slots.lost, slots.doubled, slots.unfinished) == (0, 0, 0), slots
    assert slots.expected >= 12
    assert 0.1 < slots.most_late_s < 6.0, "a slot was due while nobody led"
    cluster.await_same_digest()
