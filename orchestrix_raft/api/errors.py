"""How refusals and outcomes become gRPC errors.

Services raise `Refusal`; the handlers in `calls.py` are the one place that turns it into a status with
google.rpc.ErrorInfo (reason, domain `orchestrix`) in its details.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn, TypeAlias, assert_never

import grpc
import grpc.aio

from orchestrix_raft.coordinator.port import Done, NotApplied, Outcome, Unknown
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.wire import status

_STATUS: Mapping[int, grpc.StatusCode] = MappingProxyType({c.value[0]: c for c in grpc.StatusCode})
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handlers: TypeAlias = "grpc.GenericRpcHandler[Any, Any]"

OUTCOME_UNKNOWN: Final = "OUTCOME_UNKNOWN"


class ApiError(Exception):
    """The API cannot be served: one line for the operator."""


class Refusal(Exception):
    """The call is answered with this rejection."""

    def __init__(self, rejected: Rejected, noted: bool = False) -> None:
        super().__init__(rejected.message)
        self.rejected = rejected
        self.noted = noted  # it is in the audit trail already


class UnknownOutcome(Exception):
    """The call's command may or may not be applied."""

    def __init__(self, message: str, noted: bool = False) -> None:
        super().__init__(message)
        self.noted = noted  # it will be in the audit trail if it is applied


def invalid(reason: str, message: str) -> Refusal:
    """A refusal with INVALID_ARGUMENT."""
    return Refusal(Rejected(Code.INVALID_ARGUMENT, reason, message))


def applied(outcome: Outcome) -> Done:
    """The outcome if the state machine accepted the command; else `Refusal` or `UnknownOutcome`."""
    match outcome:
        case Done():
            if isinstance(outcome.result, Rejected):
                raise Refusal(outcome.result)
            return outcome
        case NotApplied():
            raise Refusal(outcome.rejected)
        case Unknown():
            raise UnknownOutcome(outcome.message)
        case _:
            assert_never(outcome)


async def abort(context: Context, error: Exception) -> NoReturn:
    """End the call with the status that belongs to `error` (a `Refusal` or an `UnknownOutcome`)."""
    if isinstance(error, Refusal):
        code, reason, message = error.rejected.code.value, error.rejected.reason, error.rejected.message
    else:
        code, reason, message = grpc.StatusCode.UNKNOWN.value[0], OUTCOME_UNKNOWN, str(error)
    await context.abort(_STATUS[code], message, status.details(code, reason, message))
