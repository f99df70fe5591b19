"""Child processes that try seeds side by side, and what becomes of each seed in the order of the seeds.

A child that dies or does not answer costs its seed alone: the seed is named as a failure, and another child
goes on.  So a run of many hours ends with every seed accounted for.
"""

import selectors
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from typing import IO, Final

import msgspec

from orchestrix_raft.simulation.seeds import Outcome

PATIENCE_S: Final = 900.0
"""For one seed; the slowest take some seconds."""
_LOOK_S: Final = 1.0
_AHEAD: Final = 64
"""Seeds for each child that may be done before an earlier one is: what is kept in memory meanwhile."""
_CHILD: Final = (sys.executable, "-m", "orchestrix_raft.simulation.seeds")

Asked = tuple[int, str]
"""Seed, mix."""


class _Child:
    """One process, and the seed it is at."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.asked: Asked = (0, "")
        self.began = 0.0

    @property
    def output(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def ask(self, asked: Asked) -> None:
        assert self.process.stdin is not None
        self.asked, self.began = asked, time.monotonic()
        try:
            self.process.stdin.write(f"{asked[0]} {asked[1]}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            # it died between two seeds: its output ends too, and `answer` tells of it
            return

    def answer(self) -> Outcome:
        """Its answer, or that it ended without one."""
        line = self.output.readline()
        if line.endswith(b"\n"):
            return msgspec.json.decode(line, type=Outcome)
        code = self.process.wait()
        what = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Outcome(*self.asked, failure=f"FAILURE the process that ran it ended: {what}")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    # what it was asked last was not read
                    continue


class Crew:
    """`jobs` children; `outcomes` may be called once."""

    def __init__(self, jobs: int, command: Sequence[str] = _CHILD, patience_s: float = PATIENCE_S) -> None:
        self.done = 0  # seeds tried, in any order
        self.children: list[_Child] = []
        self._jobs = jobs
        self._command = command
        self._patience_s = patience_s
        self._selector = selectors.DefaultSelector()

    def outcomes(self, asked: Sequence[Asked]) -> Generator[Outcome | None, None, None]:
        """Of each in the given order; None about once a second, so that the caller can tell how far it is."""
        try:
            yield from self._outcomes(asked)
        finally:
            for child in self.children:
                child.end()
            self._selector.close()

    def _outcomes(self, asked: Sequence[Asked]) -> Generator[Outcome | None, None, None]:
        places = {one: place for place, one in enumerate(asked)}
        found: dict[int, Outcome] = {}
        told = given = 0
        idle = [self._begin() for _ in range(min(self._jobs, len(asked)))]
        while told < len(asked):
            while idle and given < min(len(asked), told + _AHEAD * self._jobs):
                child = idle.pop()
                child.ask(asked[given])
                self._selector.register(child.output, selectors.EVENT_READ, child)
                given += 1
            for child, outcome in self._heard():
                found[places[child.asked]] = outcome
                self.done += 1
                idle.append(child if child.process.poll() is None else self._replace(child))
            while told in found:
                yield found.pop(told)
                told += 1
            yield None

    def _heard(self) -> list[tuple[_Child, Outcome]]:
        """Who answered, died or was given up, within a moment."""
        heard = []
        for key, _ in self._selector.select(_LOOK_S):
            child: _Child = key.data
            self._selector.unregister(child.output)
            heard.append((child, child.answer()))
        now = time.monotonic()
        for key in list(self._selector.get_map().values()):
            child = key.data
            if now - child.began > self._patience_s:
                self._selector.unregister(child.output)
                child.end()
                why = f"FAILURE no answer after {self._patience_s:.0f} s"
                heard.append((child, Outcome(*child.asked, failure=why)))
        return heard

    def _begin(self) -> _Child:
        child = _Child(self._command)
        self.children.append(child)
        return child

    def _replace(self, child: _Child) -> _Child:
        child.end()
        self.children.remove(child)
        return self._begin()
