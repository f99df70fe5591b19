"""What is pushed to workers: assignments and stops, gathered during a step and sent as one message a stream.

Follows committed events.  A push that is lost with its stream is made good when the
session is attached again.
"""

from collections.abc import Callable

from orchestrix_raft.coordinator.stream_table import StreamTable
from orchestrix_raft.coordinator.streams import Stream
from orchestrix_raft.domain.job import ASSIGNED, Job
from orchestrix_raft.domain.report import Released
from orchestrix_raft.domain.session import Assignment, Assignments, Stop, StopJob
from orchestrix_raft.machine.commands import Report
from orchestrix_raft.machine.events import JobAssigned, StopRequested


class Pushes:
    """To the streams of `table`.  `payload`: the arguments of a job that are not in memory."""

    def __init__(self, table: StreamTable, payload: Callable[[Job], bytes]) -> None:
        self._table = table
        self._payload = payload
        self._touched: dict[Stream, None] = {}  # with something to push after this step, in order

    def assigned(self, event: JobAssigned) -> None:
        """A job was given to a session of this node."""
        stream = self._table.get(event.session_id)
        if stream is None or not stream.epoch or event.token in stream.held:
            return
        job = self._table.state.jobs.get(event.job_id)
        if job is not None and job.token == event.token and job.state in ASSIGNED:
            self.job(stream, job)
        else:
            # This node stood still for so long that the attempt is over: the worker never hears of it, so
            # its slot is free, and nobody else will say so.
            unheard = Report(stream.session_id, (Released(event.job_id, event.token),))
            self._table.insist(unheard, lambda: not stream.over)

    def stop_requested(self, event: StopRequested) -> None:
        """A running attempt is asked to end."""
        stream = self._table.get(event.session_id)
        if stream is not None and stream.epoch:
            self.stop(stream, StopJob(event.job_id, event.token, event.why))

    def job(self, stream: Stream, job: Job) -> None:
        """An assigned job, unless the worker knows of it."""
        token = job.token
        if token in stream.held:
            return
        stream.held.add(token)
        spec = job.spec
        left = spec.timeout_ms
        if left and job.timer is not None:
            left = max(1, job.timer.due_ms - self._table.state.elapsed_ms)
        stream.outbox.append(
            Assignment(
                spec.job_id,
                token,
                spec.type,
                spec.queue,
                self._payload(job) if job.args_stored else spec.args,
                job.attempt,
                spec.retry.max_retries,
                spec.correlation_id,
                left,
                spec.firing,
            )
        )
        self._touched[stream] = None

    def stop(self, stream: Stream, stop: StopJob) -> None:
        """Of an attempt."""
        stream.stops.append(stop)
        self._touched[stream] = None

    def flush(self) -> None:
        """Send what this step's events left behind."""
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for stream in touched:
            if stream.outbox:
                jobs, stream.outbox = tuple(stream.outbox), []
                stream.send(Assignments(jobs))
            if stream.stops:
                stops, stream.stops = tuple(stream.stops), []
                stream.send(Stop(stops))
