"""`make fuzz`: targets one after the other, each for its share of the time, and a line for each.

What was tried with success is kept under build/fuzz and taken up by the next run.  An input that finds
something is left there as well: its name is printed, and belongs, under a name that says what it is, into
tests/fuzz/corpus, together with the repair.  Exit code 1: something was found.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from tests.fuzz.registry import BY_NAME, TARGETS, Target

ROOT: Final = Path(__file__).resolve().parents[2]
WORK: Final = ROOT / "build" / "fuzz"
MEMORY_MIB: Final = 1_024  # of a target: nothing that comes from outside may need more
NICENESS: Final = 10

_STATE: Final = re.compile(r"#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)")
_FOUND: Final = re.compile(r"(?:input|Test unit) written to (\S+)")


class Outcome(NamedTuple):
    """Of one target."""

    executions: int
    edges: int  # of the product's code that were reached
    kept: int  # inputs that reached something of their own
    found: str  # the file; "": nothing was found
    why: str  # in one line


def main() -> int:
    """See the module."""
    options = _options()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: `make fuzz` makes an environment that has it", file=sys.stderr)
        return 2
    os.nice(NICENESS)
    chosen = [BY_NAME[options.target]] if options.target else list(TARGETS)
    bad = 0
    for target in chosen:
        print(f"{target.name:<12}", end="", flush=True)
        begin = time.monotonic()
        outcome = run(target, options.minutes * 60 / len(chosen))
        spent_s = time.monotonic() - begin
        print(
            f"{spent_s:6.0f} s  {outcome.executions:>9,} executions  {outcome.edges:>6,} edges  "
            f"{outcome.kept:>5,} inputs kept  {outcome.found or 'nothing found'}",
            flush=True,
        )
        if outcome.found:
            bad += 1
            print(f"{'':<12}{outcome.why}", flush=True)
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    parser.add_argument("--target", choices=sorted(BY_NAME), help="only this one")
    return parser.parse_args()


def run(target: Target, seconds: float) -> Outcome:
    """In a process of its own."""
    kept = WORK / target.name
    kept.mkdir(parents=True, exist_ok=True)
    words = WORK / f"{target.name}.words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words()))
    seeds = WORK / f"{target.name}.seeds"
    seeds.mkdir(exist_ok=True)
    for place, data in enumerate(target.examples()):
        (seeds / str(place)).write_bytes(data)
    folders = [str(kept), str(target.corpus), str(seeds)]
    limits = {
        "max_total_time": max(1, round(seconds)),
        "max_len": target.bytes_max,
        "timeout": round(target.limit_s),
        "rss_limit_mb": MEMORY_MIB,
        "artifact_prefix": f"{WORK}/{target.name}-",
    }
    if target.words():
        limits["dict"] = words
    options = [f"-{name}={value}" for name, value in limits.items()]
    command = [sys.executable, "-m", "tests.fuzz.guided", target.name, *folders, *options]
    log = WORK / f"{target.name}.log"
    with log.open("w") as output:
        done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    return _outcome(log.read_text(errors="replace"), done.returncode, log)


def _outcome(text: str, code: int, log: Path) -> Outcome:
    states = _STATE.findall(text)
    executions, edges, _, kept = map(int, states[-1]) if states else (0, 0, 0, 0)
    if not code:
        return Outcome(executions, edges, kept, "", "")
    found = _FOUND.search(text)
    lines = [
        line
        for line in text.splitlines()
        if re.match(r"\w+(\.\w+)*(Error|Exception|Broken)\b|==\d+== ", line)
    ]
    why = lines[0] if lines else f"exit code {code}"
    return Outcome(executions, edges, kept, found[1] if found else str(log), f"{why[:200]} (see {log})")


def _escaped(word: bytes) -> str:
    return "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in word)


if __name__ == "__main__":
    sys.exit(main())
