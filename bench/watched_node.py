"""`python -m bench.watched_node FILE node ...`: a node that writes every stop of its loop, and when it writes
checkpoints and its journal, to a file.

The node's own metric looks four times a second: enough to notice that a node is in trouble, but it hardly
ever meets a stop of some milliseconds.  This looks every two milliseconds, and tells a stop too short by at
most that.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TextIO
from unittest import mock

from orchestrix_raft.cli import app
from orchestrix_raft.coordinator.checkpoints import Checkpoints, CheckpointWork
from orchestrix_raft.storage.journal import LmdbJournal
from orchestrix_raft.storage.port import StateView
from orchestrix_raft.telemetry.loop_lag import LoopLag
from orchestrix_raft.telemetry.metrics import Registry
from orchestrix_raft.testing import LocalCluster

INTERVAL_S: Final = 0.002
TOLD_S: Final = 0.002  # shorter ones are noise
AROUND_S: Final = 0.1  # before and after writing, a checkpoint has work on the loop


class Stop(NamedTuple):
    """Of a loop.  at_s: its end, wall seconds."""

    at_s: float
    took_s: float


class Watched(NamedTuple):
    """What one node wrote.  checkpoints, syncs (of the journal, on the loop): (begin, end), wall seconds.
    computed: likewise stops, as CPU time of the loop's thread."""

    stops: list[Stop]
    checkpoints: list[tuple[float, float]]
    syncs: list[tuple[float, float]]
    computed: list[Stop]

    def most_computed_ms(self, begin_s: float, end_s: float) -> float:
        """The most CPU time that the loop took at a stretch: what other processes do hardly changes it."""
        return max((one.took_s for one in self.computed if begin_s <= one.at_s <= end_s), default=0.0) * 1e3

    def longest_ms(
        self, begin_s: float, end_s: float, *, checkpoints: bool, with_syncs: bool = True
    ) -> float:
        """The longest stop in that time, while a checkpoint was made or while none was."""
        found = [
            stop.took_s - (0.0 if with_syncs else self._synced_s(stop))
            for stop in self.stops
            if begin_s <= stop.at_s <= end_s and self._in_checkpoint(stop) is checkpoints
        ]
        return max(found, default=0.0) * 1e3

    def _synced_s(self, stop: Stop) -> float:
        first = stop.at_s - stop.took_s
        return sum(max(0.0, min(end, stop.at_s) - max(begin, first)) for begin, end in self.syncs)

    def _in_checkpoint(self, stop: Stop) -> bool:
        first = stop.at_s - stop.took_s
        return any(
            begin - AROUND_S <= stop.at_s and first <= end + AROUND_S for begin, end in self.checkpoints
        )


class WatchedCluster(LocalCluster):
    """Nodes that are watched."""

    def node_command(self, number: int) -> list[str]:
        _, _, _, *arguments = super().node_command(number)
        return [sys.executable, "-m", "bench.watched_node", str(self._watch_file(number)), *arguments]

    def _watch_file(self, number: int) -> Path:
        return self.data_dir / f"{self.node_id(number)}.stops"

    def watched(self) -> list[Watched]:
        """By node."""
        return [_read(self._watch_file(number)) for number in range(len(self))]


def _read(path: Path) -> Watched:
    rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    return Watched(
        [Stop(float(a), float(b)) for what, a, b in rows if what == "stop"],
        [(float(a), float(b)) for what, a, b in rows if what == "checkpoint"],
        [(float(a), float(b)) for what, a, b in rows if what == "sync"],
        [Stop(float(a), float(b)) for what, a, b in rows if what == "computed"],
    )


@contextmanager
def _told(told: TextIO, what: str, least_s: float) -> Iterator[None]:
    """Write down when it was, unless it was shorter."""
    begin_s = time.time()
    try:
        yield
    finally:
        end_s = time.time()
        if end_s - begin_s >= least_s:
            told.write(f"{what} {begin_s:.4f} {end_s:.4f}\n")


def main(file: str, arguments: list[str]) -> None:
    """Run the program with the loop and the checkpoints watched."""
    with open(file, "a", buffering=1, encoding="ascii") as told:

        class Watch(LoopLag):
            def __init__(self, registry: Registry) -> None:
                super().__init__(registry, interval_s=INTERVAL_S)
                self._spent_s = time.thread_time()

            def record(self, lag_s: float) -> None:
                super().record(lag_s)
                if lag_s >= TOLD_S:
                    told.write(f"stop {time.time():.4f} {lag_s:.4f}\n")
                before_s, self._spent_s = self._spent_s, time.thread_time()
                if self._spent_s - before_s >= TOLD_S:
                    told.write(f"computed {time.time():.4f} {self._spent_s - before_s:.4f}\n")

        write, flush = Checkpoints.write, LmdbJournal.flush

        def written(self: Checkpoints, work: CheckpointWork) -> StateView | None:
            with _told(told, "checkpoint", 0.0):
                return write(self, work)

        def flushed(self: LmdbJournal) -> None:
            with _told(told, "sync", TOLD_S / 2):
                flush(self)

        with (
            mock.patch("orchestrix_raft.cli.node.LoopLag", Watch),
            mock.patch.object(Checkpoints, "write", written),
            mock.patch.object(LmdbJournal, "flush", flushed),
        ):
            app.main(arguments)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
