"""common.proto: retry policies, states, and how fresh an answer is."""

from orchestrix_raft.domain.retry import DEFAULT_RETRY, RetryPolicy
from orchestrix_raft.wire.v1 import common_pb2 as pb

RetryPolicyMessage = pb.RetryPolicy
ReadOptions = pb.ReadOptions
ReadInfo = pb.ReadInfo


def retry_policy(message: pb.RetryPolicy) -> RetryPolicy:
    """The policy that was asked for; fields left out take the default."""
    has = message.HasField
    return RetryPolicy(
        message.max_retries if has("max_retries") else DEFAULT_RETRY.max_retries,
        message.delay_ms if has("delay_ms") else DEFAULT_RETRY.delay_ms,
        message.multiplier_permille if has("multiplier_permille") else DEFAULT_RETRY.multiplier_permille,
        message.max_delay_ms if has("max_delay_ms") else DEFAULT_RETRY.max_delay_ms,
        message.jitter_percent if has("jitter_percent") else DEFAULT_RETRY.jitter_percent,
    )


def read_info(applied_index: int, stale: bool) -> pb.ReadInfo:
    """What an answer was read from."""
    return pb.ReadInfo(applied_index=applied_index, stale=stale)
