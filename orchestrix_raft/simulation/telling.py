"""One seed, told to a person: its story, or the shortest trace of it that still fails."""

import sys
import traceback

from orchestrix_raft.simulation.checks import broken_promise
from orchestrix_raft.simulation.run import Run
from orchestrix_raft.simulation.shrinking import Shrinker
from orchestrix_raft.simulation.steps import Cut, Step


def tell_story(seed: int, mix: str, cut: Cut) -> int:
    """Print it, and how it ended; 1 if a promise was broken."""
    run = Run(seed, mix, story=True, cut=cut)
    broken = ""
    try:
        totals = run.go()
    except Exception as error:
        # a promise, a node or the simulator failed: what led to it is what is wanted
        violation = broken_promise(error)
        broken = f"VIOLATION {violation}" if violation else f"FAILURE {traceback.format_exc()}"
    if run.world.story is not None:
        print(run.world.story.text())
    if broken:
        print(broken)
        return 1
    for name, value in totals._asdict().items():
        print(f"{name:>12} {value:,.0f}")
    return 0


def tell_shortest(seed: int, mix: str, cut: Cut, runs: int) -> int:
    """Shrink a failing seed, print what is left of it and its story; 1 if it fails, 0 if it does not."""
    shrunk = Shrinker(seed, mix, _progress, runs).shrink(cut)
    if shrunk is None:
        print(f"seed {seed} of mix {mix} keeps every promise: there is nothing to shrink")
        return 0
    first, last = shrunk.first, shrunk.last
    print(f"\nat first: {len(first.steps)} steps in {first.at_s:.1f} s: {first.message}")
    print(f"now:      {len(last.steps)} steps in {last.at_s:.1f} s: {last.message}")
    print(f"          after {shrunk.runs} runs; leaving out any one of these steps, it does not fail:\n")
    print(_table(last.steps))
    print(f"\nreplay: make simulate SEED={seed} MIX={mix} CUT='{shrunk.cut.text()}'\n")
    tell_story(seed, mix, shrunk.cut)
    return 1


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _table(steps: tuple[Step, ...]) -> str:
    names = [f"{step.family}:{step.number}" for step in steps]
    width = max(map(len, names), default=0)
    return "\n".join(
        f"{step.at_s:9.3f}  {name:<{width}}  {step.what}" for name, step in zip(names, steps, strict=True)
    )
