"""Steps that a message does not ask for would have done nothing: the proof that none of them is missed."""

import pytest

from orchestrix_raft.consensus.engine import Engine
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.simulation.run import Run
from orchestrix_raft.simulation.steps import WHOLE


def standing(engine: Engine) -> tuple[object, ...]:
    """All that a step may change, and what it has to say."""
    log = engine._log
    return (
        engine.term,
        engine._raft.voted_for,
        engine.role,
        engine.leader_id,
        engine.commit_index,
        engine.applied_index,
        log.last_index,
        log.journal.durable_index,
        engine._reads.waiting,
        list(engine.outbox),
    )


@pytest.mark.parametrize(("seed", "mix"), [(1, "crash"), (2, "partition"), (3, "snapshots")])
def test_a_step_that_is_left_out_would_have_changed_nothing(
    monkeypatch: pytest.MonkeyPatch, seed: int, mix: str
) -> None:
    left_out, wants = 0, vars(Core)["wants_step"].fget

    def checked(core: Core) -> bool:
        nonlocal left_out
        if wants(core):
            return True
        left_out += 1
        engine = core.consensus
        assert isinstance(engine, Engine)
        before = standing(engine)
        engine.tick()
        assert standing(engine) == before
        assert engine.ready is core.leadership.active
        return False

    monkeypatch.setattr(Core, "wants_step", property(checked))
    Run(seed, mix, cut=WHOLE._replace(nodes=3)).go()
    assert left_out > 100
