"""`check-history`: whether what clients and workers recorded can have been."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from orchestrix_raft import OrchestrixError
from orchestrix_raft.cli import options, output
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.client.aio import AsyncClient
from orchestrix_raft.domain.words import counted
from orchestrix_raft.history.checker import Report, check
from orchestrix_raft.history.gathered import BadHistory
from orchestrix_raft.history.records import Line
from orchestrix_raft.history.search import STEPS_MAX
from orchestrix_raft.history.verdict import Verdict
from orchestrix_raft.recording.reading import Unreadable, read_history
from orchestrix_raft.testing.observing import observed_lines
from orchestrix_raft.wire.endpoint import TlsFiles
from orchestrix_raft.wire.transport import new_event_loop

NOT_JUDGED: Final = 2
"""Exit code when there is no verdict at all: 1 says that a contradiction was found, and nothing else."""


def check_history(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            show_default=False,
            parser=options.path,
            help="What was recorded: files, or directories of them.",
        ),
    ],
    forgets: Annotated[
        bool,
        typer.Option("--forgets", help="With --servers: the nodes may have forgotten ended jobs by now."),
    ] = False,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", min=1, help="Steps of the search for one job or key.")
    ] = STEPS_MAX,
    as_json: options.Json = False,
    servers: Annotated[
        str | None,
        typer.Option(
            "--servers",
            metavar="A,B,C",
            help="Nodes, HOST:PORT each, that are asked what became of the jobs, and for the events.",
        ),
    ] = None,
) -> None:
    """Check a recorded history: could a correct cluster have answered like this?

    Exit code 0: no contradiction; 1: a violation; 2: it could not be judged, because a file cannot be read,
    no node answers, or nothing was recorded.
    """
    told = servers is not None or (isinstance(context.obj, dict) and "servers" in context.obj)
    # Not from the environment: a file can be checked anywhere, and the cluster be another one by then.
    nodes = options.choose_servers(context, servers) if told else None
    if forgets and nodes is None:
        raise typer.BadParameter("goes with --servers", param_hint="--forgets")
    try:
        lines = list(read_history(files))
        if nodes is not None:
            lines += _observed(nodes, options.tls_files(context), lines, forgets)
        report = check(lines, steps)
    except (Unreadable, BadHistory) as error:
        raise Failure(str(error), NOT_JUDGED) from error
    except OrchestrixError as error:
        raise Failure(_not_observed(error), NOT_JUDGED) from error
    if not report.violated and not any(verdict.looked_at for verdict in report.verdicts):
        raise Failure(_nothing(report), NOT_JUDGED)
    if as_json:
        output.document({"violated": report.violated, "report": report})
    else:
        _show(report)
    if report.violated:
        raise typer.Exit(1)


def _observed(servers: tuple[str, ...], tls: TlsFiles | None, lines: list[Line], forgets: bool) -> list[Line]:
    async def ask() -> list[Line]:
        async with AsyncClient(servers, deadline=options.PATIENCE_S, tls=tls) as client:
            return await observed_lines(client, lines, forgets=forgets)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(ask())


def _not_observed(error: OrchestrixError) -> str:
    """Only the nodes raise it: files say otherwise what is wrong with them."""
    return (
        f"nothing was judged, because the nodes do not say what became of the jobs: {error}; name nodes that"
        " answer, or leave --servers out to judge the files alone"
    )


def _nothing(report: Report) -> str:
    """Of files without a line that a check looks at: that is no proof of anything."""
    read = f"{counted(report.lines, 'line')} of {counted(report.processes, 'process', 'processes')}"
    return (
        f"there was nothing to judge in {read}: name files that clients and workers have written, with"
        " history= or ORCHESTRIX_HISTORY"
    )


def _show(report: Report) -> None:
    output.line(
        f"{counted(report.lines, 'line')} of {counted(report.processes, 'process', 'processes')}:"
        f" {counted(report.operations, 'operation')}, {counted(report.executions, 'execution')},"
        f" {counted(report.events, 'event')}"
    )
    rows = [(one.check, one.looked_at, str(one.word)) for one in report.verdicts]
    output.table(["check", "looked at", "verdict"], rows, "")
    for verdict in report.verdicts:
        _explain(verdict)
    output.line(_summary(report))


def _summary(report: Report) -> str:
    """The last line: what was found, and of what nothing can be said."""
    found = sum(len(verdict.violations) + verdict.more for verdict in report.verdicts)
    words = counted(found, "violation") if found else "no violation"
    # Also a check with a violation may have parts that it could not decide.
    open_ones = [verdict.check for verdict in report.verdicts if verdict.undecided]
    return f"{words}; not decided: {', '.join(open_ones)}" if open_ones else words


def _explain(verdict: Verdict) -> None:
    for violation in verdict.violations:
        output.line()
        output.heading(f"{verdict.check}: {violation.what}")
        for line in violation.lines:
            output.line(f"  {line}")
    if verdict.more:
        output.line(f"{verdict.check}: {verdict.more} more")
    for why in verdict.undecided:
        output.line(f"{verdict.check}: not decided: {why}")
