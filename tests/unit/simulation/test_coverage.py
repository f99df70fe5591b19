"""The table of faults and states: what it counts, and that looking changes nothing."""

from collections import Counter

from orchestrix_raft.simulation.coverage import CANNOT, FAULTS, STATES, Met, table
from orchestrix_raft.simulation.run import Run


def test_a_fault_meets_what_its_node_is_doing() -> None:
    run = Run(0, "calm")
    run.world.run_until(15.0)
    leader = next(node for node in run.nodes if node.leads)
    other, third = (node for node in run.nodes if node is not leader)
    coverage = run.faults.coverage
    coverage.note("crash", leader)
    assert coverage.met == Counter({("crash", ""): 1, ("crash", "leader"): 1})
    assert third.core is not None
    third.core.replica.loading = True
    coverage.note("one_way", other, third)
    assert coverage.met["one_way", "snapshot"] == coverage.met["one_way", "follower"] == 1
    third.core.replica.loading = False
    leader.leave(1.0)
    coverage.note("flap", leader, other)
    assert {state for fault, state in coverage.met if fault == "flap"} >= {"leader", "leaving", "handover"}
    third.crash()
    other.stand_still(5.0)
    coverage.note("pause", third, other)
    assert {"down", "still", "no majority"} <= {state for fault, state in coverage.met if fault == "pause"}
    coverage.note("worker_crash")
    assert coverage.met["worker_crash", "no majority"] == 1
    assert coverage.met["worker_crash", "leader"] == 0


def test_every_fault_of_a_run_is_in_the_table() -> None:
    run = Run(3, "power")
    run.world.run_until(40.0)
    met = run.faults.coverage.met
    assert {fault for fault, _ in met} == set(run.faults.injected)
    # a process that does not run cannot be killed
    assert all(0 < met[fault, ""] <= count for fault, count in run.faults.injected.items())
    assert {state for _, state in met} <= {"", *STATES}


def test_what_was_never_tried_is_a_dot() -> None:
    met: Met = Counter({("crash", ""): 12, ("crash", "leader"): 7})
    head, crash, *rest = table(met).splitlines()
    assert head.split()[:3] == ["all", "leader", "candidate"]
    assert crash.split()[:6] == ["crash", "12", "7", ".", ".", "-"]
    assert len(rest) == len(FAULTS) - 1
    assert len({len(line) for line in (head, crash, *rest)}) == 1


def test_what_cannot_be_met_is_a_dash_with_a_reason() -> None:
    assert CANNOT.keys() <= set(FAULTS)
    assert all(set(never) <= set(STATES) and all(never.values()) for never in CANNOT.values())
    assert table(Counter()).count(" -") == sum(len(never) for never in CANNOT.values())
