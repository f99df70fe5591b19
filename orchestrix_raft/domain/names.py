"""What queues, schedules and types of jobs may be called: the rule that nodes apply, here also for the
command line, which need not ask a node to refuse such a name.
"""

import re
from typing import Final

from orchestrix_raft.domain import limits

CHARS: Final = "letters, digits and . _ - : / @"

is_name: Final = re.compile(r"[A-Za-z0-9._:/@-]+").fullmatch
"""Of a queue or a schedule: by its characters, not its length.  Such names are safe in shells, URLs and
metrics."""


def fault_in_queue(text: str) -> str:
    """What is wrong with a queue's name, or ""."""
    if len(text) > limits.QUEUE_CHARS:
        return f"queue has {len(text)} characters: at most {limits.QUEUE_CHARS}"
    return "" if is_name(text) else f"queue {text!r}: only {CHARS} are allowed, and at least one"


def fault_in_schedule_id(text: str) -> str:
    """What is wrong with the id of a schedule, or ""."""
    if len(text) > limits.SCHEDULE_ID_CHARS:
        return f"a schedule id has at most {limits.SCHEDULE_ID_CHARS} characters, this one {len(text)}"
    return "" if is_name(text) else f"schedule id {text!r}: only {CHARS} are allowed, and at least one"


def fault_in_type(text: str) -> str:
    """What is wrong with the name of a type, or "".  A type is printable, without blanks."""
    if not text:
        return "type is empty: name the handler that runs the job"
    if len(text) > limits.TYPE_CHARS:
        return f"type has {len(text)} characters: at most {limits.TYPE_CHARS}"
    if not text.isprintable() or " " in text:
        return f"type {text!r}: no blanks and no control characters, please"
    return ""
