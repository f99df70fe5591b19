"""What is kept of jobs that have ended, and which of them a command on a filter means."""

from enum import IntEnum

import msgspec

from orchestrix_raft.domain.job import ASSIGNED, TERMINAL, Job, JobState


class Kept(IntEnum):
    """What is forgotten by a rule of its own."""

    FINISHED = 1  # completed and cancelled jobs, together
    DEAD = 2  # dead letters
    IDS = 3  # ids of jobs that are gone already


class JobFilter(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """Jobs in one of `states` with this queue and type, where they are given."""

    states: tuple[JobState, ...]
    queue: str = ""
    type: str = ""
    before_ms: int = 0  # wall; ended (unfinished ones: enqueued) earlier than this; 0: whenever

    def accepts(self, job: Job) -> bool:
        """Whether it is one of them; the time is not looked at."""
        spec = job.spec
        return (
            job.state in self.states
            and (not self.queue or spec.queue == self.queue)
            and (not self.type or spec.type == self.type)
        )


CANCELLABLE = frozenset({JobState.SCHEDULED, JobState.PENDING}) | ASSIGNED
RETRYABLE = frozenset({JobState.SCHEDULED, JobState.CANCELLED, JobState.DEAD})
PURGEABLE = TERMINAL
"""The states that a filter of each command may name."""
