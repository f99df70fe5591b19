"""The story of a seed: short names that stay, aligned columns, faults marked, no noise."""

from orchestrix_raft.simulation.run import Run
from orchestrix_raft.simulation.story import ASKS, FAULT, LEADS, LOG, Story


def test_a_story_tells_faults_leaders_entries_and_what_clients_ask() -> None:
    run = Run(5, "crash", story=True)
    run.world.run_until(20.0)
    story = run.world.story
    assert story is not None
    marks = {line.mark for line in story.lines}
    assert {FAULT, LEADS, LOG, ASKS} <= marks
    told = [line.what for line in story.lines if line.mark == FAULT]
    assert any(" is killed" in f" {what}" or what.startswith("will die") for what in told)
    jobs = [line.what for line in story.lines if "job enqueued j1 " in line.what]
    assert len(jobs) == 1
    assert any(" j1 on w" in line.what for line in story.lines)
    names = {line.who for line in story.lines}
    assert {"n1", "c1", "o1"} <= names
    assert not any("b'" in line.what for line in story.lines)


def test_columns_are_aligned_and_the_marks_explained() -> None:
    story = Story()
    story.tell(1.5, FAULT, "network: the power fails everywhere")
    story.tell(12.25, " ", "n1 starts (2), applied 7")
    *legend, first, second = story.text().splitlines()
    assert any("a fault" in line for line in legend)
    assert first == "    1.500 ! network  the power fails everywhere"
    assert second == "   12.250   n1       starts (2), applied 7"
