"""`cluster events`: what happened in the cluster, and what happens."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrix_raft.cli import options, output
from orchestrix_raft.client.events import AuditEntry, Event
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import parse_job_id
from orchestrix_raft.wire.events import check_since

if TYPE_CHECKING:
    from orchestrix_raft import Client


def events(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens, until Ctrl-C.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="CURSOR",
            help="What happened after the event of this cursor."
            " [default: all that is known; with --follow: now]",
        ),
    ] = None,
    job: Annotated[
        list[str] | None, typer.Option("--job", metavar="ID", help="Of this job; several.")
    ] = None,
    queue: Annotated[list[str] | None, typer.Option("--queue", metavar="Q", help="Of this queue.")] = None,
    job_type: Annotated[
        list[str] | None, typer.Option("--type", metavar="T", help="Of jobs of this type.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", metavar="K", help="Of this kind, like job_completed.")
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Who changed what by hand, instead, as far back as it is kept.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document per line.")] = False,
    servers: options.Servers = None,
) -> None:
    """Tell what happened: every change of the cluster's state, in order.

    The first column is the event's cursor; --since goes on behind it, at any node.  With --audit it is the
    number of the record.
    """
    if since is not None:
        options.read(check_since, since, "--since")
    for job_id in job or ():
        options.read(parse_job_id, job_id, "--job")
    if audit and (follow or since or job or queue or job_type or kind):
        raise typer.BadParameter("goes with --json only", param_hint="--audit")
    with options.connect(context, servers) as client:
        for entry in _trail(client) if audit else ():
            output.document(entry, one_line=True) if as_json else _show_entry(entry)
        if audit:
            return
        for event in client.events(
            since=since, follow=follow, job=job, queue=queue, type=job_type, kind=kind
        ):
            output.document(event, one_line=True) if as_json else _show(event)


def _trail(client: "Client") -> Iterator[AuditEntry]:
    after = 0
    while page := client.audit(after=after, limit=limits.PAGE):
        yield from page
        after = page[-1].number


def _show_entry(one: AuditEntry) -> None:
    output.line(
        f"{one.number:<6}  {output.cell(one.at)}  {one.actor}  {one.action}  {one.target}  ({one.outcome})"
    )


def _show(event: Event) -> None:
    about = [event.job_id, event.type, event.queue and f"[{event.queue}]"]
    words = [
        f"{event.cursor:<12}",
        output.cell(event.at),
        f"{event.kind:<18}",
        *(word for word in about if word),
        f"({event.actor})" if event.actor else "",
        event.reason,
    ]
    output.line("  ".join(word for word in words if word))
