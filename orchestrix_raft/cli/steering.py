"""`jobs cancel / retry / purge`: one job, several, or all that a filter accepts."""

from collections.abc import Callable
from typing import Annotated, Final

import typer

from orchestrix_raft import JobNotFound
from orchestrix_raft.cli import options, output, waiting
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.client.model import WAITING
from orchestrix_raft.domain.durations import parse_duration_ms
from orchestrix_raft.domain.ids import parse_job_id
from orchestrix_raft.domain.words import counted

JobIds = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Ids of jobs; or say which with a filter.")
]
OlderThan = Annotated[
    str | None,
    typer.Option(
        "--older-than",
        metavar="D",
        help="Only jobs that ended (unfinished ones: were enqueued) this long ago or longer.",
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="No filter but the state.")]

_TOLD: Final = {"requested": "its handler was asked to stop"}


class Filter:
    """What the filter options said; `given` when there was any."""

    def __init__(
        self, state: str | None, queue: str | None, job_type: str | None, older: str | None, every: bool
    ) -> None:
        older_ms = options.read_optional(parse_duration_ms, older, "--older-than")
        self.state = state
        self.queue = queue
        self.type = job_type
        self.older_than = None if older_ms is None else older_ms / 1_000
        self.given = every or any(value is not None for value in (state, queue, job_type, older))


def _ids(job_ids: list[str] | None, given: bool, verb: str) -> list[str]:
    """The jobs that were named, checked; wrong usage unless it is either ids or a filter."""
    named = job_ids or []
    if bool(named) == given:
        raise typer.BadParameter(f"{verb} what? Give ids of jobs, or a filter, or --all")
    for job_id in named:
        options.read(parse_job_id, job_id, "ID")
    return named


def cancel(
    context: typer.Context,
    job_ids: JobIds = None,
    state: options.State = None,
    queue: options.OfQueue = None,
    job_type: options.OfType = None,
    older_than: OlderThan = None,
    every: Everything = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the job.")] = "",
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Cancel jobs; running handlers are asked to stop.

    With a filter: jobs that wait (scheduled, pending), unless --state says otherwise.
    """
    where = Filter(state, queue, job_type, older_than, every)
    named = _ids(job_ids, where.given, "cancel")
    with options.connect(context, servers) as client:
        if named:
            _each(named, lambda job_id: client.cancel(job_id, reason), as_json)
            return
        with waiting.busy("cancelling jobs", shown=not as_json):
            count = client.cancel_where(
                state=where.state or WAITING,
                queue=where.queue,
                type=where.type,
                older_than=where.older_than,
                reason=reason,
            )
    _counted(count, "cancelled", as_json)


def retry(
    context: typer.Context,
    job_ids: JobIds = None,
    state: options.State = None,
    queue: options.OfQueue = None,
    job_type: options.OfType = None,
    older_than: OlderThan = None,
    every: Everything = False,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Make jobs ready now: dead or cancelled ones, or those that wait for their retry.

    With a filter: dead letters, unless --state says otherwise.
    """
    where = Filter(state, queue, job_type, older_than, every)
    named = _ids(job_ids, where.given, "retry")
    with options.connect(context, servers) as client:
        if named:
            _each(named, client.retry, as_json)
            return
        with waiting.busy("retrying jobs", shown=not as_json):
            count = client.retry_where(
                state=where.state or "dead", queue=where.queue, type=where.type, older_than=where.older_than
            )
    _counted(count, "retried", as_json)


def purge(
    context: typer.Context,
    job_ids: JobIds = None,
    state: options.State = None,
    queue: options.OfQueue = None,
    job_type: options.OfType = None,
    older_than: OlderThan = None,
    every: Everything = False,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Forget finished jobs and their history.

    With a filter: dead letters, unless --state says completed or cancelled.  Ids stay known for a day after
    the job's end.
    """
    where = Filter(state, queue, job_type, older_than, every)
    named = _ids(job_ids, where.given, "purge")
    with options.connect(context, servers) as client:
        if named:
            _each(named, client.purge, as_json)
            return
        with waiting.busy("purging jobs", shown=not as_json):
            count = client.purge_where(
                state=where.state or "dead", queue=where.queue, type=where.type, older_than=where.older_than
            )
    _counted(count, "purged", as_json)


def _each(job_ids: list[str], act: Callable[[str], str], as_json: bool) -> None:
    """One after the other; Failure at the end if a job was not in a state for it, or not there.

    What was done is told also when a later one breaks off.
    """
    words: list[tuple[str, str]] = []
    alone = len(job_ids) == 1
    try:
        for job_id in job_ids:
            words.append((job_id, _word(act, job_id, alone=alone)))
    finally:
        if words:
            _tell(words, as_json, alone=alone)
    refused = [f"job {job_id} is {_state(word)}" for job_id, word in words if _state(word)]
    if refused:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise Failure(f"nothing to do: {refused[0]}{more}")


def _word(act: Callable[[str], str], job_id: str, *, alone: bool) -> str:
    """What became of one job.  One among several that is not there does not keep the others waiting."""
    try:
        return act(job_id)
    except JobNotFound:
        if alone:
            raise
        return "not_found"


def _tell(words: list[tuple[str, str]], as_json: bool, *, alone: bool) -> None:
    if as_json:
        results = [{"id": job_id, "result": word} for job_id, word in words]
        output.document(results[0] if alone else {"jobs": results})
    else:
        for job_id, word in words:
            if not _state(word):
                told = _TOLD.get(word, word)
                output.line(told if alone else f"{job_id}  {told}")


def _state(word: str) -> str:
    """What stood in the way, if something did: `already_dead`, `still_running`, `not_found`, ..."""
    kind, _, state = word.partition("_")
    match kind:
        case "already":
            return f"{state} already"
        case "still":
            return f"still {state}"
        case "not":
            return "not there"
        case "unique" | "live":
            return f"held back: {word}"
        case _:
            return ""


def _counted(count: int, verb: str, as_json: bool) -> None:
    if as_json:
        output.document({"count": count})
    else:
        output.line(f"{counted(count, 'job')} {verb}")
