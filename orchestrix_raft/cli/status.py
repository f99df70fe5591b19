"""`status`: the cluster as the best informed of the servers asked sees it, and what is wrong with it."""

import asyncio
import time
from collections.abc import Iterable
from typing import Annotated, Final, NamedTuple

import msgspec
import typer

from orchestrix_raft import AsyncClient, OrchestrixError
from orchestrix_raft.cli import options, output
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.cli.values import STATES
from orchestrix_raft.client.calls import TRIED
from orchestrix_raft.client.model import ClusterStatus, NodeStatus, WorkerStatus
from orchestrix_raft.wire.endpoint import TlsFiles

WATCH_S: Final = 1.0
ANSWER_S: Final = 2.0  # a server that is silent for this long is reported as such


class Silent(NamedTuple):
    """A server that gave no answer."""

    server: str
    error: str


def status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Again every second, until Ctrl-C.")] = False,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Show the leader, the members, jobs by state, queues and workers.

    With --watch and --json: one document per line.
    """
    chosen = options.choose_servers(context, servers)
    tls = options.tls_files(context)
    while True:
        try:
            answer, silent = ask(chosen, tls)
        except Failure as failure:
            if not watch:
                raise
            output.trouble(str(failure))
        else:
            if as_json:
                _print_document(answer, silent, one_line=watch)
            else:
                _print_page(answer, silent, clear=watch)
        if not watch:
            return
        time.sleep(WATCH_S)


def ask(servers: tuple[str, ...], tls: TlsFiles | None) -> tuple[ClusterStatus, list[Silent]]:
    """The best informed answer, and the servers that gave none.  Failure when nobody answers."""
    results = asyncio.run(ask_each(servers, tls))
    answers = [one for one in results if isinstance(one, ClusterStatus)]
    silent = [one for one in results if isinstance(one, Silent)]
    if answers:
        best = max(answers, key=_standing)
        mixed = _mixed(servers, results, best.cluster_id)
        return msgspec.structs.replace(best, problems=[*mixed, *best.problems]), silent
    whole = "; ".join(f"{one.server}: {one.error}" for one in silent)
    raise Failure(
        f"no node answered ({whole}): start one with `orchestrix-raft node`, or name others with --servers"
    )


def _standing(answer: ClusterStatus) -> tuple[bool, bool, int]:
    """In touch with a leader, the leader itself (it hears of every node at once), furthest on."""
    in_touch = bool(answer.leader) and not answer.stale
    return in_touch, in_touch and answer.answered_by == answer.leader, answer.applied_index


async def ask_each(servers: Iterable[str], tls: TlsFiles | None) -> list[ClusterStatus | Silent]:
    """What each of them answers."""
    return await asyncio.gather(*(_ask(server, tls) for server in servers))


def _mixed(servers: Iterable[str], results: list[ClusterStatus | Silent], shown: str) -> list[str]:
    """A line if the servers are not of one cluster: nodes do not know of those of another."""
    clusters: dict[str, list[str]] = {}
    for server, result in zip(servers, results, strict=True):
        # A node that waits for its first start is of no cluster yet.
        if isinstance(result, ClusterStatus) and result.cluster_id:
            clusters.setdefault(result.cluster_id, []).append(server)
    if len(clusters) < 2:
        return []
    each = [
        f"{', '.join(of)} to {name}{', which is the one shown' if name == shown else ''}"
        for name, of in clusters.items()
    ]
    return [
        f"the servers belong to {len(clusters)} clusters: {'; '.join(each)}: name servers of one cluster with"
        " --servers"
    ]


async def _ask(server: str, tls: TlsFiles | None) -> ClusterStatus | Silent:
    try:
        async with AsyncClient(server, deadline=ANSWER_S, tls=tls) as client:
            return await client.status()
    except OrchestrixError as error:
        # One server was asked, once: that nobody answered in time goes without saying.
        return Silent(server, str(error).rpartition(TRIED)[2])


def _known(answer: ClusterStatus, node: NodeStatus) -> bool:
    """Whether the node that answers knows how far that one is: a follower does not hear it of its leader."""
    return node.node_id == answer.answered_by or node.applied_index > 0


def _print_document(answer: ClusterStatus, silent: list[Silent], *, one_line: bool) -> None:
    document = msgspec.to_builtins(answer)
    document["jobs"] = {state: answer.jobs.get(state, 0) for state in STATES}
    for shown, node in zip(document["nodes"], answer.nodes, strict=True):
        if not _known(answer, node):
            shown |= {"applied_index": None, "lag": None}
    document["unreachable"] = [{"server": one.server, "error": one.error} for one in silent]
    output.document(document, one_line=one_line)


def _print_page(answer: ClusterStatus, silent: list[Silent], *, clear: bool) -> None:
    if clear:
        output.clear()
    leader = (
        answer.leader or "none: nothing new is accepted until a majority of the nodes can reach each other"
    )
    output.facts(
        [
            ("leader", leader),
            ("term", answer.term),
            ("index", f"{answer.applied_index} applied of {answer.commit_index} committed"),
            (
                "answered by",
                answer.answered_by + (" (stale: no contact with a leader)" if answer.stale else ""),
            ),
            ("level", _level(answer)),
        ]
    )
    for problem in answer.problems:
        output.warning(problem)
    for one in silent:
        output.warning(f"{one.server} did not answer: {one.error}")
    _print_tables(answer)


def _level(answer: ClusterStatus) -> str:
    waits = f" (a higher one waits for {', '.join(answer.level_waits_for)})" if answer.level_waits_for else ""
    return f"{answer.machine_level or 'unknown'}{waits}"


def _print_tables(answer: ClusterStatus) -> None:
    output.heading("\nnodes")
    output.table(
        (
            "node",
            "address",
            "role",
            "health",
            "applied",
            "lag",
            "owned jobs",
            "sessions",
            "last heartbeat",
            "version",
            "level",
        ),
        [
            (
                n.node_id,
                n.address,
                n.role,
                _health(n),
                n.applied_index if _known(answer, n) else None,
                n.lag if _known(answer, n) else None,
                n.owned_jobs,
                n.sessions,
                n.last_heartbeat,
                n.version,
                n.machine_level,
            )
            for n in answer.nodes
        ],
        "none",
    )
    output.heading("\njobs")
    output.table(STATES, [[answer.jobs.get(state, 0) for state in STATES]], "none")
    output.heading("\nqueues")
    output.table(
        ("queue", "scheduled", "pending", "dispatched", "running", "state"),
        [
            (q.name, q.scheduled, q.pending, q.dispatched, q.running, "paused" if q.paused else "open")
            for q in answer.queues
        ],
        "no unfinished jobs",
    )
    output.heading("\nworkers")
    workers_table(answer.workers)


def _health(node: NodeStatus) -> str:
    """One word: a node that is alive may be draining."""
    return "draining" if node.drain is not None and node.health == "alive" else node.health


def _place(worker: WorkerStatus) -> str:
    if worker.draining:
        return "draining"
    if worker.moving_to:
        return f"{worker.node_id} -> {worker.moving_to}"
    return worker.node_id or "detached"


def workers_table(workers: list[WorkerStatus]) -> None:
    """One line per worker process."""
    output.table(
        ("worker", "name", "queues", "labels", "used", "stuck", "node", "attached"),
        [
            (
                w.id[:12],
                w.name,
                w.queues,
                w.labels,
                f"{w.used}/{w.capacity}",
                w.stuck,
                _place(w),
                w.attached_at,
            )
            for w in workers
        ],
        "no workers: start one with `orchestrix-raft worker MODULE:NAME`",
    )
