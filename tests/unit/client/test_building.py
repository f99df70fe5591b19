"""What callers say becomes messages, or `InvalidArgument` in one line."""

import math
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from orchestrix_raft import InvalidArgument, RetryPolicy
from orchestrix_raft.client import building
from orchestrix_raft.client.building import Options
from orchestrix_raft.client.model import at
from orchestrix_raft.domain import limits
from orchestrix_raft.wire.arguments import moment_ms

PLAIN = Options("default", 0, None, None, None, None, None, None, None, None)


def job(args: dict[str, Any] | None = None, job_type: str = "t", **changes: Any) -> Any:
    return building.new_job(job_type, args, PLAIN._replace(**changes))[0]


def test_seconds_become_milliseconds() -> None:
    made = job(delay=1.5, timeout=timedelta(minutes=1))
    assert (made.delay_ms, made.timeout_ms) == (1_500, 60_000)


def test_a_tiny_delay_is_not_no_delay() -> None:
    assert job(delay=0.0001).delay_ms == 1
    assert job(delay=0).delay_ms == 0


def test_times_with_and_without_zone() -> None:
    moment = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert at(job(run_at=moment).run_at_ms) == moment
    local = datetime(2030, 1, 1, 12)
    assert moment_ms("a", local) == moment_ms("b", local.astimezone(UTC))


def test_a_retry_policy_leaves_out_what_it_does_not_say() -> None:
    message = job(retry=RetryPolicy(max_retries=0, delay=0.5, multiplier=1.5)).retry
    assert {f.name: v for f, v in message.ListFields()} == {
        "max_retries": 0,
        "delay_ms": 500,
        "multiplier_permille": 1_500,
    }


def test_arguments_are_json() -> None:
    assert job({"a": [1, None, "ä"], "at": datetime(2030, 1, 1, tzinfo=UTC)}).args == (
        '{"a":[1,null,"ä"],"at":"2030-01-01T00:00:00Z"}'.encode()
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"delay": -1}, "delay is -1"),
        ({"delay": float("nan")}, "delay is nan"),
        ({"delay": float("inf")}, "delay is inf: it must be at most 366 days"),
        ({"timeout": 10**9}, "at most 366 days"),
        ({"retry": RetryPolicy(max_retries=-1)}, "max_retries is -1"),
        ({"job_id": "x"}, "not a UUID"),
        ({"job_type": 5}, "type is 5: it must be text"),
        ({"priority": 1 << 40}, "priority is 1099511627776: it must be 1,000,000 or less"),
        ({"priority": "high"}, "priority is 'high': it must be a whole number"),
        ({"labels": 5}, "labels is 5: it must be a list of names"),
        ({"args": {"a": object()}}, "cannot be written as JSON"),
        ({"args": {"a": {1, 2}, "x": object()}}, "cannot be written as JSON"),
        ({"args": {1: 2}}, "args has the key 1: keys must be text"),
        ({"args": [1]}, "must be a mapping"),
        ({"args": {"n": math.nan}}, r"args cannot be written as JSON: nan at \['n'\] is no JSON number"),
        ({"args": MappingProxyType({"n": [1, -math.inf]})}, r"-inf at \['n'\]\[1\]"),
        ({"args": {"n": "x" * limits.PAYLOAD_BYTES}}, "at most 1048576"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        job(**changes)


def test_batches_keep_to_jobs_and_bytes() -> None:
    small = [len(chunk.ids) for chunk in building.chunks((("t", None) for _ in range(2_500)), PLAIN)]
    assert small == [1_000, 1_000, 500]
    large = list(building.chunks((("t", {"a": "x" * 900_000}) for _ in range(9)), PLAIN))
    assert [len(chunk.ids) for chunk in large] == [4, 4, 1]
    assert all(chunk.request.ByteSize() <= 4 << 20 for chunk in large)


def test_arguments_that_cannot_be_sent_do_not_keep_the_other_jobs_back() -> None:
    wrong = ({"x": float("nan")}, {"x": "x" * (2 << 20)}, [1])
    jobs: list[tuple[str, Any]] = [("t", {"n": 1}), *(("t", args) for args in wrong), ("t", {"n": 2})]
    (chunk,) = building.chunks(jobs, PLAIN)
    assert [job.args for job in chunk.request.jobs] == [b'{"n":1}', b'{"n":2}']
    assert (len(chunk.ids), chunk.total) == (2, 5)
    reasons = ["ARGS_NOT_JSON", "ARGS_TOO_LARGE", "ARGS_NOT_AN_OBJECT"]
    assert [refusal.reason for refusal in chunk.refused] == reasons
    with pytest.raises(InvalidArgument, match="priority"):
        list(building.chunks(jobs, PLAIN._replace(priority=1 << 40)))


def test_the_estimated_size_is_never_below_the_real_one() -> None:
    for changes in (
        {},
        {
            "args": {"a": "x" * 200},
            "job_type": "ü" * 200,
            "queue": "q" * 100,
            "delay": 10**7,
            "timeout": 10**7,
        },
        {"unique_key": "k" * 256, "labels": ["l" * 100] * 16, "run_at": datetime(9999, 1, 1, tzinfo=UTC)},
        {"retry": RetryPolicy(max_retries=1_000, delay=10**7, multiplier=100, max_delay=10**7, jitter=1)},
        {"priority": -1_000_000},
    ):
        args = {"args": None, "job_type": "t"} | changes
        job_type, payload = args.pop("job_type"), args.pop("args")
        made, size = building.new_job(job_type, payload, PLAIN._replace(**args))  # type: ignore[arg-type]
        assert size >= made.ByteSize() + 4


def test_states_are_words() -> None:
    assert building.states(None) == []
    assert building.states("dead") == ["JOB_STATE_DEAD"]
    assert building.states(["dead", "running"]) == ["JOB_STATE_DEAD", "JOB_STATE_RUNNING"]
    with pytest.raises(InvalidArgument, match=r"'lost'.*scheduled"):
        building.states("lost")
