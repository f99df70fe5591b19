"""jobs.proto, ExplainJob: the reasons why a job is where it is, with a line of text for each."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from orchestrix_raft.domain.durations import format_duration
from orchestrix_raft.domain.words import counted
from orchestrix_raft.wire.v1 import jobs_pb2 as pb

TEXTS: Final[Mapping[str, str]] = {
    "finished": "it is {state} since {since}{because}",
    "unique_key_taken": "it cannot live again: job {job} has its unique key {unique_key!r}",
    "delayed": "its delay is over at {until}",
    "run_at": "it is to run at {until}",
    "backing_off": "it failed {failures} (its policy allows {max_retries}), is tried again at"
    " {until}: {error}",
    "expires": "it is cancelled if no worker takes it before {until}",
    "retry_limit": "it is dead if no worker takes it before {until}: no retry begins later",
    "queue_paused": "its queue {queue!r} is paused",
    "queue_rate_limited": "its queue {queue!r} has had {starts} within {window}: the next at {until}",
    "queue_full": "its queue {queue!r} runs {running}, and may run {limit}",
    "key_rate_limited": "its key {key!r} has had {starts} within {window}: the next at {until}",
    "key_full": "its key {key!r} runs {running}, and may run {limit}",
    "no_worker": "no worker serves its queue {queue!r}",
    "no_worker_with_labels": "none of {workers} of its queue {queue!r} has all its labels: {labels}",
    "workers_away": "the {workers} that could take it lost the connection; given up at {until}",
    "workers_draining": "it could be taken only by what drains and takes nothing new: {workers}",
    "workers_full": "{workers} could take it, with no free slot among {slots} ({stuck} held by handlers that"
    " should have ended); of its queue {pending} can begin",
    "next": "nothing holds it: the next free slot is for its queue {queue!r}",
    "dispatched": "worker {worker} at node {node} has it since {since}, attempt {attempt}; its handler has"
    " not been seen to start yet",
    "running": "worker {worker} at node {node} runs it since {since}, attempt {attempt}",
    "worker_away": "its worker {worker} lost the connection; given up at {until}",
    "stopping": "it was asked to stop ({why}{because}), and is ended at {until} in any case",
}
"""code -> text; what stands in braces is made of the facts, see `text_of`."""


_NOUNS: Final = {"failures": "time", "running": "job", "workers": "worker", "pending": "job"}
"""Facts that are told with their noun, one or several."""


def text_of(code: str, facts: Mapping[str, int | str]) -> str:
    """The line for people.  A code without one is told as it is, with its facts."""
    if code not in TEXTS:
        return f"{code}: {', '.join(f'{name} {value}' for name, value in facts.items())}".rstrip(": ")
    shown: dict[str, int | str] = dict(facts)
    for name in ("until", "since"):
        shown[name] = _moment(int(facts.get(f"{name}_ms", 0)))
    if "window_ms" in facts:
        shown["window"] = format_duration(int(facts["window_ms"]))
    shown.update({name: counted(int(facts[name]), noun) for name, noun in _NOUNS.items() if name in facts})
    shown["starts"] = counted(int(facts.get("limit", 0)), "start")
    if "max_retries" in facts:
        shown["max_retries"] = counted(int(facts["max_retries"]), "retry", "retries")
    told = [str(facts[name]) for name in ("reason", "error") if facts.get(name)]
    shown["because"] = f": {', '.join(told)}" if told else ""
    return TEXTS[code].format_map(shown).rstrip(": ")


def _moment(ms: int) -> str:
    if not ms:
        return "an unknown time"
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def reason_messages(reasons: Iterable[tuple[str, Mapping[str, int | str]]]) -> list[pb.Reason]:
    """Reasons as (code, facts), in the order given."""
    return [
        pb.Reason(
            code=code,
            text=text_of(code, facts),
            facts={name: str(value) for name, value in facts.items()},
        )
        for code, facts in reasons
    ]
