"""Rows and lines of ready jobs: what is taken next, and what jobs that leave from the middle cost."""

import random
from collections.abc import Iterator

import pytest

from orchestrix_raft.domain.job import Job, JobState
from orchestrix_raft.machine.rows import Line, ReadyItem, Rows
from tests.scenarios.driver import job as spec


class Looked(dict[bytes, Job]):
    """Jobs by id that count how often they are looked at."""

    looks = 0

    def get(self, key: bytes, default: object = None) -> Job | None:  # type: ignore[override]
        self.looks += 1
        return super().get(key)


def made(jobs: dict[bytes, Job], seq: int, priority: int = 0) -> ReadyItem:
    one = spec(f"{seq}", priority=priority)
    jobs[one.job_id] = Job(one, JobState.PENDING, 0, seq)
    return -priority, seq, one.job_id


class AsRows:
    """Rows, used like a line."""

    def __init__(self) -> None:
        self.rows, self.count = Rows(), 0

    def join(self, item: ReadyItem) -> None:
        self.rows.join(*item)
        self.count += 1

    def first(self, jobs: dict[bytes, Job]) -> ReadyItem | None:
        return self.rows.first()

    def take(self) -> None:
        """It leaves next."""

    def leave(self, item: ReadyItem, jobs: dict[bytes, Job]) -> None:
        self.count -= 1
        self.rows.leave(item[0], item[1])
        with pytest.raises(KeyError):
            self.rows.leave(item[0], item[1])  # it has left
        assert self.rows.length == self.count

    def __len__(self) -> int:
        return self.rows.length

    def __iter__(self) -> Iterator[ReadyItem]:
        return iter(self.rows)


class AsLine(Line):
    """A line, which need not be told who leaves."""

    def __init__(self) -> None:
        super().__init__("k")

    def leave(self, item: ReadyItem, jobs: dict[bytes, Job]) -> None:  # type: ignore[override]
        super().leave(jobs)


@pytest.mark.parametrize("kind", [AsRows, AsLine])
@pytest.mark.parametrize("seed", range(20))
def test_the_best_ready_job_is_first_whatever_has_left(kind: type[AsRows], seed: int) -> None:
    """Joined, left from the middle and taken at random; compared with a sorted list."""
    rng = random.Random(seed)
    jobs = dict[bytes, Job]()
    kept, held = kind(), list[ReadyItem]()
    for seq in range(1, 3_000):
        deed = rng.random()
        if deed < (0.7 if seq % 1_000 < 400 else 0.2):
            item = made(jobs, seq, rng.choice((0, 0, 1, 5)))
            kept.join(item)
            held.append(item)
        elif held and deed < 0.9:
            item = held.pop(rng.randrange(len(held)))
            del jobs[item[2]]
            kept.leave(item, jobs)
        elif held:
            held.remove(best := min(held))
            assert kept.first(jobs) == best
            kept.take()
            del jobs[best[2]]
            kept.leave(best, jobs)
        assert kept.first(jobs) == min(held, default=None)
        assert len(kept) == len(list(kept)) <= 3 * len(held) + 80
        assert set(held) <= set(kept)


@pytest.mark.parametrize(("kind", "most"), [(AsRows, 0), (AsLine, 10)])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_job_that_leaves_a_long_line_looks_at_a_few_items(
    kind: type[AsRows], most: int, backwards: bool
) -> None:
    """Or at none."""
    jobs, kept = Looked(), kind()
    items = [made(jobs, seq) for seq in range(1, 20_000)]
    for item in items:
        kept.join(item)
    for item in reversed(items) if backwards else items:
        del jobs[item[2]]
        before = jobs.looks
        kept.leave(item, jobs)
        assert jobs.looks - before <= most
    assert len(kept) <= 100
    assert kept.first(jobs) is None


@pytest.mark.parametrize("kind", [AsRows, AsLine])
@pytest.mark.parametrize("stale", [0, 11_000])
def test_what_the_longest_waiting_jobs_leave_behind_is_not_walked_by_the_next_assignment(
    kind: type[AsRows], stale: int
) -> None:
    """Also while what newer ones left is still to be looked at."""
    jobs, kept = Looked(), kind()
    items = [made(jobs, seq) for seq in range(1, 20_000)]
    for item in items:
        kept.join(item)
    for item in [*items[len(items) - stale :], *items[:4_000]]:
        del jobs[item[2]]
        kept.leave(item, jobs)
    before = jobs.looks
    assert kept.first(jobs) == items[4_000]
    assert jobs.looks - before <= (0 if kind is AsRows else 10)


@pytest.mark.parametrize("left", [1, 700])
def test_a_row_is_made_of_small_parts_and_those_without_jobs_are_gone(left: int) -> None:
    """Between the first job and the later half none is left, or one in 700."""
    jobs, kept = Looked(), AsRows()
    items = [made(jobs, seq) for seq in range(40_000)]
    for item in items:
        kept.join(item)
    for item in items[1:20_000]:
        if left == 1 or item[1] % left:
            kept.leave(item, jobs)
    sizes = [len(block.items) for block in kept.rows._rows[0]]
    assert sum(sizes) == len(kept) == kept.count
    assert 0 < min(sizes) <= max(sizes) <= 512
    assert len(sizes) <= 2 + 20_000 // 512 + 20_000 // left * (left > 1)
    kept.leave(items[0], jobs)
    assert kept.first(jobs) == (items[20_000] if left == 1 else items[700])


def test_priorities_that_nobody_has_any_more_are_not_walked() -> None:
    jobs, kept = Looked(), AsRows()
    items = [made(jobs, seq, priority=30_000 - seq) for seq in range(20_000)]
    for item in items:
        kept.join(item)
    for item in items[1:-1]:
        kept.leave(item, jobs)
    assert len(kept.rows._best) == 2
    kept.leave(items[0], jobs)
    assert kept.first(jobs) == items[-1]


@pytest.mark.parametrize("kind", [AsRows, AsLine])
def test_a_job_that_is_ready_again_stands_at_its_new_place_only(kind: type[AsRows]) -> None:
    jobs, kept = dict[bytes, Job](), kind()
    items = [made(jobs, seq) for seq in (1, 2, 3)]
    for item in items:
        kept.join(item)
    again = (0, 9, items[1][2])
    jobs[again[2]].state = JobState.CANCELLED
    kept.leave(items[1], jobs)
    jobs[again[2]].state, jobs[again[2]].seq = JobState.PENDING, 9
    kept.join(again)
    for item in (items[0], items[2], again):
        assert kept.first(jobs) == item
        kept.take()
        del jobs[item[2]]
        kept.leave(item, jobs)
    assert kept.first(jobs) is None
