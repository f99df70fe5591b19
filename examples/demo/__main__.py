"""`make demo`: three nodes, two workers, real jobs, the leader killed half-way, and the accounts of it.

Exit code 0 only if nothing was lost, done twice or left unexplained.  Leaves nothing running or lying
about, unless --keep is given.
"""

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.demo.handlers import TYPES
from examples.demo.story import Moved, Outcome, input_files, play
from orchestrix_raft.testing import LocalCluster

console = Console(highlight=False)


def main() -> int:
    """Run the demo; its exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, _terminated)
    begin_s = time.monotonic()
    files = input_files(options.files)
    size = sum(file.stat().st_size for file in files)
    console.print(
        f"input: {len(files):,} files of the Python standard library, {size / 1e6:.1f} MB; "
        f"{len(TYPES)} jobs each: {', '.join(TYPES)}"
    )
    with LocalCluster(nodes=3) as cluster:
        console.print(f"three nodes run at {cluster.servers}; {cluster.node_id(cluster.leader())} leads")
        with _progress(len(files) * len(TYPES)) as (said, moved):
            outcome = play(cluster, files, said, moved)
        _report(outcome, begin_s)
        if options.keep:
            cluster.keep()
            _say_how_to_go_on(cluster)
    return 0 if outcome.good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave cluster and workers running")
    parser.add_argument("--files", type=int, metavar="N", help="only the first N files")
    return parser.parse_args()


def _terminated(signum: int, frame: FrameType | None) -> NoReturn:
    """So that SIGTERM, too, leaves through the cluster's context manager."""
    sys.exit(128 + signum)


@contextmanager
def _progress(total: int) -> Iterator[tuple[Callable[[str], None], Moved]]:
    """A bar on a terminal; elsewhere only what is worth a line."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("jobs done", total=total)

        def moved(enqueued: int, ended: int) -> None:
            bar.update(task, completed=ended, description=f"{enqueued:,} enqueued, done")

        yield console.print, moved


def _report(outcome: Outcome, begin_s: float) -> None:
    accounts = outcome.accounts
    table = Table(title="what happened", title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    twice = len(accounts.ended_twice)
    reasons = Counter(accounts.reexecuted.values())
    rows: list[tuple[str, object, str]] = [
        ("enqueued", accounts.enqueued, f"acknowledged; {outcome.killed.enqueued:,} of them before the kill"),
        ("completed", accounts.completed, _in_words(accounts.states)),
        ("lost", accounts.lost, "acknowledged, but gone or not finished"),
        ("executions", accounts.executions, "handler starts in the ledger of effects"),
        ("re-executions", accounts.executions - accounts.enqueued, _in_words(reasons)),
        ("unexplained", len(accounts.unexplained), "; ".join(sorted(set(accounts.unexplained.values())))),
        ("ends per job", f"{accounts.ends / max(1, accounts.enqueued):g}", "handler ends in the ledger"),
        ("duplicated effects", twice, "jobs that ended more than once"),
        ("fail-over time", f"{outcome.failover_s:.2f} s", "from the kill until workers got new jobs"),
        ("checksums verified", outcome.checksums_right, f"{outcome.checksums_wrong} wrong"),
        ("state of the nodes", "equal", f"all three digests, at log index {outcome.same_digest_at:,}"),
    ]
    for name, value, note in rows:
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value), note)
    console.print()
    console.print(table)
    console.print(
        f"\n{outcome.lines:,} lines, {outcome.words:,} words, most often: {', '.join(outcome.frequent)}.\n"
        f"Jobs took {outcome.work_s:.1f} s, fail-over included; the whole demo "
        f"{time.monotonic() - begin_s:.1f} s."
    )
    verdict = "nothing was lost" if outcome.good else "NOT as promised: see above"
    console.print(f"[bold {'green' if outcome.good else 'red'}]{verdict}[/]")


def _in_words(counts: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))


def _say_how_to_go_on(cluster: LocalCluster) -> None:
    script = Path(sys.executable).with_name("orchestrix-raft")
    program = script if script.exists() else f"{sys.executable} -m orchestrix_raft"
    pids = [process.pid for process in [*cluster.workers, *cluster.running_nodes()]]
    console.print(
        f"\nStill running, with data and logs in {cluster.data_dir}:\n"
        f"  look:  {program} status --servers {cluster.servers}\n"
        f"  stop:  kill {' '.join(map(str, pids))}\n"
        f"  clean: rm -r {cluster.data_dir}",
        soft_wrap=True,
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AssertionError as failure:
        # Something did not happen in time; the notes are what the processes said last.
        print("failed:", failure, *getattr(failure, "__notes__", ()), sep="\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
