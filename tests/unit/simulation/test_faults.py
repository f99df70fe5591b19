"""Faults of the simulator: each does what its name says, and each mix is made of faults that exist."""

from pathlib import Path
from random import Random

import pytest

from orchestrix_raft.consensus.messages import SnapshotChunk
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.simulation.coverage import AIMED
from orchestrix_raft.simulation.mixes import INJECTED, MIXES
from orchestrix_raft.simulation.network import spoiled
from orchestrix_raft.simulation.node_faults import NODE_FAULTS
from orchestrix_raft.simulation.nodes import SimNode
from orchestrix_raft.simulation.run import Run
from orchestrix_raft.simulation.scene import Scene
from orchestrix_raft.simulation.wide_faults import WIDE_FAULTS
from orchestrix_raft.storage.port import SnapshotRef

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "reliability.md"


def test_every_fault_is_made_of_something_and_in_some_mix() -> None:
    assert {*NODE_FAULTS, *WIDE_FAULTS, "aim"} == set(INJECTED)
    for name in INJECTED:
        assert any(getattr(mix, name) for mix in MIXES.values()), name
    assert {mix.aim_at for mix in MIXES.values()} <= {"", *AIMED}


def test_every_mix_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not [name for name in MIXES if f"`{name}`" not in text]


def _settled(mix: str = "calm") -> tuple[Run, Scene, SimNode]:
    """A cluster with a leader."""
    run = Run(0, mix)
    run.world.run_until(5.0)
    run.world.step("a test")
    return run, run.faults.scene, next(node for node in run.nodes if node.leads)


def test_a_slow_disk_holds_up_all_else_of_its_node() -> None:
    run, scene, leader = _settled()
    NODE_FAULTS["slow_disk"](scene, Random(3), leader)
    assert leader.sync_s > 0.0
    run.world.run_until(7.0)
    assert leader.stood_still_since(5.0) > 0.0
    run.world.run_until(40.0)
    assert leader.sync_s == 0.0


def test_a_storm_strikes_whoever_becomes_leader() -> None:
    run, scene, leader = _settled()
    assert leader.core is not None
    term = leader.core.consensus.term
    WIDE_FAULTS["storm"](scene, Random(1))
    run.world.run_until(20.0)
    assert scene.coverage.met["storm", "leader"] >= 2
    assert max(run.checker.leaders) > term


def test_all_workers_die_at_once_and_are_back() -> None:
    run, scene, _ = _settled()
    lives = [worker.session_id for worker in run.workers]
    WIDE_FAULTS["worker_storm"](scene, Random(1))
    assert not any(worker.alive for worker in run.workers)
    run.world.run_until(12.0)
    assert all(worker.alive for worker in run.workers)
    assert not set(lives) & {worker.session_id for worker in run.workers}


def test_a_node_is_cut_off_in_the_middle_of_its_drain() -> None:
    run, scene, leader = _settled()
    NODE_FAULTS["drain_cut"](scene, Random(1), leader)
    names = [node.name for node in run.nodes] + [worker.name for worker in run.workers]
    cut = False
    while run.world.now < 8.0:
        run.world.run_until(run.world.now + 0.1)
        cut = cut or not all(run.network.reachable(leader.name, name) for name in names)
    assert cut
    assert any(node.drain is not None for node in run.checker.shadow.state.nodes.values())


def test_a_poison_job_kills_its_workers_until_it_is_dead() -> None:
    run = Run(0, "poison")
    totals = run.go()
    dead = [
        job
        for node in run.nodes
        if node.core is not None
        for job in run.clients[0].asked | run.clients[1].asked
        if (found := node.core.replica.job(job)) is not None and found.state is JobState.DEAD
    ]
    assert dead
    assert totals.losses >= 5


def test_bytes_of_a_snapshot_are_flipped_or_missing_and_nothing_else() -> None:
    chunk = SnapshotChunk(3, 4, SnapshotRef(1, 1, 100, b"", 0, b""), 0, bytes(100))
    found = [spoiled(chunk, Random(seed)) for seed in range(20)]
    assert any(len(one.data) < 100 for one in found)
    assert any(len(one.data) == 100 and one.data != chunk.data for one in found)
    assert any(one == chunk for one in found)
    assert {(one.term, one.round, one.ref, one.offset) for one in found} == {(3, 4, chunk.ref, 0)}


@pytest.mark.parametrize("fault", ["crash", "fuse", "pause", "io_error"])
def test_what_needs_a_process_leaves_a_node_without_one_alone(fault: str) -> None:
    run, scene, leader = _settled()
    leader.crash()
    run.faults.strike(fault, Random(1), leader)
    assert scene.coverage.met[fault, ""] == 0
    assert leader.disk.fuse is None
    assert leader.stood_still_since(0.0) == 0.0
