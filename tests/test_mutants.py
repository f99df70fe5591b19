"""The catalogue of deliberate faults fits the sources, and leaves no module of the core out."""

import ast
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

from tests.mutants.__main__ import Pool
from tests.mutants.catalogue import ROOT, SIMULATE, Mutant, load
from tests.mutants.killing import Workspace

AT_LEAST = 3
CORE = ("machine", "duties", "consensus")
"""Packages every module of which has faults, but for those below."""
ALSO = tuple(
    f"coordinator/{name}.py"
    for name in (
        *("attachments", "beats", "checkpoints", "cleanup", "clocks", "core", "digests", "drain", "effects"),
        *("history", "hub", "leadership", "members", "origin", "proposer", "pulse", "reads", "recruits"),
        *(
            "replica",
            "reporting",
            "rivals",
            "room",
            "stamper",
            "standing",
            "starts",
            "stream_table",
            "streams",
        ),
        "watches",
    )
) + tuple(f"storage/{name}.py" for name in ("environment", "journal", "mirror", "snapshots", "state"))
WITHOUT = {
    "machine/commands.py": "declarations; tests/compat holds them",
    "machine/events.py": "declarations; tests/compat holds them",
    "machine/port.py": "a protocol",
    "consensus/entries.py": "declarations",
    "consensus/options.py": "declarations",
    "consensus/port.py": "a protocol",
    "consensus/twin.py": "the simulator's own",
    "machine/memory.py": "the tests' own",
}
"""module -> why it has none."""

MUTANTS = load()


def _core() -> set[str]:
    found = {
        f"{folder}/{p.name}" for folder in CORE for p in (ROOT / "orchestrix_raft" / folder).glob("*.py")
    }
    return {f"orchestrix_raft/{name}" for name in found | set(ALSO) if not name.endswith("__init__.py")}


def test_every_module_of_the_core_has_its_faults() -> None:
    without = {f"orchestrix_raft/{name}" for name in WITHOUT}
    count = Counter(mutant.module for mutant in MUTANTS)
    assert without <= _core()
    assert not {module: count[module] for module in _core() - without if count[module] < AT_LEAST}


def test_every_fault_stands_once() -> None:
    assert [name for name, times in Counter(m.name for m in MUTANTS).items() if times > 1] == []
    assert [name for name, _ in groupby(m.module for m in MUTANTS)] == sorted({m.module for m in MUTANTS})


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_fits_its_module(mutant: Mutant) -> None:
    sound = (ROOT / mutant.module).read_text(encoding="utf-8")
    faulty = mutant.applied(sound)
    assert ast.dump(ast.parse(faulty)) != ast.dump(ast.parse(sound))
    assert mutant.killed_by
    for check in mutant.killed_by:
        assert check.startswith(SIMULATE) or _is_there(check)


def _is_there(check: str) -> bool:
    path, *names = check.split()[0].split("::")
    if not names or not (ROOT / path).exists():
        return (ROOT / path).exists()
    text = (ROOT / path).read_text(encoding="utf-8")
    return all(f"def {name}(" in text or f"class {name}:" in text for name in names)


def test_checks_that_fail_without_a_fault_are_found(tmp_path: Path) -> None:
    sound, gone = "tests/unit/domain/test_durations.py", "tests/unit/domain/test_schedule.py::test_nothing"
    pool = Pool(tmp_path, 1)
    assert pool.unsound([sound, f"{sound} -k nothing"]) == {f"{sound} -k nothing"}
    assert pool.unsound([sound, gone]) == {gone}


def test_a_fault_is_found_and_a_harmless_change_is_not(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "copy")
    check = "tests/unit/domain/test_durations.py"
    module = "orchestrix_raft/domain/durations.py"
    lines = (ROOT / module).read_text(encoding="utf-8").splitlines()
    line = next(line.strip() for line in lines if line.startswith("    return "))
    harmless = Mutant("none", line, f"{line}  # as before", [check], module=module)
    fault = Mutant("nothing is returned", line, "return None", [check], module=module)
    assert [workspace.verdict(mutant).word for mutant in (harmless, fault, harmless)] == [
        "survived",
        "killed",
        "survived",
    ]
    assert (ROOT / module).read_text(encoding="utf-8").splitlines() == lines
