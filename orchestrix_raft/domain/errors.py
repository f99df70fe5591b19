"""Why a request was refused: values, not exceptions.

A `Rejected` travels from the state machine (or from a check before it) to the API, which maps `code`
to a gRPC status and puts `reason` into the error's details.  Reasons are UPPER_SNAKE_CASE and stable.
"""

from enum import IntEnum

import msgspec


class Code(IntEnum):
    """The canonical status a rejection maps to (numbers are gRPC's)."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    INTERNAL = 13
    UNAVAILABLE = 14


class Rejected(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A request that changed nothing, and why."""

    code: Code
    reason: str  # UPPER_SNAKE_CASE, e.g. JOB_NOT_FOUND
    message: str  # one line for a person: what is wrong and what to do
