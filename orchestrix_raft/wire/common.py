"""common.proto: retry policies, states, and how fresh an answer is."""

from typing import Final

from orchestrix_raft.domain.job import Firing
from orchestrix_raft.domain.retry import DEFAULT_RETRY, FAST_RETRY, PATIENT_RETRY, RetryPolicy
from orchestrix_raft.wire.v1 import common_pb2 as pb

RetryPolicyMessage = pb.RetryPolicy
ReadOptions = pb.ReadOptions
ReadInfo = pb.ReadInfo


_PRESETS: Final = {
    pb.RetryPolicy.PRESET_FAST: FAST_RETRY,
    pb.RetryPolicy.PRESET_PATIENT: PATIENT_RETRY,
}


def retry_policy(message: pb.RetryPolicy) -> RetryPolicy:
    """The policy that was asked for; fields left out take the value of the preset."""
    has = message.HasField
    preset = _PRESETS.get(message.preset, DEFAULT_RETRY)
    return RetryPolicy(
        message.max_retries if has("max_retries") else preset.max_retries,
        message.delay_ms if has("delay_ms") else preset.delay_ms,
        message.multiplier_permille if has("multiplier_permille") else preset.multiplier_permille,
        message.max_delay_ms if has("max_delay_ms") else preset.max_delay_ms,
        message.jitter_percent if has("jitter_percent") else preset.jitter_percent,
        preset.patient,
    )


def retry_message(policy: RetryPolicy) -> pb.RetryPolicy:
    """The form for the wire, with every field."""
    return pb.RetryPolicy(
        max_retries=policy.max_retries,
        delay_ms=policy.delay_ms,
        multiplier_permille=policy.multiplier_permille,
        max_delay_ms=policy.max_delay_ms,
        jitter_percent=policy.jitter_percent,
        preset="PRESET_PATIENT" if policy.patient else "PRESET_DEFAULT",
    )


def firing_message(firing: Firing) -> pb.Firing:
    """The form for the wire; which incarnation of its schedule concerns the cluster alone."""
    return pb.Firing(
        schedule_id=firing.schedule_id,
        scheduled_for_ms=firing.slot_ms,
        fired_ms=firing.fired_ms,
        missed_count=firing.missed,
    )


def read_firing(m: pb.Firing) -> Firing:
    """The inverse, without the incarnation."""
    return Firing(m.schedule_id, 0, m.scheduled_for_ms, m.fired_ms, m.missed_count)


def read_info(applied_index: int, stale: bool) -> pb.ReadInfo:
    """What an answer was read from."""
    return pb.ReadInfo(applied_index=applied_index, stale=stale)
