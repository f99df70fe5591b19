"""Linearizability of each job: enqueue, get, cancel, retry, purge, and what the cluster says at the end."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from orchestrix_raft.history.entries import Entry, begun, search_entries, shortest
from orchestrix_raft.history.gathered import NEVER, History, Operation
from orchestrix_raft.history.job_model import ABSENT, NOT_FOUND, WAITING, Asked, At, Freedom, looks, step
from orchestrix_raft.history.recorder import CLIENT
from orchestrix_raft.history.records import OK, REFUSED, AskedJob, FinalJob, Line
from orchestrix_raft.history.search import STEPS_MAX, Answer, Found, Op, precedes
from orchestrix_raft.history.verdict import Findings, Verdict

CHECK: Final = "jobs"
READS: Final = frozenset({"get", "wait"})
STEERS: Final = frozenset({"cancel", "retry", "purge"})
WHERE: Final = {
    "cancel_where": "cancel_where",
    "retry_where": "retry_where",
    "purge_where": "purge_where",
    "purge_queue": "cancel_where",  # cancels what waits in the queue
}


class JobStory:
    """What is known of one job beside its operations."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.specs: list[AskedJob] = []
        self.of_schedule = False

    def freedom(self, forgotten: bool) -> Freedom:
        """What the cluster may do with it by itself."""
        cancels = self.of_schedule or any(spec.expires or spec.unique_key for spec in self.specs)
        return Freedom(cancels, forgotten)


def check_jobs(history: History, steps_max: int = STEPS_MAX) -> Verdict:
    """Each job by itself."""
    findings = Findings(CHECK)
    _sessions(findings, history)
    forgotten = forgotten_jobs(history)
    forgets = history.observed is not None and history.observed[0].forgets
    for job_id, story in sorted(stories(history).items()):
        if not any(entry.op.what.op == "enqueue" for entry in story.entries):
            continue  # enqueued by nobody who recorded: its beginning is unknown
        findings.looked_at += 1
        freedom = story.freedom(forgets or job_id in forgotten)
        found = search(story.entries, freedom, steps_max)
        if found.answer is Answer.GAVE_UP:
            findings.undecided(f"an order of {len(story.entries)} operations on one job takes too many steps")
        elif found.answer is Answer.NO:
            _tell(findings, job_id, story.entries, freedom, steps_max)
    return findings.verdict()


def _sessions(findings: Findings, history: History) -> None:
    """A read is at least as new as it was asked to be, and, of an SDK's client, as what it wrote before."""
    moments: list[tuple[int, int, Operation]] = []
    for operation in history.operations:
        if operation.told is not None and operation.told.outcome == OK and operation.told.index:
            read = operation.asked.op in READS
            moments.append((operation.asked.t, 1, operation) if read else (operation.told.t, 0, operation))
    written: dict[str, Operation] = {}
    for _, kind, operation in sorted(moments, key=lambda moment: moment[:2]):
        asked, told = operation.asked, operation.told
        before = written.get(asked.p)
        assert told is not None
        if kind == 0:
            if before is None or before.told is None or before.told.index < told.index:
                written[asked.p] = operation
        elif told.index < asked.min_index:
            what = f"a read of job {asked.job} is older than it was asked to be"
            findings.violation(f"{what}: {told.index}, not {asked.min_index}", operation.lines)
        elif before is not None and before.told is not None and told.index < before.told.index:
            if history.headers[asked.p].role != CLIENT:
                continue
            what = f"a read of job {asked.job} is older than what its client had written"
            findings.violation(what, (*before.lines, *operation.lines))


def search(entries: Sequence[Entry], freedom: Freedom, steps_max: int = STEPS_MAX) -> Found:
    """An order that explains all operations on a job."""
    return search_entries(entries, At(ABSENT), lambda at, asked: step(at, asked, freedom), steps_max, looks)


def forgotten_jobs(history: History) -> set[str]:
    """Those that the events say were forgotten."""
    return {event.job for event, _ in history.events if event.kind == "job_forgotten"}


# ---- the operations of each job


def stories(history: History) -> dict[str, JobStory]:
    """Of every job that an operation names."""
    found: dict[str, JobStory] = defaultdict(JobStory)
    wheres = []
    for operation in history.operations:
        if operation.told is not None and operation.told.outcome == REFUSED:
            continue  # certainly nothing happened, and nothing was seen
        asked = operation.asked
        if asked.op == "enqueue":
            for position, spec in enumerate(asked.jobs):
                found[spec.id].specs.append(spec)
                found[spec.id].entries.append(_enqueue(operation, position))
        elif asked.op in READS:
            if operation.told is not None and operation.told.outcome == OK:
                found[asked.job].entries.append(_read(operation))
        elif asked.op in STEERS:
            found[asked.job].entries.append(_steer(operation))
        elif asked.op in WHERE:
            wheres.append(operation)
    for event, _ in history.events:
        if event.kind == "slot_fired":
            found[event.job].of_schedule = True
    for operation in wheres:
        _spread(operation, found)
    for job_id, (final, line) in history.jobs.items():
        if job_id in found:
            found[job_id].of_schedule |= bool(final.schedule)
            found[job_id].entries.append(_final(final, line, history.clock_of(final.p, line)))
    for job_id, (missing, line) in history.missing.items():
        if job_id in found:
            op = Op(Asked("read", NOT_FOUND), missing.t, NEVER, history.clock_of(missing.p, line))
            found[job_id].entries.append(Entry(op, (line,), False))
    return found


def _op(operation: Operation, what: Asked) -> Op:
    told = operation.told
    index = 0 if told is None else told.index
    required = told is not None and told.outcome == OK
    return Op(what, operation.asked.t, operation.ended, operation.clock, required, to_index=index)


def _enqueue(operation: Operation, position: int) -> Entry:
    asked, told = operation.asked, operation.told
    spec = asked.jobs[position]
    lines = operation.lines_of(position)
    word = ""
    if told is not None:
        placed = told.placed[position : position + 1]
        if told.outcome == OK:
            word = "either"
            if placed and placed[0].refused:
                word = "other" if placed[0].refused == "UNIQUE_KEY_TAKEN" else "refused"
            elif placed and placed[0].id != spec.id:
                word = "other"
            elif placed and placed[0].created:
                # That it is there, may also be said of one that this very request made: a node that cannot
                # know whether a command was applied proposes it again.
                word = "created"
            if any(one.open_for(spec) for one in placed):
                op = _op(operation, Asked("enqueue", "", later=spec.later))
                return Entry(op._replace(ended=NEVER, required=False, to_index=0), lines, True)
    op = _op(operation, Asked("enqueue", word, later=spec.later))
    return Entry(op, lines, word in ("", "created", "either"))


def _read(operation: Operation) -> Entry:
    asked, told = operation.asked, operation.told
    assert told is not None
    token = told.token if told.token or told.attempt else -1
    op = Op(Asked("read", told.word, token), asked.t, operation.ended, operation.clock)
    if told.word != NOT_FOUND and told.index:
        # The state after exactly this entry.  That there is no job, is confirmed with the leader.
        op = op._replace(from_index=told.index, to_index=told.index, local=not asked.linearizable)
    return Entry(op, operation.lines, False)


def _steer(operation: Operation) -> Entry:
    asked, told = operation.asked, operation.told
    word = told.word if told is not None and told.outcome == OK else ""
    effect = word in ("", "cancelled", "requested", "retried", "purged")
    return Entry(_op(operation, Asked(asked.op, word)), operation.lines, effect)


def _spread(operation: Operation, found: dict[str, JobStory]) -> None:
    """A command on a filter, to each job that it may have met."""
    asked = operation.asked
    states = asked.states
    if asked.op == "purge_queue":
        states = WAITING
    what = Asked(WHERE[asked.op], states=states)
    # Its steps may be applied until the last one was answered: what is known is the interval.
    op = _op(operation, what)._replace(to_index=0)
    for story in found.values():
        if all(precedes(op, entry.op) for entry in story.entries):
            continue  # over before the job was asked for
        if any(
            (not asked.queue or spec.queue == asked.queue) and (not asked.type or spec.type == asked.type)
            for spec in story.specs
        ):
            story.entries.append(Entry(op, operation.lines, True))


def _final(final: FinalJob, line: Line, clock: str) -> Entry:
    op = Op(Asked("read", final.state, final.token), final.t, NEVER, clock)
    if final.index:
        op = op._replace(from_index=final.index, to_index=final.index)
    return Entry(op, (line,), False)


# ---- a counter-example


def _tell(
    findings: Findings, job_id: str, entries: Sequence[Entry], freedom: Freedom, steps_max: int
) -> None:
    """The shortest beginning that has no order, without the operations that do not matter for that."""
    kept = shortest(entries, At(ABSENT), lambda at, asked: step(at, asked, freedom), steps_max, looks)
    found = search(kept, freedom, steps_max)
    puzzling = [kept[i] for i in found.stuck if kept[i].op.required]
    words = " or ".join(dict.fromkeys(_name(entry) for entry in puzzling)) or "the order of its operations"
    what = f"job {job_id}: no order of its operations explains {words}"
    lines = {line.where: line for entry in sorted(kept, key=begun) for line in entry.lines}
    findings.violation(what, lines.values())


def _name(entry: Entry) -> str:
    asked: Asked = entry.op.what
    if asked.op == "read":
        token = f" with token {asked.token}" if asked.token > 0 else ""
        return f"that it was seen as {asked.word}{token}"
    return f"that {asked.op} was answered {asked.word}" if asked.word else f"the {asked.op}"
