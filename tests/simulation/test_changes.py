"""Every change of the members, with a node that dies at every step of it."""

import gc
import itertools
from collections.abc import Iterator
from typing import Final

import pytest

from tests.simulation.changing import CHANGES, Hurt, Story

STRIDE: Final = 50
"""Every so manieth place in `make test`; all of them in `make prove-C`."""


def places(kind: str) -> Iterator[Hurt]:
    """Where an undisturbed run can be hurt: at every step of it, at every node."""
    story = Story(CHANGES[kind], None)
    story.run()
    for (name, how), count in story.steps.items():
        yield from (Hurt(name, how, step) for step in range(count))


def hurt_at(kind: str, places: Iterator[Hurt]) -> tuple[int, int]:
    """(changes that were made by the first asking all the same, changes that were not begun)."""
    made = undone = 0
    for hurt in places:
        story = Story(CHANGES[kind], hurt)
        try:
            story.run()
        except BaseException as broken:  # of any kind: raised again, with how to replay it
            broken.add_note(f"replay: Story(CHANGES[{kind!r}], {hurt}).run()")
            raise
        made += story.met and story.made
        undone += story.met and not story.made
    return made, undone


@pytest.fixture(autouse=True)
def _without_collector() -> Iterator[None]:
    """What a run makes lives as long as the run: the collector of cycles comes between tests."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_of_members_survives_deaths_at_some_of_its_steps(kind: str) -> None:
    made, _ = hurt_at(kind, itertools.islice(places(kind), 7, None, STRIDE))
    assert made > 0


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_of_members_survives_a_death_at_every_step(kind: str) -> None:
    made, undone = hurt_at(kind, places(kind))
    print(
        f"{kind}: {made + undone} deaths; the change was made all the same {made} times, not begun {undone}"
    )
    assert made > 50
