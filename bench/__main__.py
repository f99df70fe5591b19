"""`make bench`: the measurements, as a table; with --write also as bench/RESULTS.md and bench/results.json.

Those that take many minutes are only made when they are named, or with --all.

bench/README.md says what each number means.  Nothing here is a test: a missed target is shown, not failed.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

import msgspec

from bench import (
    apply,
    delayed,
    failover,
    latency,
    live,
    report,
    retention,
    retention_cluster,
    schedules,
    sessions,
    singles,
    throughput,
)
from bench.measure import QUICK, Figure, Size

QUESTIONS: Final[dict[str, Callable[[Size], list[Figure]]]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "singles": singles.measure,
    "failover": failover.measure,
    "apply": apply.measure,
    "retention": retention.measure,
    "schedules": schedules.measure,
    "delayed": delayed.measure,
    "retention-cluster": retention_cluster.measure,
    "live": live.measure,
    "sessions": sessions.measure,
}
LONG: Final = frozenset({"schedules", "delayed", "retention-cluster", "live", "sessions"})


def main() -> int:
    """Measure what was asked for; exit code 2 for a question that does not exist."""
    options = _options()
    signal.signal(signal.SIGTERM, _terminated)
    size = QUICK if options.quick else Size()
    machine = report.Machine.now()
    figures: dict[str, list[Figure]] = {}
    for name in options.questions or [name for name in QUESTIONS if options.all or name not in LONG]:
        figures[name] = QUESTIONS[name](size)
        if not options.json:
            print(report.text(figures[name]), flush=True)
    run = report.Run(machine.with_load_at_end(), size, figures)
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(run)).decode())
    if options.write:
        report.write(run)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("--all", action="store_true", help=f"also {', '.join(sorted(LONG))}: some 10 minutes")
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it works")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument(
        "--write", action="store_true", help="also write bench/RESULTS.md and bench/results.json"
    )
    options = parser.parse_args()
    for name in options.questions:
        if name not in QUESTIONS:
            parser.error(f"no such question: {name}; there are {', '.join(QUESTIONS)}")
    return options


def _terminated(signum: int, frame: FrameType | None) -> NoReturn:
    """So that SIGTERM, too, leaves through the clusters' context managers."""
    sys.exit(128 + signum)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
