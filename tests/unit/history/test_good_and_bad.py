"""Histories made by hand, good and bad: each kind of violation is seen by the check whose promise it breaks,
and what only looks odd is not."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from orchestrix_raft.history.records import Placed
from orchestrix_raft.history.verdict import Word
from tests.unit.history.telling import Tale, Teller, verdict_of

GOOD: dict[str, list[Teller]] = {}
BAD: dict[str, list[Teller]] = {}
OPEN: dict[str, list[Teller]] = {}


def _into(table: dict[str, list[Teller]], check: str) -> Callable[[Teller], Teller]:
    def keep(tell: Teller) -> Teller:
        table.setdefault(check, []).append(tell)
        return tell

    return keep


def good(check: str) -> Callable[[Teller], Teller]:
    return _into(GOOD, check)


def bad(check: str) -> Callable[[Teller], Teller]:
    return _into(BAD, check)


def undecided(check: str) -> Callable[[Teller], Teller]:
    return _into(OPEN, check)


# ---- jobs


@good("jobs")
def a_life(t: Tale) -> None:
    t.enqueue("a", "j")
    t.get("b", "j", "pending")
    t.get("a", "j", "running", token=1)
    t.steer("a", "cancel", "j", "requested")
    t.get("b", "j", "cancelled", token=1)
    t.steer("a", "retry", "j", "retried")
    t.get("b", "j", "completed", token=2)
    t.steer("a", "purge", "j", "purged")
    t.get("b", "j", "not_found")
    t.enqueue("a", "j", Placed(id="j", created=False))


@good("jobs")
def a_read_during_the_enqueue_may_come_before_it(t: Tale) -> None:
    number = t.enqueues("a", "j")
    t.get("b", "j", "not_found")
    t.get("b", "j", "pending")
    t.told("a", number, placed=(Placed(id="j"),))


@good("jobs")
def an_unknown_enqueue_takes_effect_late(t: Tale) -> None:
    t.unknown("a", t.enqueues("a", "j"))
    t.get("b", "j", "not_found")
    t.get("b", "j", "pending")


@good("jobs")
def an_earlier_sending_makes_a_job_that_a_later_one_did_not(t: Tale) -> None:
    t.enqueue("a", "j", Placed(id="i", created=None), unique_key="k")
    t.get("b", "j", "not_found")
    t.enqueue("a", "g", Placed(refused="UNIQUE_KEY_TAKEN", created=None), unique_key="k")
    t.get("b", "j", "pending")
    t.get("b", "g", "pending")


@good("jobs")
def a_local_read_may_be_old(t: Tale) -> None:
    t.enqueue("a", "j", index=5)
    t.steer("a", "cancel", "j", "cancelled", index=9)
    t.get("b", "j", "pending", index=7)


@good("jobs")
def the_cluster_forgets_what_the_events_say(t: Tale) -> None:
    t.enqueue("a", "j")
    t.event("job_forgotten", "j")
    t.missing("j")
    t.over(0)


@bad("jobs")
def not_found_from_a_stale_node(t: Tale) -> None:
    t.enqueue("a", "j", index=5)
    t.get("b", "j", "not_found", min_index=5)


@bad("jobs")
def an_acknowledged_enqueue_was_dropped(t: Tale) -> None:
    t.enqueue("a", "j")
    t.missing("j")
    t.over()


@bad("jobs")
def made_twice(t: Tale) -> None:
    t.enqueue("a", "j")
    t.enqueue("b", "j")


@bad("jobs")
def a_cancelled_job_completes(t: Tale) -> None:
    t.enqueue("a", "j")
    t.steer("a", "cancel", "j", "cancelled")
    t.get("b", "j", "completed", token=1)


@bad("jobs")
def a_token_goes_back(t: Tale) -> None:
    t.enqueue("a", "j")
    t.get("b", "j", "running", token=7)
    t.get("b", "j", "running", token=6)


@bad("jobs")
def a_completed_job_is_retried(t: Tale) -> None:
    t.enqueue("a", "j")
    t.get("b", "j", "completed", token=7)
    t.steer("a", "retry", "j", "retried")


@bad("jobs")
def a_purged_job_comes_back(t: Tale) -> None:
    t.enqueue("a", "j")
    t.steer("a", "purge", "j", "purged")
    t.get("a", "j", "dead")


@bad("jobs")
def a_read_does_not_see_its_own_write(t: Tale) -> None:
    t.enqueue("a", "j", index=5)
    t.steer("a", "cancel", "j", "cancelled", index=9)
    t.get("a", "j", "pending", index=9, min_index=9)


@bad("jobs")
def a_read_is_older_than_it_was_asked_to_be(t: Tale) -> None:
    t.enqueue("a", "j", index=5)
    t.get("a", "j", "pending", index=5, min_index=9)


@bad("jobs")
def a_read_is_older_than_what_its_client_wrote(t: Tale) -> None:
    t.enqueue("a", "j", index=5)
    t.enqueue("a", "i", index=9)
    t.get("a", "j", "pending", index=5)


@bad("jobs")
def the_index_orders_machines_with_other_clocks(t: Tale) -> None:
    t.who("far", "two")
    t.enqueue("a", "j", index=5)
    t.steer("a", "cancel", "j", "cancelled", index=9)
    t.get("far", "j", "pending", index=12)


@bad("jobs")
def a_refused_job_is_there(t: Tale) -> None:
    t.enqueue("a", "j", Placed(refused="UNIQUE_KEY_TAKEN"), unique_key="k")
    t.get("b", "j", "pending")


# ---- unique keys

ONE: Final[dict[str, Any]] = {"unique_key": "k", "scope": "until_done"}
STARTED: Final[dict[str, Any]] = {"unique_key": "k", "scope": "until_started"}
WINDOW: Final[dict[str, Any]] = {"unique_key": "k", "scope": "window", "for_ms": 1_000}


@good("unique keys")
def one_after_the_other(t: Tale) -> None:
    t.enqueue("a", "j", **ONE)
    t.enqueue("b", "i", Placed(id="j", created=False), **ONE)
    t.enqueue("b", "h", Placed(refused="UNIQUE_KEY_TAKEN"), **ONE, on_conflict="reject")
    t.run("w", "j", 1)
    t.enqueue("b", "g", **ONE)


@good("unique keys")
def a_job_that_waits_is_replaced(t: Tale) -> None:
    t.enqueue("a", "j", **ONE)
    t.enqueue("b", "i", **ONE, on_conflict="replace")
    t.enqueue("b", "h", Placed(id="i", created=False), **ONE)


@good("unique keys")
def begun_jobs_leave_their_key(t: Tale) -> None:
    t.enqueue("a", "j", **STARTED)
    t.start("w", "j", 1)
    t.enqueue("b", "i", **STARTED)


@good("unique keys")
def other_types_have_keys_of_their_own(t: Tale) -> None:
    t.enqueue("a", "j", **ONE)
    t.enqueue("b", "i", type="u", **ONE)
    t.final("j", "pending")
    t.final("i", "pending")
    t.over()


@good("unique keys")
def a_job_that_is_retried_by_filter_has_its_key_again(t: Tale) -> None:
    t.enqueue("a", "j", **ONE)
    t.enqueue("a", "i", **ONE)
    t.told("a", t.asks("a", "retry_where"), done=1)
    t.enqueue("a", "h", Placed(id="j", created=False), **ONE)


@bad("unique keys")
def two_that_are_not_done(t: Tale) -> None:
    t.enqueue("a", "j", **ONE)
    t.enqueue("b", "i", **ONE)
    t.final("j", "pending")
    t.over()


@bad("unique keys")
def a_second_one_before_the_first_has_ended(t: Tale) -> None:
    t.enqueue("a", "j", **ONE)
    t.start("w", "j", 1)
    t.enqueue("b", "i", **ONE)
    t.end("w", "j", 1)
    t.ack("w", 1)


@bad("unique keys")
def an_ended_one_still_has_it(t: Tale) -> None:
    t.enqueue("a", "j", **ONE)
    t.run("w", "j", 1)
    t.enqueue("b", "i", Placed(id="j", created=False), **ONE)


@bad("unique keys")
def a_begun_one_still_has_it(t: Tale) -> None:
    t.enqueue("a", "j", **STARTED)
    t.start("w", "j", 1)
    t.enqueue("b", "i", Placed(refused="UNIQUE_KEY_TAKEN"), **STARTED, on_conflict="reject")


@bad("unique keys")
def a_window_that_is_still_open(t: Tale) -> None:
    t.enqueue("a", "j", **WINDOW)
    t.now_ns += 500_000_000
    t.enqueue("b", "i", **WINDOW)


@good("unique keys")
def a_window_that_is_over(t: Tale) -> None:
    t.enqueue("a", "j", **WINDOW)
    t.now_ns += 1_001_000_000
    t.enqueue("b", "i", **WINDOW)


@bad("unique keys")
def refused_for_nobody(t: Tale) -> None:
    t.enqueue("b", "i", Placed(refused="UNIQUE_KEY_TAKEN"), **ONE, on_conflict="reject")


@undecided("unique keys")
def a_stranger_has_it(t: Tale) -> None:
    t.enqueue("a", "j", Placed(id="stranger", created=False), **ONE)


# ---- completions


@good("completions")
def a_retry_has_its_cause(t: Tale) -> None:
    t.enqueue("a", "j")
    t.run("w", "j", 1, "failed")
    t.start("w", "j", 2, 2)
    t.run("v", "j", 3, attempt=3)
    t.final("j", "completed", (1, "failed"), (2, "lost"), (3, "completed"))
    t.over()


@good("completions")
def given_back_and_begun_again(t: Tale) -> None:
    t.run("w", "j", 1, "released")
    t.run("v", "j", 2)
    t.final("j", "completed", (2, "completed"))
    t.over()


@bad("completions")
def a_completion_that_does_not_count(t: Tale) -> None:
    t.run("w", "j", 1)
    t.final("j", "dead", (1, "lost"))
    t.over()


@bad("completions")
def a_completion_that_nobody_knows(t: Tale) -> None:
    t.run("w", "j", 1)
    t.final("j", "pending")
    t.over()


@bad("completions")
def completed_twice(t: Tale) -> None:
    t.final("j", "completed", (1, "completed"), (2, "completed"))
    t.over()


@bad("completions")
def begun_again_without_a_cause(t: Tale) -> None:
    t.start("w", "j", 1)
    t.run("v", "j", 2)
    t.final("j", "completed", (2, "completed"))
    t.over()


@bad("completions")
def begun_again_after_it_was_completed(t: Tale) -> None:
    t.run("w", "j", 1)
    t.start("v", "j", 2)
    t.final("j", "completed", (1, "completed"), token=2)
    t.over()


@bad("completions")
def acknowledged_and_lost(t: Tale) -> None:
    t.enqueue("a", "j")
    t.missing("j")
    t.over()


@bad("completions")
def a_failure_counts_as_completed(t: Tale) -> None:
    t.run("w", "j", 1, "failed")
    t.final("j", "completed", (1, "completed"))
    t.over()


@undecided("completions")
def nobody_looked_at_the_end(t: Tale) -> None:
    t.enqueue("a", "j")


# ---- tokens


@good("tokens")
def tokens_that_grow(t: Tale) -> None:
    t.event("job_assigned", "j", token=1)
    t.event("attempt_ended", "j", token=1)
    t.event("job_assigned", "j", token=2)
    t.event("job_completed", "j", token=2)
    t.start("w", "j", 1)
    t.start("v", "j", 2)
    t.end("v", "j", 2)
    t.end("w", "j", 1)
    t.ack("w", 1, accepted=False)
    t.ack("v", 2)
    t.final("j", "completed", (1, "lost"), (2, "completed"))
    t.over(0)


@bad("tokens")
def an_old_token_is_accepted(t: Tale) -> None:
    t.start("w", "j", 1)
    t.start("v", "j", 2)
    t.end("w", "j", 1)
    t.ack("w", 1)


@bad("tokens")
def one_token_in_two_processes(t: Tale) -> None:
    t.start("w", "j", 1)
    t.start("v", "j", 1)


@bad("tokens")
def one_token_for_two_jobs(t: Tale) -> None:
    t.start("w", "j", 1)
    t.start("w", "i", 1)


@bad("tokens")
def assigned_under_an_older_token(t: Tale) -> None:
    t.event("job_assigned", "j", token=2)
    t.event("job_assigned", "i", token=1)
    t.over(0)


@bad("tokens")
def completed_under_an_older_token(t: Tale) -> None:
    t.event("job_assigned", "j", token=1)
    t.event("job_assigned", "j", token=2)
    t.event("job_completed", "j", token=1)
    t.over(0)


@bad("tokens")
def attempts_out_of_order(t: Tale) -> None:
    t.final("j", "completed", (2, "failed"), (1, "completed"))
    t.over()


@bad("tokens")
def begun_under_a_token_that_the_job_never_had(t: Tale) -> None:
    t.start("w", "j", 9)
    t.final("j", "completed", (1, "completed"))
    t.over()


@good("tokens")
def seen_with_a_token_and_a_feed_that_is_empty(t: Tale) -> None:
    t.get("a", "j", "running", token=3)
    t.run("w", "i", 4)
    t.over(0)


@bad("tokens")
def seen_with_the_token_of_another(t: Tale) -> None:
    t.start("w", "i", 3)
    t.get("a", "j", "running", token=3)


# ---- slots


def every_second(t: Tale, max_runs: int = 0) -> None:
    timing = {"period_ms": 1_000}
    t.event("schedule_put", spec={"schedule_id": "s", "timing": timing, "max_runs": max_runs})


@good("slots")
def slots_in_turn(t: Tale) -> None:
    every_second(t)
    t.announce(0, 1_000)
    t.slot("slot_fired", 1_000, "j1")
    t.announce(1_000, 2_000)
    t.slot("slot_fired", 4_000, "j4", missed=2)
    t.slot("slot_skipped", 5_000, skipped="overlap")
    t.slot("slot_fired", 5_500, "jt", trigger=1)
    t.announce(5_000, 6_000)
    t.event("schedule_paused", schedule_id="s")
    t.event("schedule_resumed", at_ms=9_500, schedule_id="s")
    t.announce(9_500, 10_000)
    t.slot("slot_buffered", 10_000)
    t.announce(10_000, 11_000)
    t.event(
        "slot_fired", "j10", 10_700, schedule_id="s", buffered=True, slot={"slot_ms": 10_000, "trigger": 0}
    )
    t.over(0)


@bad("slots")
def fired_twice(t: Tale) -> None:
    t.announce(0, 1_000)
    t.slot("slot_fired", 1_000, "j1")
    t.slot("slot_fired", 1_000, "j2")
    t.over(0)


@bad("slots")
def two_runs_seen_by_workers(t: Tale) -> None:
    t.start("w", "j", 1, schedule="s", slot_ms=1_000)
    t.start("v", "i", 2, schedule="s", slot_ms=1_000)


@bad("slots")
def left_out(t: Tale) -> None:
    every_second(t)
    t.announce(0, 1_000)
    t.slot("slot_fired", 2_000, "j2")
    t.over(0)


@bad("slots")
def passed_over(t: Tale) -> None:
    every_second(t)
    t.announce(0, 1_000)
    t.announce(1_000, 2_000)
    t.over(0)


@bad("slots")
def never_decided(t: Tale) -> None:
    t.announce(0, 1_000)
    t.event("job_enqueued", "x", 120_000)
    t.over(0)


@bad("slots")
def too_few_are_stood_for(t: Tale) -> None:
    every_second(t)
    t.announce(0, 1_000)
    t.slot("slot_fired", 4_000, "j4", missed=1)
    t.over(0)


@bad("slots")
def skipped_for_nothing(t: Tale) -> None:
    t.slot("slot_skipped", 1_000)
    t.over(0)


@bad("slots")
def fired_while_paused(t: Tale) -> None:
    t.event("schedule_paused", schedule_id="s")
    t.slot("slot_fired", 1_000, "j1")
    t.over(0)


@good("slots")
def a_run_that_the_events_tell(t: Tale) -> None:
    t.slot("slot_fired", 1_000, "j")
    t.start("w", "j", 1, schedule="s", slot_ms=1_000)
    t.over(0)


@undecided("slots")
def runs_before_the_first_event(t: Tale) -> None:
    t.start("w", "j", 1, schedule="s", slot_ms=1_000)
    t.slot("slot_fired", 2_000, "i")
    t.start("w", "i", 2, schedule="s", slot_ms=2_000)
    t.over(0)


@undecided("slots")
def runs_and_a_feed_that_is_empty(t: Tale) -> None:
    t.start("w", "j", 1, schedule="s", slot_ms=1_000)
    t.over(0)


@bad("slots")
def fired_twice_after_runs_that_the_events_do_not_tell(t: Tale) -> None:
    t.start("w", "j", 1, schedule="s", slot_ms=500)
    fired_twice(t)


@undecided("slots")
def runs_without_events(t: Tale) -> None:
    t.start("w", "j", 1, schedule="s", slot_ms=1_000)


# ---- limits


def limited(t: Tale, **options: object) -> None:
    t.event("queue_configured", name="q", options=options)


def assigned(t: Tale, token: int, elapsed_ms: int = -1, at_ms: int = 0, key: str = "") -> None:
    t.event("job_enqueued", f"j{token}", spec={"queue": "q", "key": key})
    t.event("job_assigned", f"j{token}", at_ms, elapsed_ms, token=token, worker_id="w")


RATE = {"count": 2, "window_ms": 1_000}


@good("limits")
def within_the_rate(t: Tale) -> None:
    limited(t, rate=RATE)
    for token, elapsed_ms in ((1, 0), (2, 1), (3, 1_000), (4, 1_001), (5, 2_000)):
        assigned(t, token, elapsed_ms)
    t.over(0)


@bad("limits")
def one_too_many_in_the_window(t: Tale) -> None:
    limited(t, rate=RATE)
    for token, elapsed_ms in ((1, 0), (2, 1), (3, 999)):
        assigned(t, token, elapsed_ms)
    t.over(0)


@bad("limits")
def one_too_many_of_a_key(t: Tale) -> None:
    limited(t, key_rate=RATE)
    for token in (1, 2, 3):
        assigned(t, token, token, key="k")
    t.over(0)


@good("limits")
def keys_have_windows_of_their_own(t: Tale) -> None:
    limited(t, key_rate=RATE, key_concurrency=1)
    for token in (1, 2, 3):
        assigned(t, token, token, key=f"k{token}")
    t.over(0)


@bad("limits")
def one_too_many_at_a_time(t: Tale) -> None:
    limited(t, concurrency=1)
    assigned(t, 1)
    assigned(t, 2)
    t.over(0)


@good("limits")
def one_after_another(t: Tale) -> None:
    limited(t, concurrency=1)
    assigned(t, 1)
    t.event("attempt_ended", "j1", token=1, reported=False)
    t.event("slot_freed", token=1)
    assigned(t, 2)
    t.event("session_ended", worker_id="w")
    assigned(t, 3)
    t.over(0)


@bad("limits")
def assigned_while_paused(t: Tale) -> None:
    limited(t, paused=True)
    assigned(t, 1)
    t.over(0)


@bad("limits")
def a_burst_by_the_wall_clock(t: Tale) -> None:
    limited(t, rate=RATE)
    for token in (1, 2, 3):
        assigned(t, token, at_ms=100 * token)
    t.over(0)


@undecided("limits")
def the_wall_clock_may_have_been_off(t: Tale) -> None:
    limited(t, rate=RATE)
    for token in (1, 2, 3):
        assigned(t, token, at_ms=400 * token)
    t.over(0)


@good("limits")
def elapsed_time_counts_and_not_the_wall_clock(t: Tale) -> None:
    """The wall clock stood still, because it had been ahead."""
    limited(t, rate=RATE)
    for token, elapsed_ms in ((1, 0), (2, 1), (3, 1_000)):
        assigned(t, token, elapsed_ms, at_ms=100)
    t.over(0)


@bad("limits")
def one_too_many_while_the_wall_clock_ran_fast(t: Tale) -> None:
    limited(t, rate=RATE)
    for token, elapsed_ms in ((1, 0), (2, 1), (3, 999)):
        assigned(t, token, elapsed_ms, at_ms=2 * elapsed_ms)
    t.over(0)


@bad("limits")
def one_too_many_between_events_that_tell_their_time(t: Tale) -> None:
    """What happened in between was kept by a node of an earlier version: that it was in between suffices."""
    limited(t, rate=RATE)
    assigned(t, 1, 0, at_ms=0)
    assigned(t, 2, at_ms=900)
    assigned(t, 3, 999, at_ms=1_800)
    t.over(0)


@good("limits")
def the_window_moves_on_from_a_node_of_an_earlier_version(t: Tale) -> None:
    limited(t, rate=RATE)
    assigned(t, 1, at_ms=0)
    assigned(t, 2, at_ms=1)
    assigned(t, 3, 5_000, at_ms=1_000)
    assigned(t, 4, 5_001, at_ms=1_001)
    assigned(t, 5, 6_000, at_ms=1_002)
    t.over(0)


@undecided("limits")
def the_first_of_the_window_does_not_tell_its_time(t: Tale) -> None:
    limited(t, rate=RATE)
    assigned(t, 1, at_ms=0)
    assigned(t, 2, 5_000, at_ms=500)
    assigned(t, 3, 5_400, at_ms=999)
    t.over(0)


@undecided("limits")
def the_last_of_the_window_does_not_tell_its_time(t: Tale) -> None:
    limited(t, rate=RATE)
    assigned(t, 1, 0, at_ms=0)
    assigned(t, 2, 1, at_ms=1)
    assigned(t, 3, at_ms=999)
    t.over(0)


@bad("limits")
def a_later_window_is_judged_after_one_that_was_not_decided(t: Tale) -> None:
    limited(t, rate=RATE)
    assigned(t, 1, at_ms=0)
    assigned(t, 2, at_ms=1)
    assigned(t, 3, 2_000, at_ms=999)
    assigned(t, 4, 2_001, at_ms=2_002)
    assigned(t, 5, 2_999, at_ms=4_000)
    t.over(0)


@undecided("limits")
def nobody_read_the_events(t: Tale) -> None:
    t.start("w", "j", 1)


@undecided("limits")
def an_execution_and_a_feed_that_is_empty(t: Tale) -> None:
    t.run("w", "j1", 1)
    t.over(0)


@undecided("limits")
def a_feed_that_begins_behind_the_first_execution(t: Tale) -> None:
    t.run("w", "j1", 1)
    limited(t, rate=RATE)
    assigned(t, 2, 0)
    t.run("w", "j2", 2)
    t.over(0)


@undecided("limits")
def attempts_of_a_clients_job_and_a_feed_that_is_empty(t: Tale) -> None:
    t.enqueue("a", "j")
    t.final("j", "completed", (1, "completed"))
    t.over(0)


@good("limits")
def attempts_before_the_recording(t: Tale) -> None:
    t.enqueue("a", "j", Placed(id="i", created=False), unique_key="k")
    t.final("i", "completed", (1, "completed"))
    limited(t, rate=RATE)
    assigned(t, 2, 0)
    t.run("w", "j2", 2)
    t.over(0)


@bad("limits")
def one_too_many_in_a_feed_that_begins_late(t: Tale) -> None:
    t.run("w", "j", 99)
    one_too_many_in_the_window(t)


def _cases(table: dict[str, list[Teller]]) -> list[object]:
    return [
        pytest.param(name, tell, id=getattr(tell, "__name__", name))
        for name, tells in table.items()
        for tell in tells
    ]


@pytest.mark.parametrize(("name", "tell"), _cases(GOOD))
def test_what_a_correct_cluster_may_do_is_no_violation(name: str, tell: Teller) -> None:
    verdict = verdict_of(tell, name)
    assert verdict.word is Word.OK, verdict
    assert verdict.looked_at


@pytest.mark.parametrize(("name", "tell"), _cases(BAD))
def test_what_a_correct_cluster_never_does_is_seen(name: str, tell: Teller) -> None:
    verdict = verdict_of(tell, name)
    assert verdict.word is Word.VIOLATION, verdict
    assert all(violation.lines for violation in verdict.violations)


@pytest.mark.parametrize(("name", "tell"), _cases(OPEN))
def test_what_cannot_be_known_is_said(name: str, tell: Teller) -> None:
    verdict = verdict_of(tell, name)
    assert verdict.word is Word.UNDECIDED, verdict
    assert verdict.undecided


def test_the_lines_of_an_exceeded_rate_say_when_by_the_time_that_counts() -> None:
    (violation,) = verdict_of(one_too_many_in_the_window, "limits").violations
    assert violation.what.endswith("as number 3 of 2 within 999 ms of 1000")
    assert ["at 0 ms" in violation.lines[1], "at 999 ms" in violation.lines[3]] == [True, True]
    assert " at " not in violation.lines[0], "the configuration does not tell its time here"


def test_every_check_has_its_table() -> None:
    names = {verdict.check for verdict in Tale().report().verdicts}
    assert set(GOOD) == set(BAD) == names
