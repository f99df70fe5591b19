"""Deliberate faults, kept as data: for each what one line becomes, and what must notice it.

`patches/<package>.toml` holds them by module.  A fault names its line by the whole text of it, without the
indentation; `after` tells equal lines apart: the first one behind a line with that text is meant.
"""

import tomllib
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).resolve().parents[2]
PATCHES: Final = Path(__file__).resolve().parent / "patches"
SIMULATE: Final = "simulate "
"""`simulate MIX FIRST-LAST`: these seeds of the simulator, instead of tests."""


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault of one line."""

    fault: str
    """What the program then does wrong, in plain words."""
    was: str
    becomes: str
    killed_by: list[str]
    """In this order: tests as pytest names them, with `-k WORDS` where only some are meant, or seeds."""
    after: str = ""
    module: str = ""
    """Its path from the root; not in the file, where it is the table's name."""

    @property
    def name(self) -> str:
        return f"{self.module}: {self.fault}"

    def applied(self, text: str) -> str:
        """The module's text with the fault in it.  ValueError: the line is not there, or not once."""
        lines = text.splitlines(keepends=True)
        start = 0
        if self.after:
            start = 1 + _only(
                [n for n, line in enumerate(lines) if line.strip() == self.after], self, "after"
            )
        found = [n for n, line in enumerate(lines) if n >= start and line.strip() == self.was]
        place = found[0] if found and self.after else _only(found, self, "was")
        line = lines[place]
        lines[place] = line[: len(line) - len(line.lstrip())] + self.becomes + "\n"
        return "".join(lines)


def _only(places: list[int], mutant: Mutant, which: str) -> int:
    if len(places) != 1:
        raise ValueError(f"{mutant.name}: the line of `{which}` is there {len(places)} times")
    return places[0]


def load(folder: Path = PATCHES) -> list[Mutant]:
    """All of them, by file and then as they stand there.  ValueError names a file that is wrong."""
    mutants = []
    for path in sorted(folder.glob("*.toml")):
        try:
            tables = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), dict[str, list[Mutant]])
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise ValueError(f"{path.name}: {error}") from error
        for module, faults in tables.items():
            mutants += [
                msgspec.structs.replace(mutant, module=f"orchestrix_raft/{module}") for mutant in faults
            ]
    return mutants
