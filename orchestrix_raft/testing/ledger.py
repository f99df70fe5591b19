"""A ledger of effects: handlers write one line per start and end, whatever becomes of their process.

What the cluster says about a job is one story; what handlers really did is another, and it must be kept
where neither a node nor a worker can correct it: a plain file, opened for appending, one `write` a line.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol


class Identified(Protocol):
    """The part of a handler's context that the ledger needs."""

    @property
    def job_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def fencing_token(self) -> int: ...


class LedgerLine(NamedTuple):
    """One effect."""

    what: str  # "start" or "end"
    job_id: str
    attempt: int
    token: int
    at_s: float  # the machine's monotonic clock, which all its processes share


class Ledger:
    """The file at `path`; any number of threads and processes may write, each with its own Ledger."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._counting = threading.Lock()
        self._counted_bytes = 0
        self._counts: Counter[str] = Counter()

    def start(self, ctx: Identified) -> None:
        """The handler has begun."""
        self._write("start", ctx)

    def end(self, ctx: Identified) -> None:
        """The handler's work is done; it has only to return."""
        self._write("end", ctx)

    def _write(self, what: str, ctx: Identified) -> None:
        line = f"{what} {ctx.job_id} {ctx.attempt} {ctx.fencing_token} {time.monotonic():.6f}\n".encode()
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(file, line)
        finally:
            os.close(file)
        if written != len(line):
            raise OSError(f"{self.path}: only {written} of {len(line)} bytes could be written")

    def count(self, what: str) -> int:
        """How many lines of a kind there are now; reads only what is new since the last count."""
        with self._counting:
            if self.path.exists():
                with self.path.open("rb") as file:
                    file.seek(self._counted_bytes)
                    new = file.read()
                new = new[: new.rfind(b"\n") + 1]
                self._counted_bytes += len(new)
                self._counts.update(line.split(b" ", 1)[0].decode() for line in new.splitlines())
            return self._counts[what]

    def lines(self) -> list[LedgerLine]:
        """All of them, in the order of writing; a line that is still being written is left out."""
        if not self.path.exists():
            return []
        text = self.path.read_text(encoding="ascii")
        found = []
        for line in text[: text.rfind("\n") + 1].splitlines():
            what, job_id, attempt, token, at_s = line.split(" ")
            found.append(LedgerLine(what, job_id, int(attempt), int(token), float(at_s)))
        return found


def per_job(lines: Iterable[LedgerLine], what: str) -> Counter[str]:
    """How many lines of a kind each job has."""
    return Counter(line.job_id for line in lines if line.what == what)


def longest_pause(lines: Sequence[LedgerLine], after_s: float, within_s: float) -> tuple[float, float]:
    """(begin, end) of the longest time without a start between `after_s` and `within_s` later.

    With the moment of a kill as `after_s`, under constant load, `end - after_s` is the fail-over time as
    the workers saw it.  ValueError if nothing started in that time.
    """
    starts = sorted(line.at_s for line in lines if line.what == "start")
    inside = [at_s for at_s in starts if after_s < at_s <= after_s + within_s]
    if not inside:
        raise ValueError(f"no handler started within {within_s:g} s")
    pauses = zip([after_s, *inside], inside, strict=False)
    return max(pauses, key=lambda pause: pause[1] - pause[0])
