"""What a worker says of a stream that ended with an error."""

import grpc
import grpc.aio
import pytest

from orchestrix_raft.wire import status
from orchestrix_raft.worker.stream import refusal_of


def broken(code: grpc.StatusCode, details: str, reason: str = "") -> grpc.aio.AioRpcError:
    trailers = status.details(code.value[0], reason, details) if reason else ()
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details, "")


@pytest.mark.parametrize("details", ["Internal error from Core", "Received RST_STREAM with error code 2"])
def test_a_connection_that_broke_is_not_called_a_defect_of_a_node(details: str) -> None:
    """It is what grpc.aio says when something is written to a connection that is gone."""
    said = refusal_of(broken(grpc.StatusCode.INTERNAL, details))
    assert said == "the connection broke while a message was on its way"


def test_what_a_node_has_said_stays() -> None:
    internal = broken(grpc.StatusCode.INTERNAL, "the decision failed", "INTERNAL")
    assert refusal_of(internal) == "INTERNAL: the decision failed"
    gone = broken(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    assert refusal_of(gone) == "UNAVAILABLE: Socket closed"
