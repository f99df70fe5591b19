"""What an operator may say about a queue: pause it, limit its rate and its concurrency, whole or per key.

A queue exists because jobs name it; only one that is paused or limited has a record.  The sliding window
is exact: never more dispatches than allowed in any half-open stretch of log time as long as the window.
"""

from typing import Final

import msgspec

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import Timer

_OTHERWISE: Final = "pause the queue to stop it, clear the limit to have none"
LIMITS: Final = ("rate", "concurrency", "key_rate", "key_concurrency")


class RateLimitOptions(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """At most `count` dispatches in any `window_ms` of elapsed log time."""

    count: int
    window_ms: int

    @property
    def grain_ms(self) -> int:
        """How finely dispatches are told apart: each by itself up to RATE_STAMPS, in sub-windows above."""
        if self.count <= limits.RATE_STAMPS:
            return 1
        return -(-self.window_ms // limits.RATE_SUBWINDOWS)


class QueueOptions(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """Everything that holds for a queue; the default is: nothing."""

    paused: bool = False
    rate: RateLimitOptions | None = None
    concurrency: int = 0  # 0: no limit
    key_rate: RateLimitOptions | None = None  # for the jobs of each key
    key_concurrency: int = 0


class QueueChange(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """A partial update: what is None stays, what `clear` names is limited no more."""

    paused: bool | None = None
    rate: RateLimitOptions | None = None
    concurrency: int | None = None
    key_rate: RateLimitOptions | None = None
    key_concurrency: int | None = None
    clear: tuple[str, ...] = ()  # of LIMITS


class KeySweep(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The limits per key of a queue were changed, and its keys follow a part at a time."""

    before: QueueOptions  # holds for keys not reached yet: the strictest of the old and the new limits
    done: int = 0  # parts (machine.shards) whose keys follow the new ones
    timer: Timer | None = None  # when the next part does


class SlidingWindowRateLimiter(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The dispatches that still count, as (when, how many), oldest first.

    A stamp is never earlier than what it stands for, so rounding delays and never lets too much through.
    """

    stamps: list[int] = msgspec.field(default_factory=list)  # elapsed ms, ascending
    counts: list[int] = msgspec.field(default_factory=list)
    used: int = 0  # sum of counts

    def take(self, limit: RateLimitOptions, now_ms: int) -> None:
        """One dispatch happens; what is older than the window is forgotten."""
        self.forget(limit, now_ms)
        grain = limit.grain_ms
        stamp = -(-now_ms // grain) * grain
        if self.stamps and self.stamps[-1] >= stamp:
            self.counts[-1] += 1
        else:
            self.stamps.append(stamp)
            self.counts.append(1)
        self.used += 1

    def forget(self, limit: RateLimitOptions, now_ms: int) -> None:
        """Drop what no window that ends after `now_ms` contains."""
        passed = 0
        for stamp in self.stamps:
            if stamp + limit.window_ms > now_ms:
                break
            passed += 1
        if passed:
            self.used -= sum(self.counts[:passed])
            del self.stamps[:passed]
            del self.counts[:passed]

    def opens_ms(self, limit: RateLimitOptions) -> int:
        """When there will be room for one more if nothing else happens (elapsed ms); 0: there is now."""
        left = self.used
        opens = 0
        for stamp, count in zip(self.stamps, self.counts, strict=True):
            if left < limit.count:
                break
            left -= count
            opens = stamp + limit.window_ms
        return opens

    def empty_ms(self, limit: RateLimitOptions) -> int:
        """When nothing will count any more (elapsed ms); there must be something."""
        return self.stamps[-1] + limit.window_ms


class Queue(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A queue that is paused or limited."""

    name: str
    options: QueueOptions
    window: SlidingWindowRateLimiter  # of `options.rate`; empty without one
    timer: Timer | None = None  # set while the window is full: when it has room again
    sweep: KeySweep | None = None


class KeyWindow(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The rate of one key of a queue with a `key_rate`."""

    queue: str
    key: str
    window: SlidingWindowRateLimiter
    timer: Timer | None = None  # when it has room again; when it can be forgotten


class UniqueWindow(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A unique key that is taken for a time, whatever becomes of the job that took it."""

    type: str
    unique_key: str
    job_id: bytes
    timer: Timer | None = None  # when the key is free again


def changed(options: QueueOptions, change: QueueChange) -> QueueOptions:
    """`options` after a partial update."""
    clear = change.clear
    return QueueOptions(
        options.paused if change.paused is None else change.paused,
        change.rate or (None if "rate" in clear else options.rate),
        change.concurrency or (0 if "concurrency" in clear else options.concurrency),
        change.key_rate or (None if "key_rate" in clear else options.key_rate),
        change.key_concurrency or (0 if "key_concurrency" in clear else options.key_concurrency),
    )


def same_for_keys(one: QueueOptions, other: QueueOptions) -> bool:
    """Whether they mean the same for each key."""
    return (one.key_rate, one.key_concurrency) == (other.key_rate, other.key_concurrency)


def strictest_for_keys(one: QueueOptions, other: QueueOptions) -> QueueOptions:
    """Limits per key under which nothing begins that either of them forbids."""
    rate = one.key_rate or other.key_rate
    if one.key_rate is not None and other.key_rate is not None:
        rate = RateLimitOptions(
            min(one.key_rate.count, other.key_rate.count),
            max(one.key_rate.window_ms, other.key_rate.window_ms),
        )
    units = sorted(filter(None, (one.key_concurrency, other.key_concurrency)))
    return QueueOptions(key_rate=rate, key_concurrency=units[0] if units else 0)


def fault_in_change(name: str, change: QueueChange) -> str:
    """One line saying what is wrong with a change of a queue, or ""."""
    if not 0 < len(name) <= limits.QUEUE_CHARS:
        return f"queue must have 1 to {limits.QUEUE_CHARS} characters"
    for word in change.clear:
        if word not in LIMITS:
            return f"no such limit: {word[:40]!r} (there are {', '.join(LIMITS)})"
    given = (change.rate, change.concurrency, change.key_rate, change.key_concurrency)
    for word, value in zip(LIMITS, given, strict=True):
        if value is None:
            continue
        if word in change.clear:
            return f"{word} is both set and cleared"
        fault = _fault_in_count(word, value) if isinstance(value, int) else _fault_in_rate(word, value)
        if fault:
            return fault
    return ""


def _fault_in_count(word: str, value: int) -> str:
    if 0 < value <= limits.CONCURRENCY_MAX:
        return ""
    return f"{word} {value}: from 1 to {limits.CONCURRENCY_MAX}; {_OTHERWISE}"


def _fault_in_rate(word: str, rate: RateLimitOptions) -> str:
    if not 0 < rate.count <= limits.RATE_COUNT_MAX:
        return f"{word} of {rate.count}: from 1 to {limits.RATE_COUNT_MAX}; {_OTHERWISE}"
    if not 0 < rate.window_ms <= limits.RATE_WINDOW_MS:
        most = f"{limits.RATE_WINDOW_MS} ms (31 days)"
        return f"{word} per {rate.window_ms} ms: the window is from 1 ms to {most}"
    return ""
