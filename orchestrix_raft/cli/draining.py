"""`cluster drain / undrain` and `workers drain`: hand over before something is stopped."""

import time
from typing import Annotated, Final

import msgspec
import typer

from orchestrix_raft import Client, OrchestrixError
from orchestrix_raft.cli import naming, options, output, waiting
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.client.model import DrainProgress, NodeStatus
from orchestrix_raft.domain.words import counted

WAIT_S: Final = 40.0  # a node closes what is left after 30 s
LOOK_S: Final = 0.2
BEHIND_S: Final = 5.0  # another node than the one that answered first may answer now

_ORPHANS: Final = "orphaned workers lose their jobs unless they come back within 30 s"

NodeId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The node's id, as `status` shows it.",
        callback=options.checked(options.given),
    ),
]


def drain(
    context: typer.Context,
    node_id: NodeId,
    force: Annotated[
        bool, typer.Option("--force", help="Also if the others could not go on without it.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until its workers are elsewhere.")] = True,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Hand a node's leadership and workers over to the others; it takes none until it is undrained.

    What its workers run goes on.  The node stays a member of the cluster and serves clients.  Until its
    workers are elsewhere: how far it is, a line for each change.
    """
    with options.connect(context, servers) as client:
        progress = _begun(client, node_id, force)
        left = 0
        if wait:
            with waiting.steps(f"node {node_id}", shown=not as_json) as say:
                progress, left = _until_empty(client, node_id, progress, say)
    if as_json:
        output.document({"node_id": node_id, "left": left, **msgspec.to_builtins(progress)})
        if wait and (progress.orphaned or left):
            raise Failure(_not_handed_over(node_id, progress, left))
        return
    if not wait:
        had = f"{counted(progress.workers, 'worker')} with {counted(progress.jobs, 'job')}"
        output.line(f"node {node_id} drains: it has {had}")
        return
    output.line(
        f"{counted(progress.asked, 'worker')} handed over, {progress.acknowledged} acknowledged with"
        f" {counted(progress.acknowledged_jobs, 'job')}, {progress.orphaned} orphaned"
    )
    if progress.orphaned:
        output.warning(_ORPHANS)
    if left:
        output.warning(f"still attached to node {node_id}: {counted(left, 'worker')}")
    if progress.orphaned or left:
        raise typer.Exit(1)  # so that a script does not go on to the next node


def _not_handed_over(node_id: str, progress: DrainProgress, left: int) -> str:
    """What the text says in warnings, in one line beside the JSON."""
    words = []
    if progress.orphaned:
        jobs = counted(progress.orphaned_jobs, "job")
        words.append(f"{counted(progress.orphaned, 'worker')} orphaned with {jobs}: {_ORPHANS}")
    if left:
        words.append(f"still attached to it: {counted(left, 'worker')}")
    return f"node {node_id} has not handed over all its workers: {'; '.join(words)}"


def _begun(client: Client, node_id: str, force: bool) -> DrainProgress:
    """What there is to hand over; Failure that names the way out if the others could not go on."""
    try:
        return client.cluster.drain(node_id, force=force)
    except OrchestrixError as error:
        if error.reason == "DRAIN_COSTS_TOO_MUCH":
            raise Failure(f"{error}; --force drains it all the same") from error
        raise


def _until_empty(
    client: Client, node_id: str, progress: DrainProgress, say: waiting.Say
) -> tuple[DrainProgress, int]:
    """How far it has come when no worker is left, or nothing more is to be expected; and how many are.
    `say` is told what has changed."""
    begin = time.monotonic()
    seen, before = False, ""
    while True:
        node = _node(client, node_id)
        waited_s = time.monotonic() - begin
        if node is not None and node.drain is not None:
            seen, progress = True, node.drain
            words = _standing(node, progress)
            if words != before:
                before = words
                say(_percent(node, progress), words)
            if node.health == "dead":
                raise Failure(_died(node_id, progress))
            if not node.sessions or waited_s >= WAIT_S:
                return progress, node.sessions
        elif seen and node is None:
            raise Failure(f"node {node_id} is no member any more: it was removed while it handed over")
        elif seen or waited_s >= BEHIND_S:  # until then the node that answers may not know of it yet
            raise Failure(
                f"the drain of node {node_id} was undone meanwhile, by `cluster undrain` or because the node"
                " was started again: it takes workers"
            )
        time.sleep(LOOK_S)


def _node(client: Client, node_id: str) -> NodeStatus | None:
    return next((node for node in client.status().nodes if node.node_id == node_id), None)


def _standing(node: NodeStatus, drain: DrainProgress) -> str:
    """How far it is, and whether the node can go on."""
    left = f"{counted(node.sessions, 'worker')} left, {drain.asked} handed over"
    words = f"{left}, {drain.acknowledged} acknowledged, {drain.orphaned} orphaned"
    # Nodes of earlier versions say it as a role.
    if "unreachable" in (node.role, node.health) or node.health == "suspect":
        return f"{words}; the node does not answer"
    return words


def _percent(node: NodeStatus, drain: DrainProgress) -> int:
    return 100 * max(0, drain.workers - node.sessions) // drain.workers if drain.workers else 0


def _died(node_id: str, drain: DrainProgress) -> str:
    gone = f"{drain.acknowledged} of {counted(drain.workers, 'worker')} had gone"
    left = "1 was" if drain.orphaned == 1 else f"{drain.orphaned} were"
    return (
        f"node {node_id} died while it handed over: {gone}, {left} detached. They go to other"
        " nodes by themselves; the jobs of one that does not come back within 30 s run elsewhere"
    )


def undrain(
    context: typer.Context, node_id: NodeId, as_json: options.Json = False, servers: options.Servers = None
) -> None:
    """Let a drained node take workers again; so does its restart."""
    with options.connect(context, servers) as client:
        client.cluster.undrain(node_id)
    if as_json:
        output.document({"node_id": node_id})
    else:
        output.line(f"node {node_id} takes workers again")


def drain_worker(
    context: typer.Context,
    worker_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The worker's id or its beginning, or its name.",
            callback=options.checked(options.given),
        ),
    ],
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Tell a worker process to finish what it runs, give back the rest, and end.

    It gets nothing new from now on, finishes within its time (30 s), and what it gives back costs no attempt.
    """
    with options.connect(context, servers) as client:
        worker = naming.worker_named(client, worker_id)
        client.cluster.drain_worker(worker.id)
    if as_json:
        output.document({"id": worker.id, "name": worker.name, "used": worker.used})
    else:
        output.line(f"worker {worker.name} drains: it runs {counted(worker.used, 'job')}")
