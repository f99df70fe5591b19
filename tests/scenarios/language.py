"""The language of the scenario files: commands above a line of dashes, what must happen below it.

A command is one entry; `tick` lets time pass.  A line of what happens is one event, or, after `answer`, what
the caller is told (only where it says more than "done").  `#` begins a comment, empty lines are for the eye.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from orchestrix_raft.domain.errors import Rejected
from orchestrix_raft.domain.job import JobSpec, Timer, TimerKind
from orchestrix_raft.domain.node import Health
from orchestrix_raft.domain.report import ProgressMark, StartedMark
from orchestrix_raft.domain.retry import RetryPolicy
from orchestrix_raft.machine import events as ev
from orchestrix_raft.machine.commands import (
    Batch,
    CloseSession,
    DetachSession,
    DrainNode,
    DrainSession,
    Enqueue,
    EnqueueResult,
    ExpireSession,
    JobsResult,
    MarkContents,
    Move,
    MoveSessions,
    NodeHealthChanged,
    NodeStopped,
    Observe,
    RaiseGeneration,
    RemoveNode,
    ReportResult,
    ResumeSession,
    ScheduleResult,
    UndrainNode,
    WhereResult,
)
from orchestrix_raft.machine.port import Result
from tests.scenarios import keeping, limiting
from tests.scenarios.driver import WALL_START_MS, Driver, job, key, name_of
from tests.scenarios.durations import duration_ms, duration_text
from tests.scenarios.keeping import Keeping, where_text
from tests.scenarios.limiting import Limiting
from tests.scenarios.scheduling import EVENTS, Scheduling, answer_text

_SESSION_OR_NODE = (
    ev.SessionAttached
    | ev.SessionDetached
    | ev.SessionResumed
    | ev.SessionDraining
    | ev.SessionEnded
    | ev.NodeJoined
    | ev.NodeHealthSet
    | ev.NodeRemoved
    | ev.NodeDraining
    | ev.NodeUndrained
    | ev.HandoffAsked
    | ev.SlotFreed
)


def read(path: Path) -> tuple[list[str], list[str]]:
    """(commands, expected lines) of a scenario file."""
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    middle = next(number for number, line in enumerate(lines) if line and not line.strip("-"))
    return [line for line in lines[:middle] if line], [line for line in lines[middle + 1 :] if line]


class Scenario(Scheduling, Keeping, Limiting):
    """Runs commands and writes down what happens."""

    def __init__(self) -> None:
        self.driver = Driver()
        self.lines: list[str] = []
        self._last: tuple[Batch, ...] = ()

    def run(self, commands: list[str]) -> list[str]:
        """All commands; the lines of what happened."""
        for command in commands:
            word, *words = shlex.split(command)
            names = [w for w in words if "=" not in w]
            options = dict(w.split("=", 1) for w in words if "=" in w)
            result = getattr(self, f"_{word}")(names, options)
            self.lines += [self._event(event) for event in self.driver.events]
            self.lines += [f"answer {line}" for line in _answer(result)]
            self.lines += [f"fenced {node}" for node, _ in self.driver.applied.fenced]
            self.lines += [f"gap {gap.node_id}: expected {gap.expected}" for gap in self.driver.applied.gaps]
        return self.lines

    # ---- commands

    def _node(self, names: list[str], options: dict[str, str]) -> Result:
        self.driver.start_node(names[0], options.get("boot", ""))
        return None

    def _stop(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.do(NodeStopped(names[0], self.driver.machine.state.nodes[names[0]].incarnation))

    def _health(self, names: list[str], options: dict[str, str]) -> Result:
        node, health = names
        incarnation = self.driver.machine.state.nodes[node].incarnation
        return self.driver.do(NodeHealthChanged(node, incarnation, Health[health.upper()]))

    def _remove(self, names: list[str], options: dict[str, str]) -> Result:
        known = self.driver.machine.state.nodes.get(names[0])
        incarnation = known.incarnation if known else 0
        return self.driver.do(RemoveNode(names[0], int(options.get("incarnation", incarnation))))

    def _drain_node(self, names: list[str], options: dict[str, str]) -> Result:
        incarnation = self.driver.machine.state.nodes[names[0]].incarnation
        return self.driver.do(DrainNode(names[0], incarnation, "leaving" in names[1:]))

    def _undrain(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.do(UndrainNode(names[0], self.driver.machine.state.nodes[names[0]].incarnation))

    def _move(self, names: list[str], options: dict[str, str]) -> Result:
        """`move w1 w2 n1`: these sessions to that node."""
        *sessions, node = names
        return self.driver.do(
            MoveSessions(tuple(Move(key(name), self._epoch([name], options), node) for name in sessions))
        )

    def _expire(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.do(ExpireSession(key(names[0]), self._epoch(names, options)))

    def _handed_over(self, names: list[str], options: dict[str, str]) -> Result:
        """What is counted of a node's drain, in the answer's words."""
        self.driver.apply()
        drain = self.driver.machine.state.nodes[names[0]].drain
        assert drain is not None
        self.lines.append(
            f"{names[0]} had {drain.sessions} sessions with {drain.jobs} jobs: {drain.asked} asked, "
            f"{drain.acknowledged} acknowledged with {drain.acknowledged_jobs}, "
            f"{drain.orphaned} orphaned with {drain.orphaned_jobs}"
        )
        return None

    def _attach(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.attach(
            *names,
            queues=options.get("queues", "default").split(","),
            capacity=int(options.get("capacity", "1")),
            labels=filter(None, options.get("labels", "").split(",")),
        )

    def _epoch(self, names: list[str], options: dict[str, str]) -> int:
        session = self.driver.machine.state.sessions.get(key(names[0]))
        return int(options.get("epoch", 0)) or (session.epoch if session else 1)

    def _resume(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.do(ResumeSession(key(names[0]), names[1], self._epoch(names, options)))

    def _detach(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.do(DetachSession(key(names[0]), self._epoch(names, options)))

    def _close(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.do(CloseSession(key(names[0]), self._epoch(names, options)))

    def _drain(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.do(DrainSession(key(names[0])))

    def _enqueue(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.enqueue(*(self._spec(name, options) for name in names))

    def _spec(self, name: str, options: dict[str, str]) -> JobSpec:
        return job(
            name,
            type=options.get("type", "t"),
            queue=options.get("queue", "default"),
            priority=int(options.get("priority", "0")),
            delay_ms=duration_ms(options.get("delay", "0s")),
            run_at_ms=self.driver.wall_ms + duration_ms(options["at"]) if "at" in options else 0,
            timeout_ms=duration_ms(options.get("timeout", "0s")),
            retry_for_ms=duration_ms(options.get("retry_for", "0s")),
            retry=RetryPolicy(max_retries=int(options.get("retries", "3")), jitter_percent=0),
            unique_key=options.get("unique", ""),
            labels=tuple(filter(None, options.get("labels", "").split(","))),
            **limiting.rules(options),
        )

    def _send(self, names: list[str], options: dict[str, str]) -> Result:
        """Numbered commands of a node, each one enqueue: `send n1 first=3 a b`."""
        node, *jobs = names
        known = self.driver.machine.state.nodes[node]
        first = int(options.get("first", known.sequence + 1))
        incarnation = int(options.get("incarnation", known.incarnation))
        self._last = (Batch(node, incarnation, first, tuple(Enqueue((job(name),)) for name in jobs)),)
        self.driver.apply(*self._last)
        return None

    def _again(self, names: list[str], options: dict[str, str]) -> Result:
        """The last `send` arrives once more."""
        self.driver.apply(*self._last)
        return None

    def _start(self, names: list[str], options: dict[str, str]) -> Result:
        session_id, token = self.driver.held(names[0])
        mark = StartedMark(self.driver.id_of(names[0]), token, self.driver.wall_ms)
        return self.driver.do(Observe(session_id, (mark,), ()))

    def _progress(self, names: list[str], options: dict[str, str]) -> Result:
        session_id, token = self.driver.held(names[0])
        mark = ProgressMark(self.driver.id_of(names[0]), token, int(names[1]), options.get("message", ""))
        return self.driver.do(Observe(session_id, (), (mark,)))

    def _complete(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.complete(*names, attempt=int(options.get("attempt", "0")))

    def _fail(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.fail(
            names[0],
            attempt=int(options.get("attempt", "0")),
            final="final" in names[1:],
            cancelled="cancelled" in names[1:],
            retry_in_ms=duration_ms(options["retry_in"]) if "retry_in" in options else -1,
        )

    def _release(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.release(names[0], attempt=int(options.get("attempt", "0")))

    def _cancel(self, names: list[str], options: dict[str, str]) -> Result:
        request = options.get("request", "").encode()
        return self.driver.cancel(*names, request=request, reason=options.get("reason", ""))

    def _retry(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.retry(*names, request=options.get("request", "").encode())

    def _tick(self, names: list[str], options: dict[str, str]) -> Result:
        self.driver.tick(duration_ms(names[0]))
        return None

    def _generation(self, names: list[str], options: dict[str, str]) -> Result:
        """The first entry of a cluster that goes on from a backup; `generation 0` ends generation 0."""
        self.driver.do_unnumbered(RaiseGeneration(int(names[0])))
        return None

    def _mark(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.do(MarkContents())

    # ---- what happened

    def _in(self, timer: Timer) -> str:
        now_ms = self.driver.elapsed_ms
        if timer.kind == TimerKind.READY_AT_WALL:
            now_ms = self.driver.wall_ms
        return f"in {duration_text(timer.due_ms - now_ms)}"

    def _event(self, event: ev.Event) -> str:
        if isinstance(event, _SESSION_OR_NODE):
            return self._session_or_node(event)
        if isinstance(event, EVENTS):
            return self._scheduling(event)
        if isinstance(event, limiting.EVENTS):
            return self._limiting(event)
        if isinstance(event, keeping.EVENTS):
            return self._kept(event)
        if isinstance(event, ev.GenerationRaised):
            return f"generation {event.generation}"
        if isinstance(event, ev.ContentsMarked):
            return "contents marked"
        if isinstance(event, ev.TimerSetAside):
            return f"timer {event.kind} of {name_of(event.key)} set aside: {event.detail}"
        spec = event.spec if isinstance(event, ev.JobEnqueued) else None
        name = self.driver.name(spec.job_id if spec is not None else event.job_id)  # type: ignore[union-attr]
        return f"{name} {self._job(event)}"

    def _job(self, event: ev.Event) -> str:
        match event:
            case ev.JobEnqueued(state=state, timer=timer):
                return f"enqueued: {state.word}" + (f", due {self._in(timer)}" if timer else "")
            case ev.JobReady():
                return "ready"
            case ev.JobAssigned(session_id=session_id, attempt=attempt, token=token):
                return f"assigned to {name_of(session_id)}: attempt {attempt}, token {token}"
            case ev.JobStarted(started_ms=started_ms):
                return f"started at {duration_text(started_ms - WALL_START_MS)}"
            case ev.JobProgressed(percent=percent, message=message):
                return f"at {percent} % {message}".strip()
            case ev.JobCompleted():
                return "completed"
            case ev.AttemptEnded(state=state, next_state=follows, timer=timer, reason=reason):
                when = f" {self._in(timer)}" if timer else ""
                return f"attempt {state.word}: {follows.word}{when}" + (f" ({reason})" if reason else "")
            case ev.JobReleased():
                return "released"
            case ev.StopRequested(why=why, timer=timer):
                return f"told to stop: {why}, forced {self._in(timer)}"
            case ev.JobCancelled(reason=reason):
                return "cancelled" + (f" ({reason})" if reason else "")
            case ev.JobRetried(timer=timer):
                return "retried" + (f", due {self._in(timer)}" if timer else "")
            case ev.JobGivenUp(reason=reason):
                return f"given up: dead ({reason})"
            case ev.StaleToken(token=token):
                return f"report with stale token {token} refused"
        raise AssertionError(event)

    def _session_or_node(self, event: ev.Event) -> str:
        match event:
            case ev.SessionAttached(session_id=session_id, node_id=node_id):
                return f"{name_of(session_id)} attached to {node_id}"
            case ev.SessionDetached(session_id=session_id, node_id=node_id, timer=timer):
                return f"{name_of(session_id)} detached from {node_id}, deadline {self._in(timer)}"
            case ev.SessionResumed(session_id=session_id, node_id=node_id, epoch=epoch):
                return f"{name_of(session_id)} resumed at {node_id}, epoch {epoch}"
            case ev.SessionDraining(session_id=session_id):
                return f"{name_of(session_id)} draining"
            case ev.SessionEnded(session_id=session_id, expired=expired):
                return f"{name_of(session_id)} {'expired' if expired else 'closed'}"
            case ev.SlotFreed(session_id=session_id, token=token):
                return f"{name_of(session_id)} freed the slot of token {token}"
            case ev.NodeJoined(node_id=node_id):
                return f"{node_id} joined"
            case ev.NodeHealthSet(node_id=node_id, health=health):
                return f"{node_id} {health.word}"
            case ev.NodeRemoved(node_id=node_id):
                return f"{node_id} removed"
            case ev.NodeDraining(node_id=node_id, leaving=leaving):
                return f"{node_id} drains" + (" to leave" if leaving else "")
            case ev.NodeUndrained(node_id=node_id):
                return f"{node_id} takes sessions again"
            case ev.HandoffAsked(session_id=session_id, node_id=node_id, to=to, tries=tries):
                return f"{name_of(session_id)} asked to go from {node_id} to {to}, try {tries}"
        raise AssertionError(event)


def _answer(result: Result) -> Iterator[str]:
    match result:
        case Rejected(reason=reason):
            yield f"refused {reason}"
        case EnqueueResult(existing=existing, rejected=rejected):
            yield from (f"existing {name_of(job_id)}" for job_id in existing.values())
            yield from (f"refused {refusal.reason}" for refusal in rejected.values())
        case ReportResult(stale=stale):
            yield from (f"stale {position}" for position in stale)
        case WhereResult():
            yield where_text(result)
        case ScheduleResult():
            yield answer_text(result)
        case JobsResult(words=words):
            yield " ".join(words)
