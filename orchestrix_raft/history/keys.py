"""Linearizability of unique keys: per (job type, key), who has it.

The holder is the object.  Enqueues take the key, or are told who has it; what gives it up (the job ends, is
handed to a worker, its window passes) is done by the cluster, between two moments that the history may know:
not before a handler that completed the job has ended, and by the time its worker was told that the result
counts.
"""

from collections import defaultdict
from typing import Final, NamedTuple

from orchestrix_raft.history.entries import Entry, begun, search_entries, shortest
from orchestrix_raft.history.gathered import NEVER, Execution, History, Operation
from orchestrix_raft.history.records import OK, REFUSED, AskedJob, Line
from orchestrix_raft.history.search import STEPS_MAX, Answer, Op
from orchestrix_raft.history.verdict import Findings, Verdict

CHECK: Final = "unique keys"
TAKEN: Final = "UNIQUE_KEY_TAKEN"
WINDOW_SLACK: Final = 0.98
"""A window is counted on the log's elapsed time, which may run a little faster than the clock of a client."""

UNTIL_DONE: Final = "until_done"
UNTIL_STARTED: Final = "until_started"
WINDOW: Final = "window"

Key = tuple[str, str]  # job type, unique key


class Step(NamedTuple):
    """One thing that happens to a key.  op: take, end, retry."""

    op: str
    job: str  # that asks for it, has it or gives it up
    word: str = ""  # take: created, existing, taken, same; retry: retried, conflict; "": unknown
    holder: str = ""  # existing: whose id was told
    replaces: bool = False
    scope: str = UNTIL_DONE


def move(holder: str, step: Step) -> list[str]:
    """Who has the key afterwards ("": nobody); none: the answer is impossible."""
    job = step.job
    match step.op, step.word:
        case "end", _:
            return [""] if holder == job else []
        case "take", "created":
            return [job] if not holder or (step.replaces and holder != job) else []
        case "take", "existing":
            return [holder] if holder == step.holder else []
        case "take", "taken":
            return [holder] if holder else []
        case "take", "same":
            return [holder]
        case "take", _:
            return [holder] if holder and not step.replaces else list(dict.fromkeys((holder, job)))
        case "retry", "conflict":
            return [holder] if holder and holder != job else []
        case "retry", _:
            return _lives_again(holder, step)
    raise AssertionError(f"no such step: {step}")


def _lives_again(holder: str, step: Step) -> list[str]:
    if not step.word:  # it need not have happened, so it is only of interest where it did something
        return [] if holder else [step.job]
    if holder == step.job:
        return [holder]
    if step.scope == UNTIL_DONE:
        return [] if holder else [step.job]
    # One that was begun, or has its key for a time, does not take it again.
    return [holder] if holder else ["", step.job]


def check_keys(history: History, steps_max: int = STEPS_MAX) -> Verdict:
    """Each key by itself."""
    findings = Findings(CHECK)
    for key, entries in sorted(_of_keys(history, findings).items()):
        findings.looked_at += 1
        found = search_entries(entries, "", move, steps_max)
        if found.answer is Answer.GAVE_UP:
            findings.undecided(f"an order of {len(entries)} operations on one key takes too many steps")
        elif found.answer is Answer.NO:
            kept = shortest(entries, "", move, steps_max)
            lines = {line.where: line for entry in sorted(kept, key=begun) for line in entry.lines}
            what = f"key {key[1]!r} of type {key[0]!r}: no order of operations lets one job at a time have it"
            findings.violation(what, lines.values())
    return findings.verdict()


class _Holder:
    """A job that may have a key."""

    def __init__(self, spec: AskedJob, operation: Operation) -> None:
        self.spec = spec
        self.scope = spec.scope or UNTIL_DONE
        self.asked = operation  # the first time
        self.retries: list[Operation] = []
        self.wheres: list[Operation] = []  # that may have made it live again


def _of_keys(history: History, findings: Findings) -> dict[Key, list[Entry]]:
    """The operations on every key that clients named, and the ends of the jobs that may have had it."""
    found: dict[Key, list[Entry]] = defaultdict(list)
    holders: dict[str, _Holder] = {}
    known: set[str] = set()
    for operation in history.operations:
        if operation.asked.op == "enqueue" and not _refused(operation):
            for position, spec in enumerate(operation.asked.jobs):
                if spec.unique_key:
                    entry = _take(operation, position, spec)
                    found[(spec.type, spec.unique_key)].append(entry)
                    known.add(spec.id)
                    if entry.op.what.word in ("", "created", "same"):
                        holders.setdefault(spec.id, _Holder(spec, operation))
    wheres = [one for one in history.operations if one.asked.op == "retry_where" and not _refused(one)]
    for operation in history.operations:
        if operation.asked.op == "retry" and operation.asked.job in holders and not _refused(operation):
            holders[operation.asked.job].retries.append(operation)
    for holder in holders.values():
        key = (holder.spec.type, holder.spec.unique_key)
        holder.wheres = [one for one in wheres if _may_meet(one, holder)]
        found[key] += _retries(holder)
        found[key] += _ends(history, holder)
    return {key: entries for key, entries in found.items() if _known(entries, known, findings)}


def _known(entries: list[Entry], known: set[str], findings: Findings) -> bool:
    """Whether every job that had the key was enqueued by somebody who recorded."""
    strangers = any(step.holder and step.holder not in known for step in (entry.op.what for entry in entries))
    if strangers:
        findings.undecided("a job that nobody recorded has a unique key")
    return not strangers


def _refused(operation: Operation) -> bool:
    return operation.told is not None and operation.told.outcome == REFUSED


def _op(operation: Operation, step: Step) -> Op:
    told = operation.told
    required = told is not None and told.outcome == OK
    index = 0 if told is None else told.index
    return Op(step, operation.asked.t, operation.ended, operation.clock, required, to_index=index)


def _take(operation: Operation, position: int, spec: AskedJob) -> Entry:
    told = operation.told
    step = Step("take", spec.id, "", replaces=spec.on_conflict == "replace")
    if told is not None and told.outcome == OK and position < len(told.placed):
        placed = told.placed[position]
        if placed.open_for(spec):
            op = _op(operation, step)._replace(ended=NEVER, required=False, to_index=0)
            return Entry(op, operation.lines_of(position), True)
        if placed.refused:
            step = step._replace(word="taken" if placed.refused == TAKEN else "same")
        elif placed.id != spec.id:
            step = step._replace(word="existing", holder=placed.id)
        elif placed.created:
            step = step._replace(word="created")
    return Entry(_op(operation, step), operation.lines_of(position), step.word in ("", "created"))


def _retries(holder: _Holder) -> list[Entry]:
    entries = []
    for operation in holder.retries:
        told = operation.told
        word = told.word if told is not None and told.outcome == OK else ""
        if word not in ("", "retried", "unique_conflict"):
            continue
        word = "conflict" if word == "unique_conflict" else word
        step = Step("retry", holder.spec.id, word, scope=holder.scope)
        entries.append(Entry(_op(operation, step), operation.lines, True))
    for operation in holder.wheres:
        again = _op(operation, Step("retry", holder.spec.id))._replace(required=False, to_index=0)
        entries.append(Entry(again, operation.lines, True))
    return entries


def _may_meet(operation: Operation, holder: _Holder) -> bool:
    """Whether a retry by filter can have met the job."""
    asked, spec = operation.asked, holder.spec
    return asked.queue in ("", spec.queue) and asked.type in ("", spec.type) and holder.scope != WINDOW


def _ends(history: History, holder: _Holder) -> list[Entry]:
    """When the job may give the key up, once for each life that it may have."""
    asked = holder.asked
    earliest, latest = asked.asked.t, NEVER
    lines: tuple[Line, ...] = ()
    lives = 1 + len(holder.retries) + len(holder.wheres)
    if lives == 1:
        earliest, latest, lines = _span(history, holder)
    step = Step("end", holder.spec.id)
    op = Op(step, earliest, latest, asked.clock, required=latest != NEVER)
    return [Entry(op, lines, True) for _ in range(lives)] if earliest != NEVER else []


def _span(history: History, holder: _Holder) -> tuple[int, int, tuple[Line, ...]]:
    """Between which moments of the client's clock the key was given up; NEVER, NEVER: it was not."""
    asked, job_id = holder.asked, holder.spec.id
    earliest, latest = asked.asked.t, NEVER
    if holder.scope == WINDOW:
        return earliest + int(holder.spec.for_ms * 1_000_000 * WINDOW_SLACK), NEVER, ()
    runs = [run for token in history.tokens.get(job_id, ()) for run in history.executions[token]]
    runs = [run for run in runs if run.clock == asked.clock]
    if holder.scope == UNTIL_STARTED:
        first = min(runs, key=lambda run: run.start.t, default=None)
        return (earliest, latest, ()) if first is None else (earliest, first.start.t, first.lines[:1])
    for run in runs:
        if _completed(run) and run.end is not None and run.accepted is not None:
            return max(earliest, run.end.t), run.accepted.t, run.lines
    final = history.jobs.get(job_id)
    if final is not None and final[0].state in ("scheduled", "pending", "dispatched", "running"):
        return NEVER, NEVER, (final[1],)
    return earliest, latest, ()


def _completed(run: Execution) -> bool:
    return run.end is not None and run.end.outcome == "completed"
