"""Limits under which nothing begins that either of two others forbids."""

import pytest

from orchestrix_raft.domain.queue import QueueOptions, RateLimitOptions, strictest_for_keys

ONE = RateLimitOptions(3, 100)
OTHER = RateLimitOptions(5, 200)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (QueueOptions(), QueueOptions(), QueueOptions()),
        (QueueOptions(key_rate=ONE), QueueOptions(), QueueOptions(key_rate=ONE)),
        (QueueOptions(), QueueOptions(key_rate=ONE), QueueOptions(key_rate=ONE)),
        (
            QueueOptions(key_rate=ONE),
            QueueOptions(key_rate=OTHER),
            QueueOptions(key_rate=RateLimitOptions(3, 200)),
        ),
        (
            QueueOptions(key_concurrency=4),
            QueueOptions(key_concurrency=2),
            QueueOptions(key_concurrency=2),
        ),
        (QueueOptions(key_concurrency=4, paused=True), QueueOptions(), QueueOptions(key_concurrency=4)),
    ],
)
def test_what_either_forbids_is_forbidden(one: QueueOptions, other: QueueOptions, both: QueueOptions) -> None:
    assert strictest_for_keys(one, other) == both
    assert strictest_for_keys(other, one) == both
