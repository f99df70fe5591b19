"""What a step looks at, and which messages want one at all."""

import pytest

from orchestrix_raft.consensus.messages import AppendAnswer
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.leadership import LOOK_S
from orchestrix_raft.coordinator.messages import Forward
from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.machine.commands import MarkContents
from tests.unit.coordinator.bench import Cores


def wants(core: Core) -> bool:
    return core.wants_step


HEARTBEAT = AppendAnswer(1, 1, True, 2, 1)


def test_a_message_of_consensus_that_changes_nothing_wants_no_step() -> None:
    cores = Cores(3)
    cores.run(1.0)
    core = cores["n1"]
    assert not wants(core)
    core.receive("n2", HEARTBEAT)
    assert not wants(core)
    core.receive("n2", Forward(()))
    assert wants(core)
    core.step()
    assert not wants(core)
    core.disconnected("n2")
    assert wants(core)


def test_a_new_leader_is_worth_a_step() -> None:
    cores = Cores(3)
    cores.run(1.0)
    core = cores["n3"]
    cores.cluster.depose()
    core.receive("n2", HEARTBEAT)
    assert wants(core)


def test_duties_are_looked_at_when_it_is_time_or_something_was_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cores = Cores()
    cores.run(1.0)
    core, looks = cores["n1"], list[float]()
    do_duties = core.leadership.do_duties

    def look(now: float) -> None:
        looks.append(now)
        do_duties(now)

    monkeypatch.setattr(core.leadership, "do_duties", look)

    def step() -> None:
        core.step()
        assert core.wake_at > cores.now  # asked after every step, as a shell does

    step()
    looks.clear()
    for _ in range(10):
        step()
    assert looks == []
    cores.now += LOOK_S
    step()
    step()
    assert looks == [cores.now]
    told = cores.submit("n1", MarkContents())
    cores.run()
    assert isinstance(told.outcomes[0], Done)
    assert len(looks) > 1
