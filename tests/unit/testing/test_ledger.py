"""The ledger of effects: one line an effect, none lost between threads, none half read."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from orchestrix_raft.testing.ledger import Ledger, LedgerLine, longest_pause, per_job


class Context(NamedTuple):
    job_id: str
    attempt: int
    fencing_token: int


def test_what_is_written_is_read_back_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.start(Context("a", 1, 7))
    ledger.end(Context("a", 1, 7))
    assert [line[:4] for line in ledger.lines()] == [("start", "a", 1, 7), ("end", "a", 1, 7)]


def test_no_line_is_lost_or_torn_between_threads(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: Ledger(path).start(Context(f"job-{n}", 1, n)), range(400)))
    assert per_job(Ledger(path).lines(), "start") == {f"job-{n}": 1 for n in range(400)}


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.start(Context("a", 1, 7))
    with ledger.path.open("a") as file:
        file.write("end a 1")
    assert len(ledger.lines()) == 1
    assert ledger.count("end") == 0


def test_counting_goes_on_where_it_left_off(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    assert ledger.count("start") == 0
    ledger.start(Context("a", 1, 7))
    assert ledger.count("start") == 1
    ledger.start(Context("b", 1, 8))
    ledger.end(Context("b", 1, 8))
    assert (ledger.count("start"), ledger.count("end")) == (2, 1)


def test_counting_in_several_threads_neither_skips_nor_doubles_a_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")

    def write_and_count(number: int) -> int:
        ledger.start(Context(f"job-{number}", 1, number))
        return ledger.count("start")

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(write_and_count, range(2_000)))
    assert max(counts) == ledger.count("start") == 2_000


def starts(*times: float) -> list[LedgerLine]:
    return [LedgerLine("start", "a", 1, 1, at_s) for at_s in times]


def test_the_longest_pause_after_a_kill_is_found() -> None:
    assert longest_pause(starts(9.0, 10.1, 10.2, 11.7, 11.8, 30.0), 10.0, 10.0) == (10.2, 11.7)


def test_a_pause_that_begins_with_the_kill_counts() -> None:
    assert longest_pause(starts(9.9, 11.0, 11.1), 10.0, 10.0) == (10.0, 11.0)


def test_no_start_at_all_is_an_error_not_a_pause() -> None:
    with pytest.raises(ValueError, match="no handler started"):
        longest_pause(starts(9.0), 10.0, 5.0)
