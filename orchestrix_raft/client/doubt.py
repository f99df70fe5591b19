"""What a refusal is worth when an earlier sending of the same job may still be on its way.

A job is enqueued once however often it is sent, but a refusal is not remembered: the job that holds the
unique key may end, or room may come about, before the earlier sending is applied.  So the refusal of the
later one says nothing of the job, unless it would have been given to every sending.
"""

from orchestrix_raft.wire.errors import InvalidArgument, OrchestrixError, OutcomeUnknown, PermissionDenied

_SAYS_ENOUGH = (InvalidArgument, PermissionDenied, OutcomeUnknown)


def in_doubt(refusal: OrchestrixError) -> OrchestrixError:
    """What to tell the caller instead of this refusal."""
    if isinstance(refusal, _SAYS_ENOUGH):
        return refusal
    return unsettled(f"sent again it was refused ({refusal})", refusal.job_ids)


def held(job_id: str, holder: str) -> OutcomeUnknown:
    """A job sent again was answered with the holder of its unique key."""
    return unsettled(f"sent again it was answered with job {holder}, which has its unique key", (job_id,))


def unsettled(what: str, job_ids: tuple[str, ...]) -> OutcomeUnknown:
    """`what`: the answer to the later sending."""
    words = f"the answer to an enqueue was lost, and {what}; the first sending may still be applied"
    return OutcomeUnknown(words, "OUTCOME_UNKNOWN", job_ids)
