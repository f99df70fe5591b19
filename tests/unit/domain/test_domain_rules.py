"""Rules of the nouns: life cycle, back-off, validation, ids."""

import msgspec
import pytest

from orchestrix_raft.domain import limits
from orchestrix_raft.domain.ids import format_job_id, parse_job_id
from orchestrix_raft.domain.job import ASSIGNED, LIFE_CYCLE, TERMINAL, JobSpec, JobState, fault_in_spec
from orchestrix_raft.domain.node import OVER, Health, fault_in_node
from orchestrix_raft.domain.retry import (
    DEFAULT_RETRY,
    FAST_RETRY,
    PATIENT_RETRY,
    RetryPolicy,
    backoff_ms,
    fault_in_policy,
)
from orchestrix_raft.domain.worker import Session, fault_in_worker, worker_id

GOOD = JobSpec(bytes(16), "type", "queue", b"{}")


def test_the_life_cycle_names_every_state() -> None:
    assert LIFE_CYCLE.keys() == set(JobState)
    assert all(moves <= set(JobState) for moves in LIFE_CYCLE.values())


def test_only_a_retry_by_hand_leads_out_of_a_terminal_state() -> None:
    assert {state: LIFE_CYCLE[state] for state in TERMINAL} == {
        JobState.COMPLETED: frozenset(),
        JobState.CANCELLED: {JobState.PENDING},
        JobState.DEAD: {JobState.PENDING},
    }
    assert not TERMINAL & ASSIGNED


def test_words_are_lower_case() -> None:
    assert JobState.COMPLETED.word == "completed"
    assert Health.SUSPECT.word == "suspect"
    assert {health.word for health in OVER} == {"dead", "stopped"}


def test_back_off_doubles_up_to_its_cap() -> None:
    policy = RetryPolicy(delay_ms=10_000, max_delay_ms=60_000, jitter_percent=0)
    assert [backoff_ms(policy, bytes(16), n) for n in range(1, 6)] == [10_000, 20_000, 40_000, 60_000, 60_000]


def test_back_off_at_the_extremes_of_its_policy_ends() -> None:
    widest = RetryPolicy(
        limits.RETRIES_MAX, limits.DURATION_MS, limits.MULTIPLIER_PERMILLE_MAX, limits.DURATION_MS, 100
    )
    assert 0 <= backoff_ms(widest, b"x" * 16, limits.RETRIES_MAX) <= 2 * limits.DURATION_MS
    assert backoff_ms(RetryPolicy(delay_ms=0), bytes(16), 3) == 0


def test_the_fast_preset_waits_seconds_and_the_patient_one_weeks() -> None:
    fast = msgspec.structs.replace(FAST_RETRY, jitter_percent=0)
    assert [backoff_ms(fast, bytes(16), n) for n in range(1, 6)] == [1_000, 2_000, 4_000, 8_000, 16_000]
    assert backoff_ms(fast, bytes(16), 9) == 60_000
    patient = msgspec.structs.replace(PATIENT_RETRY, jitter_percent=0)
    assert [backoff_ms(patient, bytes(16), n) // 1_000 for n in (1, 2, 3, 25)] == [16, 31, 96, 390_640]
    assert (FAST_RETRY.max_retries, PATIENT_RETRY.max_retries) == (5, 25)
    assert not fault_in_policy(FAST_RETRY)
    assert not fault_in_policy(PATIENT_RETRY)


def test_a_patient_policy_never_waits_longer_than_a_year() -> None:
    endless = msgspec.structs.replace(PATIENT_RETRY, max_retries=limits.RETRIES_MAX, jitter_percent=0)
    assert backoff_ms(endless, bytes(16), limits.RETRIES_MAX) == limits.DURATION_MS


def test_jitter_stays_within_its_share_and_differs_between_jobs() -> None:
    waits = {backoff_ms(DEFAULT_RETRY, n.to_bytes(16, "big"), 1) for n in range(200)}
    assert all(8_000 <= wait <= 12_000 for wait in waits)
    assert len(waits) > 100


def test_jitter_is_a_function_of_job_and_failure_and_the_same_in_every_release() -> None:
    assert backoff_ms(DEFAULT_RETRY, b"j" * 16, 2) == backoff_ms(DEFAULT_RETRY, b"j" * 16, 2) == 20_108


@pytest.mark.parametrize(
    "policy",
    [
        RetryPolicy(max_retries=-1),
        RetryPolicy(max_retries=limits.RETRIES_MAX + 1),
        RetryPolicy(delay_ms=-1),
        RetryPolicy(max_delay_ms=limits.DURATION_MS + 1),
        RetryPolicy(multiplier_permille=999),
        RetryPolicy(multiplier_permille=limits.MULTIPLIER_PERMILLE_MAX + 1),
        RetryPolicy(jitter_percent=101),
        RetryPolicy(jitter_percent=-1),
    ],
)
def test_a_policy_outside_its_ranges_is_named(policy: RetryPolicy) -> None:
    assert fault_in_policy(policy)
    assert fault_in_spec(msgspec.structs.replace(GOOD, retry=policy))


@pytest.mark.parametrize(
    "change",
    [
        {"job_id": bytes(15)},
        {"type": ""},
        {"type": "t" * (limits.TYPE_CHARS + 1)},
        {"queue": ""},
        {"queue": "q" * (limits.QUEUE_CHARS + 1)},
        {"args": bytes(limits.PAYLOAD_BYTES + 1)},
        {"unique_key": "k" * (limits.KEY_CHARS + 1)},
        {"correlation_id": "k" * (limits.KEY_CHARS + 1)},
        {"priority": limits.PRIORITY_MAX + 1},
        {"priority": -limits.PRIORITY_MAX - 1},
        {"delay_ms": -1},
        {"delay_ms": limits.DURATION_MS + 1},
        {"timeout_ms": -1},
        {"timeout_ms": limits.DURATION_MS + 1},
        {"run_at_ms": -1},
        {"run_at_ms": limits.WALL_MS_MAX + 1},
        {"run_at_ms": 1, "delay_ms": 1},
        {"labels": ("b", "a")},
        {"labels": ("a", "a")},
        {"labels": ("",)},
        {"labels": ("x" * (limits.LABEL_CHARS + 1),)},
        {"labels": tuple(f"{n:03}" for n in range(limits.LABELS + 1))},
    ],
)
def test_a_job_outside_the_limits_is_named(change: dict[str, object]) -> None:
    assert fault_in_spec(msgspec.structs.replace(GOOD, **change))


def test_a_job_at_the_limits_is_good() -> None:
    widest = msgspec.structs.replace(
        GOOD,
        type="t" * limits.TYPE_CHARS,
        queue="q" * limits.QUEUE_CHARS,
        args=bytes(limits.PAYLOAD_BYTES),
        unique_key="k" * limits.KEY_CHARS,
        priority=-limits.PRIORITY_MAX,
        delay_ms=limits.DURATION_MS,
        timeout_ms=limits.DURATION_MS,
        labels=tuple(f"{n:03}" for n in range(limits.LABELS)),
    )
    assert fault_in_spec(GOOD) == fault_in_spec(widest) == ""


@pytest.mark.parametrize(
    "worker",
    [
        (bytes(15), "w", ("q",), 1, ()),
        (bytes(16), "w" * (limits.KEY_CHARS + 1), ("q",), 1, ()),
        (bytes(16), "w", (), 1, ()),
        (bytes(16), "w", ("b", "a"), 1, ()),
        (bytes(16), "w", ("a", "a"), 1, ()),
        (bytes(16), "w", ("",), 1, ()),
        (bytes(16), "w", ("q" * (limits.QUEUE_CHARS + 1),), 1, ()),
        (bytes(16), "w", tuple(f"{n:03}" for n in range(limits.QUEUES_OF_A_WORKER + 1)), 1, ()),
        (bytes(16), "w", ("q",), 0, ()),
        (bytes(16), "w", ("q",), limits.CAPACITY + 1, ()),
        (bytes(16), "w", ("q",), 1, ("b", "a")),
    ],
)
def test_a_worker_outside_the_limits_is_named(
    worker: tuple[bytes, str, tuple[str, ...], int, tuple[str, ...]],
) -> None:
    assert fault_in_worker(*worker)


def test_a_worker_at_the_limits_is_good() -> None:
    queues = tuple(f"{n:03}" for n in range(limits.QUEUES_OF_A_WORKER))
    assert fault_in_worker(bytes(16), "", queues, limits.CAPACITY, ("a", "b")) == ""


@pytest.mark.parametrize(
    "node",
    [
        ("", bytes(16), "a", "v"),
        ("n" * (limits.NODE_ID_CHARS + 1), bytes(16), "a", "v"),
        ("n", bytes(15), "a", "v"),
        ("n", bytes(16), "a" * (limits.ADDRESS_CHARS + 1), "v"),
        ("n", bytes(16), "a", "v" * (limits.VERSION_CHARS + 1)),
    ],
)
def test_a_node_outside_the_limits_is_named(node: tuple[str, bytes, str, str]) -> None:
    assert fault_in_node(*node)
    assert not fault_in_node("n", bytes(16), "", "")


def test_job_ids_are_read_and_written() -> None:
    text = "0192d3c4-5b6a-7f80-9abc-def012345678"
    assert format_job_id(parse_job_id(text)) == text
    assert parse_job_id(text.replace("-", "").upper()) == parse_job_id(text)
    for wrong in ("", text[:-1], text + "0", "g" * 32, text.replace("-", "_")):
        with pytest.raises(ValueError):
            parse_job_id(wrong)
    with pytest.raises(ValueError):
        format_job_id(b"short")


def test_a_worker_is_named_the_same_as_long_as_its_session_lives_and_not_by_the_session_id() -> None:
    one, other = bytes(16), bytes(15) + b"1"
    assert len(worker_id(one)) == 16
    assert len({worker_id(one), worker_id(other), one, other}) == 4
    before = Session(one, "w", ("q",), 4, (), "n1", 2, {}, 0, 9)
    resumed = Session(one, "w", ("q",), 4, (), "n2", 3, {}, 0, 9)
    assert before.worker_id == resumed.worker_id == worker_id(one)
