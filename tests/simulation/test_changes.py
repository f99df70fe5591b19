"""Every change of the members, with a node that dies at every step of it."""

import gc
from collections.abc import Iterator

import pytest

from tests.simulation.changing import CHANGES, Hurt, Story


def places(kind: str, stride: int) -> Iterator[Hurt]:
    """Where an undisturbed run can be hurt, every `stride`-th of all places."""
    story = Story(CHANGES[kind], None)
    story.run()
    found = [Hurt(name, how, step) for (name, how), count in story.steps.items() for step in range(count)]
    return iter(found[::stride])


def hurt_everywhere(kind: str, stride: int) -> tuple[int, int, int]:
    """(places, changes that were made all the same, changes that were not begun)."""
    made = undone = 0
    gc.disable()
    try:
        for number, hurt in enumerate(places(kind, stride)):
            story = Story(CHANGES[kind], hurt)
            try:
                story.run()
            except BaseException as broken:
                broken.add_note(f"{kind}, {hurt}")
                raise
            made += story.met and story.made
            undone += story.met and not story.made
            if number % 50 == 0:
                gc.collect()
    finally:
        gc.enable()
    return made + undone, made, undone


@pytest.mark.parametrize("kind", CHANGES)
def test_x(kind: str) -> None:
    print(hurt_everywhere(kind, 40))
