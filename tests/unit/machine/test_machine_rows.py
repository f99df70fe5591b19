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
        return self.rows.first(jobs)

    def take(self) -> None:
        head = next(iter(self.rows))
        self.rows.take(head[0])

    def leave(self, jobs: dict[bytes, Job]) -> None:
        self.count -= 1
        self.rows.lost(0, self.count, jobs)

    def __len__(self) -> int:
        return self.rows.length

    def __iter__(self) -> Iterator[ReadyItem]:
        return iter(self.rows)


@pytest.mark.parametrize("kind", [AsRows, lambda: Line("k")])
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
            kept.leave(jobs)
        elif held:
            held.remove(best := min(held))
            assert kept.first(jobs) == best
            kept.take()
            del jobs[best[2]]
            kept.leave(jobs)
        assert kept.first(jobs) == min(held, default=None)
        assert len(kept) == len(list(kept)) <= 3 * len(held) + 80
        assert set(held) <= set(kept)


@pytest.mark.parametrize("kind", [AsRows, lambda: Line("k")])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_job_that_leaves_a_long_line_looks_at_a_few_items(kind: type[AsRows], backwards: bool) -> None:
    jobs, kept = Looked(), kind()
    items = [made(jobs, seq) for seq in range(1, 20_000)]
    for item in items:
        kept.join(item)
    for item in reversed(items) if backwards else items:
        del jobs[item[2]]
        before = jobs.looks
        kept.leave(jobs)
        assert jobs.looks - before <= 10
    assert len(kept) <= 100
    assert kept.first(jobs) is None


@pytest.mark.parametrize("kind", [AsRows, lambda: Line("k")])
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
        kept.leave(jobs)
    before = jobs.looks
    assert kept.first(jobs) == items[4_000]
    assert jobs.looks - before <= 10
