"""What takes long: waiting for a job's end, and commands on many jobs.

On a terminal something moves meanwhile, on stderr, and is gone at the end; in scripts, logs and with
`--json` nothing of it is written, except where a line for each step is worth having.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from orchestrix_raft import DeadlineExceeded, Job, Unavailable
from orchestrix_raft.cli import options, output

if TYPE_CHECKING:
    from orchestrix_raft import Client

LOOK_S: Final = 1.0  # between two looks at a job that is waited for

Say = Callable[[int, str], None]
"""How far it is, in percent (0: nobody knows), and a few words."""


def finish(job: Job, as_json: bool) -> None:
    """Tell the end of a job; JobFailed unless it completed."""
    if as_json:
        output.document(job)
    elif job.state == "completed":
        output.line(json.dumps(job.result, ensure_ascii=False))
    job.raise_for_state()


def await_end(client: "Client", job_id: str, timeout_s: float | None, *, shown: bool) -> Job:
    """The job once it has ended; DeadlineExceeded after `timeout_s`.

    shown: on a terminal, with its progress meanwhile.
    """
    if not shown or not sys.stderr.isatty():
        return client.wait(job_id, timeout=timeout_s)
    with _bar(f"job {job_id}") as say:
        return _watched(client, job_id, timeout_s, say)


def _watched(client: "Client", job_id: str, timeout_s: float | None, say: Say) -> Job:
    """Like `client.wait`, with a look at the job every second."""
    begun = answered = time.monotonic()
    while True:
        left_s = LOOK_S if timeout_s is None else min(LOOK_S, begun + timeout_s - time.monotonic())
        try:
            try:
                return client.wait(job_id, timeout=max(0.0, left_s))
            except DeadlineExceeded:
                job = client.get(job_id)
        except Unavailable:
            # So short a wait has not the patience for a change of leaders: that is kept here, unless the
            # caller has less.
            now = time.monotonic()
            if now - answered > options.PATIENCE_S or (timeout_s is not None and now - begun >= timeout_s):
                raise
            say(0, "no node answers at the moment")
            continue
        answered = time.monotonic()
        if timeout_s is not None and answered - begun >= timeout_s:
            raise DeadlineExceeded(f"job {job_id} is {job.state} after {timeout_s:g} s", "WAIT_TIMEOUT")
        say(job.progress, f"{job.state}  {job.progress_message}")


@contextmanager
def busy(text: str, *, shown: bool) -> Iterator[None]:
    """Something moves while a command on many jobs goes on; how many there will be nobody knows before."""
    if not shown or not sys.stderr.isatty():
        yield
        return
    with _bar(text):
        yield


@contextmanager
def steps(text: str, *, shown: bool) -> Iterator[Say]:
    """For what comes to its end in steps that somebody waits for: on a terminal a bar, elsewhere a line on
    stdout for each step."""
    if not shown:
        yield lambda _percent, _words: None
    elif sys.stderr.isatty():
        with _bar(text) as say:
            yield say
    else:
        yield lambda _percent, words: output.line(f"{text}: {words}")


@contextmanager
def _bar(text: str) -> Iterator[Say]:
    # Only a terminal needs it, and it takes as long to import as a short command takes.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[share]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}", markup=False),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(text, total=None, share="", words="")

        def say(percent: int, words: str) -> None:
            known = percent > 0
            progress.update(
                task,
                total=100 if known else None,
                completed=percent,
                share=f"{percent}%" if known else "",
                words=output.cell(words),
                refresh=True,
            )

        yield say
