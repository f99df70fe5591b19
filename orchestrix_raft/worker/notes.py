"""What a worker writes down of its handlers, when it is told to record a history."""

from collections.abc import Mapping

from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.domain.report import Completed, Failed, Outcome
from orchestrix_raft.domain.session import Assignment, ReportAck
from orchestrix_raft.history.recorder import Recorder


class Notes:
    """Of one worker process.  Each token's lines are written once, in the order start, end, answer."""

    def __init__(self, recorder: Recorder, worker: str) -> None:
        self._recorder = recorder
        self._worker = worker
        self._running: set[int] = set()

    def started(self, job: Assignment) -> None:
        """Its handler is about to begin."""
        self._running.add(job.token)
        firing = job.firing
        self._recorder.started(
            format_job_id(job.job_id),
            job.token,
            job.attempt,
            type=job.type,
            queue=job.queue,
            worker=self._worker,
            schedule="" if firing is None else firing.schedule_id,
            slot_ms=0 if firing is None else firing.slot_ms,
        )

    def ended(self, outcome: Outcome) -> None:
        """Its handler has ended, and nothing was reported yet."""
        if isinstance(outcome, Completed):
            word = "completed"
        elif isinstance(outcome, Failed):
            word = "cancelled" if outcome.cancelled else "failed"
        else:
            word = "released"
        self._end(outcome.job_id, outcome.token, word)

    def released(self, held: Mapping[int, bytes]) -> None:
        """What still runs is about to be given back."""
        for token, job_id in held.items():
            self._end(job_id, token, "released")

    def acknowledged(self, ack: ReportAck) -> None:
        """A node has answered reports."""
        for token in ack.tokens:
            self._recorder.acknowledged(token, accepted=True)
        for token in ack.stale:
            self._recorder.acknowledged(token, accepted=False)

    def _end(self, job_id: bytes, token: int, outcome: str) -> None:
        if token in self._running:
            self._running.discard(token)
            self._recorder.ended(format_job_id(job_id), token, outcome)
