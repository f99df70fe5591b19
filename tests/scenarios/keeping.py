"""The part of the scenario language that is about retention, commands on a filter, and explaining.

retention [finished=D] [dead=D] [most=N] [limit=N]   the leader proposes what is due, until nothing is
purge a b                                            by id
cancel_where / retry_where / purge_where             `state=`, `queue=`, `type=`, `older=`, `limit=` of a step
explain a                                            why it is where it is
"""

from collections.abc import Callable

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.keeping import JobFilter
from orchestrix_raft.duties.retention import Keep, overdue_records
from orchestrix_raft.machine import codec
from orchestrix_raft.machine import events as ev
from orchestrix_raft.machine.commands import CancelWhere, PurgeWhere, RetryWhere, WhereResult
from orchestrix_raft.machine.explain import explain
from orchestrix_raft.machine.port import Result
from tests.scenarios.driver import WALL_START_MS, Driver
from tests.scenarios.durations import duration_ms, duration_text

EVENTS = ev.JobForgotten | ev.IdForgotten | ev.OldestKept
STEPS_MAX = 20  # a loop that goes on for longer does not end


class Keeping:
    """Commands and events; `driver` and `lines` are the scenario's."""

    driver: Driver
    lines: list[str]
    _event: Callable[[ev.Event], str]

    def _retention(self, names: list[str], options: dict[str, str]) -> Result:
        keep = Keep(
            duration_ms(options.get("finished", "24h")),
            int(options.get("most", limits.KEEP_FINISHED)),
            duration_ms(options.get("dead", "720h")),
            int(options.get("most", limits.KEEP_DEAD)),
        )
        limit = int(options.get("limit", limits.FORGET_AT_ONCE))
        driver = self.driver
        for _ in range(STEPS_MAX):
            commands = overdue_records(driver.machine.state, driver.wall_ms, keep, limit)
            applied = driver.apply(codec.unnumbered(*commands)) if commands else driver.apply()
            if not commands:
                return None
            self.lines += [self._kept(event) for event in applied.events if isinstance(event, EVENTS)]
        raise AssertionError("retention has no end")

    def _purge(self, names: list[str], options: dict[str, str]) -> Result:
        return self.driver.purge(*names)

    def _cancel_where(self, names: list[str], options: dict[str, str]) -> Result:
        return self._where(CancelWhere, options, "scheduled,pending")

    def _retry_where(self, names: list[str], options: dict[str, str]) -> Result:
        return self._where(RetryWhere, options, "dead")

    def _purge_where(self, names: list[str], options: dict[str, str]) -> Result:
        return self._where(PurgeWhere, options, "dead")

    def _where(self, kind: type, options: dict[str, str], states: str) -> Result:
        driver = self.driver
        where = JobFilter(
            tuple(JobState[word.upper()] for word in options.get("state", states).split(",")),
            options.get("queue", ""),
            options.get("type", ""),
            driver.wall_ms - duration_ms(options["older"]) + 1 if "older" in options else 0,
        )
        reason = ("by filter",) if kind is CancelWhere else ()
        cursor = b""
        for _ in range(STEPS_MAX):
            result = driver.do(kind(b"", where, cursor, int(options.get("limit", "500")), *reason))
            if not isinstance(result, WhereResult) or not result.cursor:
                return result
            self.lines += [self._event(event) for event in driver.events]
            self.lines.append(f"answer {where_text(result)}")
            cursor = result.cursor
        raise AssertionError("the walk has no end")

    def _explain(self, names: list[str], options: dict[str, str]) -> Result:
        job = self.driver.job(names[0])
        self.driver.apply()  # an entry of its own, so that what it shows is not shown twice
        for code, facts in explain(self.driver.machine.state, job):
            told = [
                f"{name.removesuffix('_ms')}={_fact(name, value)}" for name, value in facts.items() if value
            ]
            self.lines.append(" ".join([names[0], "is", code, *told]))
        return None

    def _kept(self, event: ev.Event) -> str:
        match event:
            case ev.JobForgotten(job_id=job_id, state=state, known_until_ms=until_ms):
                known = f", its id known until {_at(until_ms)}" if until_ms else ""
                return f"{self.driver.name(job_id)} forgotten: {state.word}{known}"
            case ev.IdForgotten(job_id=job_id):
                return f"{self.driver.name(job_id)} is a free id"
            case ev.OldestKept(place=place, since_ms=since_ms):
                kind = JobState(place).word if place else "ids"
                return f"{kind}: " + ("nothing is kept" if since_ms < 0 else f"kept since {_at(since_ms)}")
        raise AssertionError(event)


def where_text(result: WhereResult) -> str:
    """What the caller of a step is told."""
    skipped = f", {result.skipped} skipped" if result.skipped else ""
    return f"{result.done} done{skipped}" + (", more" if result.cursor else "")


def _at(wall_ms: int) -> str:
    return duration_text(wall_ms - WALL_START_MS)


def _fact(name: str, value: int | str) -> str:
    return _at(int(value)) if name in ("until_ms", "since_ms") else str(value).replace(" ", "_")
