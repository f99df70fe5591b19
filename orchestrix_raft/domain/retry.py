"""When a failed attempt is tried again.

The back-off is exponential with a cap and a jitter that is a function of (job, attempt): every replica
and every rerun computes the same number, and jobs that failed together do not return together.
"""

import zlib

import msgspec

from orchestrix_raft.domain import limits


class RetryPolicy(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """How often and how late.  Integers only: replicas must agree to the bit."""

    max_retries: int = 3  # failures after which the job is dead: max_retries + 1
    delay_ms: int = 10_000  # before the first retry
    multiplier_permille: int = 2_000  # each further delay is this many thousandths of the one before
    max_delay_ms: int = 600_000
    jitter_percent: int = 20  # the delay varies by +- this much
    patient: bool = False  # the delay before retry n is n^4 seconds more than `delay_ms` instead


DEFAULT_RETRY = RetryPolicy()
FAST_RETRY = RetryPolicy(max_retries=5, delay_ms=1_000, max_delay_ms=60_000)
"""For what fails briefly and is waited for: 1, 2, 4, 8, 16 seconds."""
PATIENT_RETRY = RetryPolicy(max_retries=25, delay_ms=15_000, max_delay_ms=limits.DURATION_MS, patient=True)
"""For what may be away for days: 16 s, 31 s, 96 s, ... 4.5 days; 25 days in all."""


def backoff_ms(policy: RetryPolicy, job_id: bytes, failures: int) -> int:
    """Milliseconds to wait after the `failures`-th failure (from 1), jitter included."""
    delay = policy.delay_ms
    if policy.patient:
        delay += failures**4 * 1_000
    else:
        for _ in range(min(failures - 1, 64)):
            delay = delay * policy.multiplier_permille // 1_000
            if delay >= policy.max_delay_ms:
                break
    delay = min(delay, policy.max_delay_ms)
    spread = delay * policy.jitter_percent // 100
    if spread == 0:
        return delay
    draw = zlib.crc32(job_id + failures.to_bytes(4, "big"))
    return delay - spread + draw % (2 * spread + 1)


def fault_in_policy(policy: RetryPolicy) -> str:
    """One line saying what is wrong with `policy`, or ""."""
    if not 0 <= policy.max_retries <= limits.RETRIES_MAX:
        return f"max_retries {policy.max_retries}: it must be within 0..{limits.RETRIES_MAX}"
    if not 0 <= policy.delay_ms <= limits.DURATION_MS or not 0 <= policy.max_delay_ms <= limits.DURATION_MS:
        return f"retry delays must be within 0..{limits.DURATION_MS} ms"
    if not 1_000 <= policy.multiplier_permille <= limits.MULTIPLIER_PERMILLE_MAX:
        most = limits.MULTIPLIER_PERMILLE_MAX
        return f"multiplier_permille {policy.multiplier_permille}: it must be within 1000..{most}"
    if not 0 <= policy.jitter_percent <= 100:
        return f"jitter_percent {policy.jitter_percent}: it must be within 0..100"
    return ""
