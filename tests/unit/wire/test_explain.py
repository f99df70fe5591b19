"""The lines that say why a job is not running, in the singular and the plural."""

import pytest

from orchestrix_raft.wire.explain import text_of

ONE = {"limit": 1, "window_ms": 1_000, "running": 1, "workers": 1, "slots": 1, "stuck": 0, "pending": 1}
OF = {"queue": "q", "key": "k", "labels": "eu"}


@pytest.mark.parametrize(
    ("code", "one", "several"),
    [
        (
            "backing_off",
            "failed 1 time (its policy allows 1 retry)",
            "failed 2 times (its policy allows 2 retries)",
        ),
        ("queue_rate_limited", "has had 1 start within 1s", "has had 2 starts within 1s"),
        ("key_rate_limited", "has had 1 start within 1s", "has had 2 starts within 1s"),
        ("queue_full", "runs 1 job, and may run 1", "runs 2 jobs, and may run 2"),
        ("key_full", "runs 1 job, and may run 1", "runs 2 jobs, and may run 2"),
        ("no_worker_with_labels", "none of 1 worker of its queue 'q'", "none of 2 workers of its queue 'q'"),
        ("workers_away", "the 1 worker that could take it lost", "the 2 workers that could take it lost"),
        ("workers_draining", "takes nothing new: 1 worker", "takes nothing new: 2 workers"),
        (
            "workers_full",
            "1 worker could take it, with no free slot among 1 (0",
            "2 workers could take it, with no",
        ),
        ("workers_full", "of its queue 1 job can begin", "of its queue 2 jobs can begin"),
    ],
)
def test_one_is_not_told_as_many(code: str, one: str, several: str) -> None:
    facts: dict[str, int | str] = {**OF, **ONE, "failures": 1, "max_retries": 1, "error": "busy"}
    assert one in text_of(code, facts)
    two = {name: 2 if value == 1 else value for name, value in facts.items()}
    assert several in text_of(code, two)
