"""What requests are called in a line for people, who know commands and methods of the SDK, but no RPCs."""

from types import MappingProxyType
from typing import Final

from orchestrix_raft.wire.services import Method

SAID: Final = MappingProxyType(
    {
        # jobs
        "Enqueue": "the request to enqueue",
        "EnqueueStream": "the request to enqueue",
        "GetJob": "the request for a job",
        "ListJobs": "the request for a list of jobs",
        "WaitJob": "the request to wait for a job",
        "GetHistory": "the request for a job's history",
        "GetLogs": "the request for a job's logs",
        "FollowLogs": "the request to follow a job's logs",
        "CancelJobs": "the request to cancel jobs",
        "RetryJobs": "the request to retry jobs",
        "PurgeJobs": "the request to purge jobs",
        "CancelWhere": "the request to cancel jobs",
        "RetryWhere": "the request to retry jobs",
        "PurgeWhere": "the request to purge jobs",
        "ExplainJob": "the request to explain a job",
        # workers
        "Session": "the worker",
        "ListWorkers": "the request for a list of workers",
        "DrainWorker": "the request to drain a worker",
        # the cluster
        "Status": "the request for the status",
        "TransferLeadership": "the request to transfer leadership",
        "DrainNode": "the request to drain a node",
        "UndrainNode": "the request to undrain a node",
        "AddMember": "the request to add a node",
        "RemoveMember": "the request to remove a node",
        "Watch": "the request for events",
        "ListAudit": "the request for the audit trail",
        "Backup": "the request for a backup",
        "MarkContents": "the request to compare what the nodes hold",
        "GetContents": "the request to compare what the nodes hold",
        # queues
        "ListQueues": "the request for a list of queues",
        "GetQueue": "the request for a queue",
        "ConfigureQueue": "the request to change a queue",
        "PurgeQueue": "the request to purge a queue",
        # schedules
        "PutSchedule": "the request to put a schedule",
        "GetSchedule": "the request for a schedule",
        "ListSchedules": "the request for a list of schedules",
        "PauseSchedule": "the request to pause a schedule",
        "ResumeSchedule": "the request to resume a schedule",
        "TriggerSchedule": "the request to trigger a schedule",
        "DeleteSchedule": "the request to delete a schedule",
        "PreviewSchedule": "the request to preview a schedule",
    }
)
"""By the name of the method."""


def unanswered(method: Method, patience_s: float) -> str:
    """That nobody has answered."""
    return f"no server answered {SAID[method.name]} within {patience_s:g} s"
