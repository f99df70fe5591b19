"""A failing seed is made short: a bug is planted, and the trace that is left shows it and little else."""

import pytest

from orchestrix_raft.simulation.run import Run
from orchestrix_raft.simulation.shrinking import Failure, Shrinker, fails
from orchestrix_raft.simulation.steps import WHOLE, BadCut, Cut, read_cut
from orchestrix_raft.simulation.telling import tell_shortest, tell_story
from orchestrix_raft.storage.memory import MemoryDisk

SEED, MIX = 0, "power"


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that forgets the newest synced entry when the power fails."""
    crash = MemoryDisk.crash

    def forget(disk: MemoryDisk) -> None:
        crash(disk)
        if len(disk._entries) > 2:
            del disk._entries[-1]

    monkeypatch.setattr(MemoryDisk, "crash", forget)


@pytest.mark.usefixtures("forgetful")
def test_a_failing_seed_is_shrunk_to_few_steps_that_fail_in_the_same_way() -> None:
    told: list[str] = []
    shrunk = Shrinker(SEED, MIX, told.append).shrink()
    assert shrunk is not None
    assert len(shrunk.first.steps) > 50
    assert len(shrunk.last.steps) <= 10
    assert shrunk.last.kind == shrunk.first.kind
    assert told
    again = fails(SEED, MIX, read_cut(shrunk.cut.text()))
    assert again == shrunk.last
    _each_step_is_needed(shrunk.cut, again)


def _each_step_is_needed(cut: Cut, failure: Failure) -> None:
    names = [(step.family, step.number) for step in failure.steps]
    for name in names:
        rest = fails(SEED, MIX, cut.only(one for one in names if one != name), failure.at_s + 10.0)
        assert rest is None or rest.kind != failure.kind, name


@pytest.mark.usefixtures("forgetful")
def test_what_is_printed_says_how_to_replay_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell_shortest(SEED, MIX, WHOLE, 200) == 1
    printed = capsys.readouterr().out
    line = next(line for line in printed.splitlines() if line.startswith("replay: "))
    assert line.startswith(f"replay: make simulate SEED={SEED} MIX={MIX} CUT='")
    cut = read_cut(line.split("'")[1])
    assert tell_story(SEED, MIX, cut) == 1
    story = capsys.readouterr().out
    assert story in printed
    assert "VIOLATION" in story or "FAILURE" in story
    assert " ! " in story
    assert len(story.splitlines()) < 60


def test_a_seed_that_does_not_fail_is_not_shrunk(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell_shortest(0, "calm", WHOLE, 10) == 0
    assert "keeps every promise" in capsys.readouterr().out


def test_a_step_that_is_left_out_changes_no_other_step() -> None:
    def steps(cut: Cut) -> dict[tuple[str, int], float]:
        run = Run(3, "full", cut=cut)
        run.world.run_until(30.0)
        return {(step.family, step.number): step.at_s for step in run.world.steps.taken}

    whole = steps(WHOLE)
    kept = {name: at_s for name, at_s in whole.items() if name not in {("c1", 4), ("crash", 1), ("o2", 2)}}
    assert len(kept) == len(whole) - 3
    assert steps(WHOLE.only(kept)) == kept
    assert steps(WHOLE.only(kept)._replace(nodes=1, workers=1)) == kept


def test_a_cut_is_one_line_that_can_be_typed() -> None:
    cut = WHOLE.only([("crash", 1), ("crash", 4), ("c1", 2), ("c1", 3), ("c1", 4)])
    cut = cut._replace(nodes=3, workers=1, until=20.5, plain=True)
    assert cut.text() == "c1:2-4 crash:1,4 nodes=3 workers=1 until=20.5 plain"
    assert read_cut(cut.text()) == cut
    assert read_cut("") == WHOLE
    assert read_cut(WHOLE.only([]).text()) == WHOLE.only([])
    for wrong in ("crash", "crash:a", "crash:1-", "nodes=x", "speed=3"):
        with pytest.raises(BadCut, match="is no part of a cut"):
            read_cut(wrong)
