"""What queues and types of jobs may be called: the rule that nodes apply, here also for the command line,
which need not ask a node to refuse such a name.
"""

import re
from typing import Final

from orchestrix_raft.domain import limits

QUEUE_CHARS: Final = "letters, digits and . _ - : / @"

is_queue: Final = re.compile(r"[A-Za-z0-9._:/@-]+").fullmatch
"""By its characters, not its length."""


def fault_in_queue(text: str) -> str:
    """What is wrong with a queue's name, or "".  Such names are safe in shells, URLs and metrics."""
    if len(text) > limits.QUEUE_CHARS:
        return f"queue has {len(text)} characters: at most {limits.QUEUE_CHARS}"
    return "" if is_queue(text) else f"queue {text!r}: only {QUEUE_CHARS} are allowed, and at least one"


def fault_in_type(text: str) -> str:
    """What is wrong with the name of a type, or "".  A type is printable, without blanks."""
    if not text:
        return "type is empty: name the handler that runs the job"
    if len(text) > limits.TYPE_CHARS:
        return f"type has {len(text)} characters: at most {limits.TYPE_CHARS}"
    if not text.isprintable() or " " in text:
        return f"type {text!r}: no blanks and no control characters, please"
    return ""
