"""workers.proto: the worker protocol in both directions, and the listing of workers.

The API reads `WorkerMessage`s and writes `CoordinatorMessage`s, the worker SDK the other way round.
"""

from typing import assert_never

from orchestrix_raft.domain import session as dom
from orchestrix_raft.domain.report import Completed, Failed, Outcome, ProgressMark, Released, StartedMark
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.wire.common import firing_message, read_firing
from orchestrix_raft.wire.v1 import workers_pb2 as pb

WorkerMessage = pb.WorkerMessage
CoordinatorMessage = pb.CoordinatorMessage
WorkerInfo = pb.Worker
ListWorkersRequest = pb.ListWorkersRequest
ListWorkersResponse = pb.ListWorkersResponse


class UnknownMessage(ValueError):
    """The other side is newer: it sent a kind of message that this version does not know."""


# ---- worker -> coordinator ---------------------------------------------------------------------------


def read_worker_message(message: pb.WorkerMessage) -> dom.WorkerMessage:
    """What a worker said; `UnknownMessage` for an empty or newer kind."""
    match message.WhichOneof("kind"):
        case "report":
            return dom.ReportMessage(_read_outcomes(message.report))
        case "heartbeat":
            return dom.Heartbeat(message.heartbeat.number)
        case "observation":
            return _read_observation(message.observation)
        case "hello":
            return _read_hello(message.hello)
        case "drain":
            return dom.Drain()
        case "goodbye":
            return dom.Goodbye()
        case _:
            raise UnknownMessage(
                "a worker message of no known kind: is the worker's SDK newer than this node?"
            )


def _read_outcomes(report: pb.Report) -> tuple[Outcome, ...]:
    outcomes: list[Outcome] = [
        Completed(c.job_id, c.token, c.result, c.started_ms, c.finished_ms) for c in report.completed
    ]
    for f in report.failed:
        retry_in_ms = f.retry_in_ms if f.HasField("retry_in_ms") else -1
        times = (f.started_ms, f.finished_ms)
        outcomes.append(Failed(f.job_id, f.token, f.error, *times, retry_in_ms, f.final, f.cancelled))
    outcomes.extend(Released(r.job_id, r.token) for r in report.released)
    return tuple(outcomes)


def _read_observation(m: pb.Observation) -> dom.Observation:
    return dom.Observation(
        tuple(StartedMark(s.job_id, s.token, s.started_ms) for s in m.started),
        tuple(ProgressMark(p.job_id, p.token, p.percent, p.message) for p in m.progress),
        tuple(dom.HandlerLine(x.job_id, x.token, x.at_ms, x.level, x.message, x.number) for x in m.logs),
    )


def _read_hello(m: pb.Hello) -> dom.Hello:
    return dom.Hello(
        m.session_id,
        m.name,
        tuple(sorted(set(m.queues))),
        m.capacity,
        tuple(sorted(set(m.labels))),
        m.epoch,
        tuple((h.job_id, h.token) for h in m.held),
    )


def write_worker_message(message: dom.WorkerMessage, sdk: str = "") -> pb.WorkerMessage:
    """The protobuf form; `sdk` names the sender in a Hello."""
    out = pb.WorkerMessage()
    match message:
        case dom.ReportMessage(outcomes):
            _write_outcomes(out.report, outcomes)
        case dom.Heartbeat(number):
            out.heartbeat.SetInParent()
            out.heartbeat.number = number
        case dom.Observation():
            _write_observation(out.observation, message)
        case dom.Hello():
            _write_hello(out.hello, message, sdk)
        case dom.Drain():
            out.drain.SetInParent()
        case dom.Goodbye():
            out.goodbye.SetInParent()
        case _:
            assert_never(message)
    return out


def _write_outcomes(report: pb.Report, outcomes: tuple[Outcome, ...]) -> None:
    report.SetInParent()
    completed, failed, released = report.completed.add, report.failed.add, report.released.add
    for o in outcomes:
        if type(o) is Completed:
            completed(
                job_id=o.job_id,
                token=o.token,
                result=o.result,
                started_ms=o.started_ms,
                finished_ms=o.finished_ms,
            )
        elif type(o) is Failed:
            failed(
                job_id=o.job_id,
                token=o.token,
                error=o.error,
                started_ms=o.started_ms,
                finished_ms=o.finished_ms,
                retry_in_ms=None if o.retry_in_ms < 0 else o.retry_in_ms,
                final=o.final,
                cancelled=o.cancelled,
            )
        else:
            released(job_id=o.job_id, token=o.token)


def _write_observation(out: pb.Observation, m: dom.Observation) -> None:
    out.SetInParent()
    for s in m.started:
        out.started.add(job_id=s.job_id, token=s.token, started_ms=s.started_ms)
    for p in m.progress:
        out.progress.add(job_id=p.job_id, token=p.token, percent=p.percent, message=p.message)
    for x in m.lines:
        out.logs.add(
            job_id=x.job_id,
            token=x.token,
            at_ms=x.at_ms,
            level=x.level,
            message=x.message,
            number=x.number,
        )


def _write_hello(out: pb.Hello, m: dom.Hello, sdk: str) -> None:
    out.session_id = m.session_id
    out.name = m.name
    out.queues.extend(m.queues)
    out.capacity = m.capacity
    out.labels.extend(m.labels)
    out.epoch = m.epoch
    for job_id, token in m.held:
        out.held.add(job_id=job_id, token=token)
    out.sdk = sdk


# ---- coordinator -> worker ---------------------------------------------------------------------------


def write_coordinator_message(message: dom.CoordinatorMessage) -> pb.CoordinatorMessage:
    """The protobuf form of what a node says."""
    out = pb.CoordinatorMessage()
    match message:
        case dom.Assignments(jobs):
            _write_assignments(out.assignments, jobs)
        case dom.ReportAck(tokens, stale):
            out.report_ack.SetInParent()
            out.report_ack.tokens.extend(tokens)
            out.report_ack.stale.extend(stale)
        case dom.HeartbeatAck(number, servers):
            out.heartbeat_ack.SetInParent()
            out.heartbeat_ack.number = number
            out.heartbeat_ack.servers.extend(servers)
        case dom.Stop(stops):
            out.stop.SetInParent()
            for s in stops:
                out.stop.jobs.add(job_id=s.job_id, token=s.token, reason=s.reason)
        case dom.Welcome():
            out.welcome.MergeFrom(_welcome(message))
        case dom.Refused(reason, text):
            out.refused.SetInParent()
            out.refused.reason, out.refused.message = reason, text
        case dom.Redirect(servers):
            out.redirect.SetInParent()
            out.redirect.servers.extend(servers)
        case dom.Farewell():
            out.farewell.SetInParent()
        case dom.DrainAsked():
            out.drain_asked.SetInParent()
        case _:
            assert_never(message)
    return out


def _write_assignments(out: pb.Assignments, jobs: tuple[dom.Assignment, ...]) -> None:
    out.SetInParent()
    add = out.jobs.add
    for j in jobs:
        add(
            job_id=j.job_id,
            token=j.token,
            type=j.type,
            queue=j.queue,
            args=j.args,
            attempt=j.attempt,
            max_retries=j.max_retries,
            correlation_id=j.correlation_id,
            timeout_ms=j.timeout_ms,
            firing=None if j.firing is None else firing_message(j.firing),
        )


def _welcome(m: dom.Welcome) -> pb.Welcome:
    return pb.Welcome(
        epoch=m.epoch,
        node_id=m.node_id,
        heartbeat_interval_ms=m.heartbeat_interval_ms,
        fence_after_ms=m.fence_after_ms,
        servers=m.servers,
    )


def read_coordinator_message(message: pb.CoordinatorMessage) -> dom.CoordinatorMessage:
    """What a node said; `UnknownMessage` for an empty or newer kind."""
    match message.WhichOneof("kind"):
        case "assignments":
            return dom.Assignments(_read_assignments(message.assignments))
        case "report_ack":
            return dom.ReportAck(tuple(message.report_ack.tokens), tuple(message.report_ack.stale))
        case "heartbeat_ack":
            return dom.HeartbeatAck(message.heartbeat_ack.number, tuple(message.heartbeat_ack.servers))
        case "stop":
            return dom.Stop(tuple(dom.StopJob(s.job_id, s.token, s.reason) for s in message.stop.jobs))
        case "welcome":
            w = message.welcome
            return dom.Welcome(
                w.epoch, w.node_id, w.heartbeat_interval_ms, w.fence_after_ms, tuple(w.servers)
            )
        case "refused":
            return dom.Refused(message.refused.reason, message.refused.message)
        case "redirect":
            return dom.Redirect(tuple(message.redirect.servers))
        case "farewell":
            return dom.Farewell()
        case "drain_asked":
            return dom.DrainAsked()
        case _:
            raise UnknownMessage("a message of no known kind: is the node newer than this worker's SDK?")


def _read_assignments(message: pb.Assignments) -> tuple[dom.Assignment, ...]:
    return tuple(
        [
            dom.Assignment(
                j.job_id,
                j.token,
                j.type,
                j.queue,
                j.args,
                j.attempt,
                j.max_retries,
                j.correlation_id,
                j.timeout_ms,
                read_firing(j.firing) if j.HasField("firing") else None,
            )
            for j in message.jobs
        ]
    )


# ---- listing -----------------------------------------------------------------------------------------


def worker_info(session: Session, stuck: int) -> pb.Worker:
    """A session as the listings show it; `stuck` counts slots whose attempt is over."""
    return pb.Worker(
        worker_id=session.worker_id,
        name=session.name,
        queues=session.queues,
        labels=session.labels,
        capacity=session.capacity,
        used=len(session.slots),
        stuck=stuck,
        node_id=session.node_id,
        epoch=session.epoch,
        draining=session.draining,
        attached_ms=session.attached_ms,
        moving_to="" if session.handoff is None else session.handoff.node_id,
    )
