"""Nodes of two versions in one cluster: the level waits, commands of it are refused at the door, and a node
that is too old ends with what to install."""

import asyncio
from types import MappingProxyType

import pytest

from orchestrix_raft.consensus.port import SafetyFault
from orchestrix_raft.coordinator.node import Node
from orchestrix_raft.coordinator.port import NotApplied
from orchestrix_raft.coordinator.queries import status
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.domain.queue import QueueChange
from orchestrix_raft.machine.commands import ConfigureQueue, Forget
from orchestrix_raft.machine.rules import Rules, TooOld
from orchestrix_raft.version import MACHINE_LEVEL
from tests.unit.coordinator.bench import Cores, Told

NEXT = MACHINE_LEVEL + 1
NEW = Rules(NEXT, "99.0", MappingProxyType({ConfigureQueue: NEXT, Forget: NEXT}))
PAUSE = ConfigureQueue(b"", "default", QueueChange(paused=True))


def refusal(told: Told) -> str:
    (outcome,) = told.outcomes
    assert isinstance(outcome, NotApplied)
    return outcome.rejected.reason


def test_a_cluster_of_new_nodes_raises_its_level_by_itself() -> None:
    cores = Cores(3, rules=dict.fromkeys(("n1", "n2", "n3"), NEW))
    cores.run(1.0)
    assert {core.state.level for core in cores.cores.values()} == {NEXT}
    view = status(cores["n2"], "c")
    assert (view.machine_level, view.level_waits_for) == (NEXT, ())
    assert [node.machine_level for node in view.nodes] == [NEXT] * 3


@pytest.mark.parametrize("old", ["n1", "n3"], ids=["leader", "follower"])
def test_one_old_node_keeps_the_level_and_is_named_by_all(old: str) -> None:
    cores = Cores(3, rules={name: NEW for name in ("n1", "n2", "n3") if name != old})
    cores.run(5.0)
    for name in ("n1", "n2", "n3"):
        view = status(cores[name], "c")
        assert (view.machine_level, view.level_waits_for) == (MACHINE_LEVEL, (old,))
        levels = {node.node_id: node.machine_level for node in view.nodes}
        assert levels == {"n1": NEXT, "n2": NEXT, "n3": NEXT} | {old: MACHINE_LEVEL}


@pytest.mark.parametrize("old", ["n1", "n3"], ids=["leader", "follower"])
def test_a_command_of_the_next_level_never_enters_the_log(old: str) -> None:
    """An old node could not even read it."""
    cores = Cores(3, rules={name: NEW for name in ("n1", "n2", "n3") if name != old})
    cores.run(1.0)
    before = cores["n2"].consensus.last_index
    told = cores.submit("n2", PAUSE)
    assert not told.outcomes, "nobody is answered from inside a call"
    cores.run()
    assert refusal(told) == "LEVEL_TOO_LOW"
    assert cores["n2"].consensus.last_index == before


def test_a_duty_waits_for_the_level_that_its_commands_need() -> None:
    cores = Cores(3, rules={"n1": NEW, "n2": NEW})
    cores.run(1.0)
    leadership, now = cores["n1"].leadership, cores["n1"].now
    before = cores["n1"].consensus.last_index
    assert leadership.unnumbered((Forget(1, 2, 3, 4),), now) is None  # type: ignore[arg-type]
    assert cores["n1"].consensus.last_index == before


# ---- the shell


def shell(rules: Rules) -> Node:
    return Node(Cores(rules={"n1": rules})["n1"], "c", lambda *_: None, lambda: None)


async def test_the_door_of_the_api_refuses_it_too() -> None:
    node = shell(Rules(FIRST_LEVEL, "1.0", MappingProxyType({ConfigureQueue: FIRST_LEVEL + 1})))
    before = node.core.proposer.backlog
    outcome = await asyncio.wait_for(node.submit(PAUSE), 1.0)
    assert isinstance(outcome, NotApplied)
    assert outcome.rejected.reason == "LEVEL_TOO_LOW"
    assert node.core.proposer.backlog == before
    node.close()


async def test_a_node_that_is_too_old_ends_with_what_to_install_and_no_stack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = shell(Rules())
    try:
        raise SafetyFault("entry 7 cannot be applied: TooOld(...)") from TooOld(
            "install version 2.0 or newer"
        )
    except SafetyFault as fault:
        node.fail(fault)
    assert isinstance(node.failure.result(), TooOld)
    assert "the node stops: install version 2.0 or newer" in caplog.text
    assert "Traceback" not in caplog.text
    node.close()
