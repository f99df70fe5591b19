"""What people call a worker, and which one they mean."""

from typing import TYPE_CHECKING

from orchestrix_raft.cli.output import Failure

if TYPE_CHECKING:
    from orchestrix_raft import Client
    from orchestrix_raft.client.model import WorkerStatus


def worker_named(client: "Client", named: str) -> "WorkerStatus":
    """The one worker whose id begins so or whose name it is; Failure when there is none, or several."""
    workers = client.status().workers
    found = [worker for worker in workers if worker.id.startswith(named.lower()) or worker.name == named]
    if not found:
        raise Failure(f"no worker {named}: `orchestrix-raft workers list` shows those there are")
    if len(found) > 1:
        raise Failure(f"{len(found)} workers are meant by {named}: give more of the id")
    return found[0]
