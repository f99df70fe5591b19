"""Whole clusters under faults: a fixed set of seeds over every mix, and the promise that a seed replays."""

import random

import pytest

from orchestrix_raft.machine.parts import Parts, in_parts
from orchestrix_raft.machine.state import State
from orchestrix_raft.simulation.mixes import MIXES
from orchestrix_raft.simulation.run import Run

SEEDS = 10 * len(MIXES)  # `python -m orchestrix_raft.simulation --seeds N` runs more


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_cluster_keeps_its_promises(seed: int) -> None:
    mix = list(MIXES)[seed % len(MIXES)]
    run = Run(seed, mix)
    try:
        totals = run.go()
    except BaseException as broken:  # of any kind: raised again, with how to replay it
        broken.add_note(f"replay: python -m orchestrix_raft.simulation --seed {seed} --mix {mix}")
        raise
    assert totals.virtual_s >= 60
    assert totals.jobs >= 200
    if mix not in ("calm", "rolling"):
        assert totals.faults >= 2


def story() -> tuple[int, bytes, str]:
    run = Run(8, "full", story=True)
    run.go()
    return (
        run.world.events,
        run.checker.shadow.state.digest,
        run.world.story.text() if run.world.story else "",
    )


def test_a_seed_is_the_same_story_every_time() -> None:
    assert story() == story()


def test_a_seed_is_the_same_story_in_whatever_form_each_node_keeps_its_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Now in one dict, now in parts, and in another order than before: each node by itself, at any entry."""
    rng, forms, plain = random.Random(8), set[type[object]](), story()

    def divide(state: State) -> None:
        form = rng.choice((in_parts, dict, None))
        if form is not None:
            state.jobs = form(state.jobs)
            state.key_windows = form(state.key_windows)
            state.unique_windows = form(state.unique_windows)
        forms.add(type(state.jobs))

    monkeypatch.setattr(State, "divide", divide)
    assert story() == plain
    assert forms == {dict, Parts}
