"""When the leader's duties are asked, and that what they propose reaches every node."""

import pytest

from orchestrix_raft.coordinator.settings import CoreLimits, Keeping
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.duties.retention import SLACK_MS, Keep
from orchestrix_raft.machine.commands import CancelJobs, Enqueue
from tests.scenarios.driver import job, key
from tests.unit.coordinator.bench import Cores

KEEPING = Keeping(Keep(finished_ms=2_000), at_once=2, pause_s=0.5)


@pytest.fixture
def cores() -> Cores:
    return Cores(3, CoreLimits(keeping=KEEPING, checkpoint_s=3_600.0))


def finished(cores: Cores, count: int) -> None:
    """Jobs that are cancelled at once."""
    names = [f"j{number}" for number in range(count)]
    cores.submit("n1", Enqueue(tuple(map(job, names))))
    cores.submit("n1", CancelJobs(b"", tuple(map(key, names)), ""))
    cores.run()


def kept(cores: Cores) -> list[int]:
    return [cores[name].state.counts[JobState.CANCELLED] for name in ("n1", "n2", "n3")]


def test_retention_goes_in_steps_with_pauses_on_every_node(cores: Cores) -> None:
    finished(cores, 5)
    cores.run((2_000 + SLACK_MS) / 1_000 - 0.25)
    assert kept(cores) == [5, 5, 5]
    counts = set()
    for _ in range(8):
        cores.run(0.25)
        assert len(set(kept(cores))) == 1
        counts.add(kept(cores)[0])
    assert counts - {5} == {3, 1, 0}


def test_an_idle_cluster_proposes_nothing(cores: Cores) -> None:
    finished(cores, 5)
    cores.run(10.0)
    before = cores["n1"].consensus.applied_index
    cores.run(5.0)
    assert cores["n1"].consensus.applied_index == before


def test_a_new_leader_goes_on_where_the_old_one_stopped(cores: Cores) -> None:
    finished(cores, 9)
    cores.run((2_000 + SLACK_MS) / 1_000 + 0.5)
    assert 0 < kept(cores)[0] < 9
    cores.cluster.elect("n2")
    cores.run(10.0)
    assert kept(cores) == [0, 0, 0]


def test_nothing_is_proposed_again_before_it_was_applied() -> None:
    cores = Cores(1, CoreLimits(keeping=KEEPING._replace(pause_s=0.0)))
    names = [f"j{number}" for number in range(5)]
    cores.submit("n1", Enqueue(tuple(map(job, names))))
    cores.submit("n1", CancelJobs(b"", tuple(map(key, names)), ""))
    cores.run()
    cores.cluster.hold_commits = True
    before = len(cores.cluster.log)
    cores.run(5.0)
    assert len(cores.cluster.log) == before + 1


def test_retention_rests_while_the_leader_writes_a_checkpoint() -> None:
    cores = Cores(3, CoreLimits(keeping=KEEPING, checkpoint_s=1.0))
    finished(cores, 5)
    cores.run((2_000 + SLACK_MS) / 1_000 + 2.0)
    assert cores["n1"].disk_work
    assert kept(cores) == [5, 5, 5]
    cores.checkpoint("n1")
    cores.run(0.25)
    assert kept(cores) == [3, 3, 3]
