"""The targets by name: one module each, with `target(data)` that states what must hold for any bytes.

A target returns for what is right and raises for what is not.  It catches the errors that the code under it
documents, and nothing else.  It must take the same way each time: no clock, no chance, nothing kept between
two calls.  A module may have `examples()`, made-up inputs that are written in no file, and `WORDS`, pieces
that random input would not hit on.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

CORPUS: Final = Path(__file__).parent / "corpus"
"""A folder for each target: valid samples, and every input that once found something."""


class Target(NamedTuple):
    """One thing that bytes from outside reach."""

    name: str  # of its module and of its folder in the corpus
    bytes_max: int  # longest input that is tried
    limit_s: float  # one input takes less, also on a slow machine; more counts as a hang
    untraced: tuple[
        str, ...
    ] = ()  # modules that, with all they import, do not guide the fuzzer: tracing is slow

    @property
    def corpus(self) -> Path:
        return CORPUS / self.name

    def load(self) -> Callable[[bytes], None]:
        """The function itself; imports what it tests."""
        module = importlib.import_module(f"tests.fuzz.{self.name}")
        found: Callable[[bytes], None] = module.target
        return found

    def words(self) -> tuple[bytes, ...]:
        """See the module."""
        module = importlib.import_module(f"tests.fuzz.{self.name}")
        found: tuple[bytes, ...] = getattr(module, "WORDS", ())
        return found

    def examples(self) -> list[bytes]:
        """See the module."""
        module = importlib.import_module(f"tests.fuzz.{self.name}")
        found: list[bytes] = getattr(module, "examples", list)()
        return found

    def samples(self) -> dict[str, bytes]:
        """The corpus by file name."""
        return {path.name: path.read_bytes() for path in sorted(self.corpus.iterdir())}


TARGETS: Final = (
    Target("frames", 4_096, 2.0),
    Target("greetings", 4_096, 2.0),
    Target("peer_stream", 4_096, 2.0),
    Target("journal", 2_048, 10.0),
    Target("rows", 4_096, 5.0),
    Target("local", 2_048, 10.0),
    Target("backups", 4_096, 10.0, ("orchestrix_raft.machine.invariants",)),
    Target("api", 2_048, 10.0, ("tests.unit.coordinator.bench",)),
    Target("cron", 256, 10.0),
    Target("typed", 512, 2.0),
    Target("config", 2_048, 5.0),
    Target("arguments", 512, 20.0, ("orchestrix_raft.client.aio", "orchestrix_raft.coordinator.options")),
)
BY_NAME: Final = {one.name: one for one in TARGETS}
