"""The part of the scenario language that is about queues and unique keys.

limit Q [rate=N/D] [concurrency=N] [key_rate=N/D] [key_concurrency=N] [clear=rate,...] [request=R]
pause Q / unpause Q
enqueue a key=K expires=D unique=K scope=until_started for=D conflict=replace
"""

from orchestrix_raft.domain.job import OnConflict, UniqueRule, UniqueScope
from orchestrix_raft.domain.queue import QueueChange, QueueOptions, RateLimitOptions
from orchestrix_raft.machine import events as ev
from orchestrix_raft.machine.commands import ConfigureQueue
from orchestrix_raft.machine.port import Result
from tests.scenarios.driver import Driver
from tests.scenarios.durations import duration_ms, duration_text

EVENTS = ev.QueueConfigured | ev.WindowPassed | ev.UniqueWindowEnded


def rules(options: dict[str, str]) -> dict[str, object]:
    """Fields of a job that only this part of the language knows."""
    scope = options.get("scope", "until_done")
    rule = UniqueRule(
        UniqueScope[scope.upper()],
        duration_ms(options.get("for", "1h")) if scope == "window" else 0,
        OnConflict[options.get("conflict", "return_existing").upper()],
    )
    return {
        "key": options.get("key", ""),
        "unique": rule if "scope" in options or "conflict" in options else None,
        "expires_ms": duration_ms(options.get("expires", "0s")),
    }


class Limiting:
    """Commands and events; `driver` is the scenario's."""

    driver: Driver

    def _limit(self, names: list[str], options: dict[str, str]) -> Result:
        change = QueueChange(
            rate=_rate(options.get("rate")),
            concurrency=_count(options.get("concurrency")),
            key_rate=_rate(options.get("key_rate")),
            key_concurrency=_count(options.get("key_concurrency")),
            clear=tuple(filter(None, options.get("clear", "").split(","))),
        )
        return self.driver.do(ConfigureQueue(options.get("request", "").encode(), names[0], change))

    def _pause(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.do(ConfigureQueue(b"", names[0], QueueChange(paused=True)))

    def _unpause(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.do(ConfigureQueue(b"", names[0], QueueChange(paused=False)))

    def _limiting(self, event: ev.Event) -> str:
        match event:
            case ev.QueueConfigured(name=name, options=options):
                return f"queue {name} has {_told(options)}"
            case ev.WindowPassed(queue=queue, key=key):
                return f"rate of queue {queue}{f', key {key},' if key else ''} looked at"
            case ev.UniqueWindowEnded(unique_key=unique_key):
                return f"unique key {unique_key} is free"
        raise AssertionError(event)


def _rate(text: str | None) -> RateLimitOptions | None:
    if text is None:
        return None
    count, _, window = text.partition("/")
    return RateLimitOptions(int(count), duration_ms(window))


def _count(text: str | None) -> int | None:
    return None if text is None else int(text)


def _told(options: QueueOptions) -> str:
    rates = [("rate", options.rate), ("key_rate", options.key_rate)]
    counts = [("concurrency", options.concurrency), ("key_concurrency", options.key_concurrency)]
    told = ["a pause"] if options.paused else []
    told += [f"{name} {rate.count}/{duration_text(rate.window_ms)}" for name, rate in rates if rate]
    told += [f"{name} {count}" for name, count in counts if count]
    return ", ".join(told) or "no limits"
