"""The retention duty: nothing while nothing is due, bounded commands when something is."""

from orchestrix_raft.domain.keeping import Kept
from orchestrix_raft.duties.retention import SLACK_MS, Keep, overdue_audit, overdue_records
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.commands import Forget, ForgetAudit, NoteAudit
from tests.scenarios.driver import Driver

KEEP = Keep(finished_ms=10_000, finished=20, dead_ms=50_000, dead=10)


def finished(driver: Driver, count: int) -> None:
    if not driver.machine.state.sessions:
        driver.attach("w")
    before = driver.machine.state.totals[5]
    for number in range(before, before + count):
        driver.enqueue(f"j{number}")
        driver.complete(f"j{number}")


def test_an_idle_cluster_has_nothing_to_do() -> None:
    driver = Driver()
    assert overdue_records(driver.machine.state, driver.wall_ms + 10**12, KEEP, 500) == []
    finished(driver, 3)
    assert overdue_records(driver.machine.state, driver.wall_ms, KEEP, 500) == []


def test_what_is_over_time_goes_together_a_little_later() -> None:
    driver = Driver()
    finished(driver, 3)
    due_ms = driver.wall_ms + KEEP.finished_ms + SLACK_MS
    assert overdue_records(driver.machine.state, due_ms, KEEP, 500) == []
    due_ms += 1
    assert overdue_records(driver.machine.state, due_ms, KEEP, 500) == [
        Forget(Kept.FINISHED, due_ms - KEEP.finished_ms + 1, KEEP.finished, 500)
    ]


def test_once_it_has_been_done_there_is_nothing_more_to_do() -> None:
    driver = Driver()
    finished(driver, 3)
    driver.tick(KEEP.finished_ms + SLACK_MS + 1)
    driver.apply(codec.unnumbered(*overdue_records(driver.machine.state, driver.wall_ms, KEEP, 500)))
    assert driver.machine.state.counts[5] == 0
    assert overdue_records(driver.machine.state, driver.wall_ms, KEEP, 500) == []


def test_beyond_the_number_room_is_made_for_some_more() -> None:
    driver = Driver()
    finished(driver, 20)
    assert overdue_records(driver.machine.state, driver.wall_ms, KEEP, 500) == []
    finished(driver, 1)
    (command,) = overdue_records(driver.machine.state, driver.wall_ms, KEEP, 500)
    driver.apply(codec.unnumbered(command))
    assert driver.machine.state.counts[5] == 18
    assert driver.machine.state.counts[0] == 3


def test_the_number_may_be_none_at_all() -> None:
    driver = Driver()
    finished(driver, 2)
    (command,) = overdue_records(driver.machine.state, driver.wall_ms, Keep(finished=0), 500)
    driver.apply(codec.unnumbered(command))
    assert driver.machine.state.counts[5] == 0


def test_each_kind_has_a_command_of_its_own() -> None:
    driver = Driver()
    finished(driver, 2)
    driver.purge("j0")
    driver.enqueue("d")
    driver.fail("d", final=True)
    later_ms = driver.wall_ms + 25 * 3_600_000
    commands = overdue_records(driver.machine.state, later_ms, KEEP, 7)
    assert [(command.what, command.limit) for command in commands] == [
        (Kept.FINISHED, 7),
        (Kept.DEAD, 7),
        (Kept.IDS, 7),
    ]


def test_the_audit_trail_is_kept_in_bounds() -> None:
    driver = Driver()
    keep = Keep(audit_ms=10_000, audit=20)
    assert overdue_audit(driver.machine.state, driver.wall_ms + 10**12, keep, 500) == []
    for _ in range(3):
        driver.do(NoteAudit("a", "b", "c", "d"))
    due_ms = driver.wall_ms + keep.audit_ms + SLACK_MS
    assert overdue_audit(driver.machine.state, due_ms, keep, 500) == []
    assert overdue_audit(driver.machine.state, due_ms + 1, keep, 500) == [
        ForgetAudit(due_ms + 1 - keep.audit_ms + 1, 20, 500)
    ]
    for _ in range(17):
        driver.do(NoteAudit("a", "b", "c", "d"))
    assert overdue_audit(driver.machine.state, driver.wall_ms, keep, 500) == []
    driver.do(NoteAudit("a", "b", "c", "d"))
    (command,) = overdue_audit(driver.machine.state, driver.wall_ms, keep, 500)
    assert command.keep == 18, "a little more than must go, so that not every change costs a command"
    driver.apply(codec.unnumbered(command))
    assert overdue_audit(driver.machine.state, driver.wall_ms, keep, 500) == []
