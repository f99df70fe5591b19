"""`cluster events`: what happened in the cluster, and what happens."""

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orchestrix_raft import Unavailable
from orchestrix_raft.cli import event_words, following, options, output
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.client.events import AuditEntry, Event
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import parse_job_id
from orchestrix_raft.wire.events import check_since

if TYPE_CHECKING:
    from orchestrix_raft import Client

LOOK_S: Final = 1.0  # between two looks at a trail that is followed


def events(
    context: typer.Context,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Go on with what happens, until Ctrl-C, also when no node answers."),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="CURSOR",
            help="What happened after the event of this cursor; now: what has not happened yet; with --audit:"
            " after the record of this number. [default: all that is known; with --follow: now]",
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
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=1,
            help="With --audit: at most so many records, the first after --since, or else the latest;"
            " with --follow: so many of the latest first.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document per line.")] = False,
    servers: options.Servers = None,
) -> None:
    """Tell what happened: every change of the cluster's state, in order.

    The first column is the event's cursor; --since goes on behind it, at any node.  With --audit it is the
    number of the record.
    """
    if audit:
        _check_audit({"--job": job, "--queue": queue, "--type": job_type, "--kind": kind})
        after = _first_number(since, limit, follow)
        with options.connect(context, servers) as client:
            for entry in _trail(client, after, limit, follow):
                output.document(entry, one_line=True) if as_json else _show_entry(entry)
        return
    if limit is not None:
        raise typer.BadParameter("goes with --audit only", param_hint="--limit")
    _check_wanted(since, job, queue, job_type, kind)
    wanted = {"job": job, "queue": queue, "type": job_type, "kind": kind}
    with options.connect(context, servers) as client:
        for event in _told(client, since, follow, wanted):
            output.document(event, one_line=True) if as_json else _show(event)


def _told(client: "Client", since: str | None, follow: bool, wanted: dict[str, Any]) -> Iterable[Event]:
    if follow:
        return following.events(client, since, wanted)
    return client.events(since=since, follow=False, **wanted)


def _check_wanted(
    since: str | None,
    jobs: list[str] | None,
    queues: list[str] | None,
    types: list[str] | None,
    kinds: list[str] | None,
) -> None:
    if since is not None:
        options.read(check_since, since, "--since")
    for job_id in jobs or ():
        options.read(parse_job_id, job_id, "--job")
    for queue in queues or ():
        options.read(options.queue_name, queue, "--queue")
    for job_type in types or ():
        options.read(options.type_name, job_type, "--type")
    for kind in kinds or ():
        options.read(options.not_empty, kind, "--kind")


def _check_audit(filters: dict[str, list[str] | None]) -> None:
    for name, given in filters.items():
        if given:
            raise typer.BadParameter("is about events: it does not go with --audit", param_hint=name)


def _first_number(since: str | None, limit: int | None, follow: bool) -> int | None:
    """The record behind which to begin; None: it was not said."""
    if follow and since is not None and limit is not None:
        words = "with --follow it says how many of the latest come first: leave it or --since out"
        raise typer.BadParameter(words, param_hint="--limit")
    return None if since is None else options.read(_number, since, "--since")


def _number(text: str) -> int:
    """Of a record of the audit trail."""
    if not text.isdecimal() or not text.isascii() or int(text) > limits.LINE_NUMBER_MAX:
        raise ValueError(f"{text[:40]!r} is no number of a record: --audit shows them in its first column")
    return int(text)


def _trail(client: "Client", after: int | None, limit: int | None, follow: bool) -> Iterator[AuditEntry]:
    """Records behind `after`, at most `limit`; without it all of them or the latest `limit`.  With `follow`
    then those to come."""
    if after is None and (limit is not None or follow):
        newest = _newest(client, follow)
        after = max(0, newest[-1].number - (limit or 0)) if newest else 0
    after, left = after or 0, None if follow else limit
    cluster_id, silence = "", following.Silence()
    while left is None or left > 0:
        try:
            page = client.audit(after=after, limit=limits.PAGE if left is None else min(left, limits.PAGE))
        except Unavailable as error:
            if not follow:
                raise
            silence.begins(error)
            continue
        silence.over()
        if cluster_id and page.cluster_id not in (cluster_id, ""):
            raise Failure(_another(cluster_id, page.cluster_id, after))
        cluster_id = page.cluster_id or cluster_id
        yield from page
        if page:
            after = page[-1].number
            left = None if left is None else left - len(page)
        elif follow:
            time.sleep(LOOK_S)
        else:
            return


def _newest(client: "Client", follow: bool) -> list[AuditEntry]:
    """The latest record, if there is one."""
    silence = following.Silence()
    while True:
        try:
            return client.audit(limit=1, latest=True)
        except Unavailable as error:
            if not follow:
                raise
            silence.begins(error)


def _another(before: str, now: str, after: int) -> str:
    """Why the trail cannot be followed any more."""
    return (
        f"another cluster answers: {now}, made by a restore or a recovery perhaps, no longer {before}."
        f" Record {after} was the last one told, and its number means nothing there; --since 0 begins with"
        " the oldest record of the new one"
    )


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
        event_words.words_of(event),
        f"({event.actor})" if event.actor else "",
        event.reason,
    ]
    output.line("  ".join(word for word in words if word))
