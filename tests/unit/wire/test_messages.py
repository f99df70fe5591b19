"""Converters lose nothing on the way there and back, and take what other programs leave out."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.job import Attempt, AttemptState, Job, JobSpec, JobState
from orchestrix_raft.domain.report import Completed, Failed, ProgressMark, Released, StartedMark
from orchestrix_raft.domain.retry import DEFAULT_RETRY, RetryPolicy
from orchestrix_raft.domain.session import (
    Assignment,
    Assignments,
    CoordinatorMessage,
    Drain,
    DrainAsked,
    Farewell,
    Goodbye,
    HandlerLine,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Observation,
    Redirect,
    Refused,
    ReportAck,
    ReportMessage,
    Stop,
    StopJob,
    Welcome,
    WorkerMessage,
)
from orchestrix_raft.wire import jobs, workers
from orchestrix_raft.wire.common import RetryPolicyMessage
from orchestrix_raft.wire.services import ALL, JOBS, WORKERS

ID = bytes(range(16))
OTHER = bytes(16)
TOKEN = (3 << 40) + 7

FROM_WORKER: list[WorkerMessage] = [
    Hello(ID, "w", ("a", "b"), 10, ("gpu",), 4, ((ID, TOKEN), (OTHER, 1))),
    Heartbeat(9),
    ReportMessage(
        (
            Completed(ID, TOKEN, b'{"a":1}', 5, 6),
            Failed(ID, 2, "ValueError: no", 5, 6),
            Failed(ID, 3, "", 5, 6, retry_in_ms=0, final=True, cancelled=True),
            Released(OTHER, 4),
        )
    ),
    ReportMessage(()),
    Observation(
        (StartedMark(ID, 1, 2),),
        (ProgressMark(ID, 1, 50, "half"),),
        (HandlerLine(ID, 1, 3, "info", "hello"),),
    ),
    Drain(),
    Goodbye(),
]
FROM_NODE: list[CoordinatorMessage] = [
    Welcome(2, "n1", 10_000, 25_000, ("a:1", "b:2")),
    Assignments(
        (
            Assignment(ID, TOKEN, "t", "q", b"{}", 2, 3, "c", 500),
            Assignment(OTHER, 1, "t", "q", b"", 1, 0, "", 0),
        )
    ),
    Assignments(()),
    ReportAck((1, TOKEN), (2,)),
    Stop((StopJob(ID, TOKEN, "cancelled"),)),
    HeartbeatAck(9),
    HeartbeatAck(10, ("a:1", "b:2")),
    Refused("NO_LEADER", "none"),
    Redirect(("a:1",)),
    DrainAsked(),
    Farewell(),
]


@pytest.mark.parametrize("message", FROM_WORKER, ids=lambda m: type(m).__name__)
def test_what_a_worker_says_survives_the_wire(message: WorkerMessage) -> None:
    raw = workers.write_worker_message(message, "sdk/1").SerializeToString()
    assert workers.read_worker_message(workers.WorkerMessage.FromString(raw)) == message


@pytest.mark.parametrize("message", FROM_NODE, ids=lambda m: type(m).__name__)
def test_what_a_node_says_survives_the_wire(message: CoordinatorMessage) -> None:
    raw = workers.write_coordinator_message(message).SerializeToString()
    assert workers.read_coordinator_message(workers.CoordinatorMessage.FromString(raw)) == message


def test_a_message_of_no_known_kind_is_named_not_skipped() -> None:
    with pytest.raises(workers.UnknownMessage, match="no known kind"):
        workers.read_worker_message(workers.WorkerMessage())
    with pytest.raises(workers.UnknownMessage, match="no known kind"):
        workers.read_coordinator_message(workers.CoordinatorMessage())


def test_hello_sorts_and_deduplicates_queues_and_labels() -> None:
    out = workers.WorkerMessage()
    out.hello.queues.extend(["b", "a", "b"])
    out.hello.labels.extend(["y", "x", "y"])
    hello = workers.read_worker_message(out)
    assert isinstance(hello, Hello)
    assert (hello.queues, hello.labels) == (("a", "b"), ("x", "y"))


def test_a_new_job_takes_defaults_for_what_is_left_out() -> None:
    request = jobs.EnqueueRequest(jobs=[jobs.NewJob(job_id=ID, type="t")])
    assert jobs.job_specs(request) == [JobSpec(ID, "t", "default", b"{}")]
    assert jobs.job_specs(request)[0].retry is DEFAULT_RETRY


def test_a_new_job_keeps_every_field() -> None:
    message = jobs.NewJob(
        job_id=ID,
        type="t",
        queue="q",
        args=b'{"a":1}',
        priority=-5,
        run_at_ms=6,
        delay_ms=7,
        timeout_ms=8,
        retry=RetryPolicyMessage(max_retries=0, delay_ms=0),
        unique_key="u",
        correlation_id="c",
        labels=["y", "x", "y"],
    )
    policy = RetryPolicy(max_retries=0, delay_ms=0)
    wanted = JobSpec(ID, "t", "q", b'{"a":1}', -5, 6, 7, 8, policy, "u", "c", ("x", "y"))
    assert jobs.job_specs(jobs.EnqueueRequest(jobs=[message])) == [wanted]


def test_an_enqueue_response_names_only_what_is_out_of_the_ordinary() -> None:
    refused = Rejected(Code.RESOURCE_EXHAUSTED, "LIVE_JOBS", "full")
    response = jobs.enqueue_response(17, {1: OTHER}, {2: refused}, 5)
    assert (response.applied_index, response.batch_id) == (17, 5)
    assert [(e.position, e.job_id) for e in response.existing] == [(1, OTHER)]
    assert [(r.position, r.code, r.reason, r.message) for r in response.rejected] == [
        (2, 8, "LIVE_JOBS", "full")
    ]


def test_a_job_keeps_every_field() -> None:
    spec = JobSpec(ID, "t", "q", b"", 1, 2, 3, 4, RetryPolicy(9), "u", "c", ("x",))
    job = Job(
        spec,
        JobState.DEAD,
        10,
        0,
        2,
        3,
        4,
        5,
        b"",
        11,
        12,
        13,
        None,
        None,
        50,
        "half",
        b"1",
        "e",
        "r",
        "n",
        "w",
    )
    message = jobs.job_message(job, b'{"a":1}', 14)
    values = {field.name: value for field, value in message.ListFields()}
    assert values == {
        "job_id": ID,
        "type": "t",
        "queue": "q",
        "args": b'{"a":1}',
        "priority": 1,
        "state": 7,
        "attempt": 2,
        "failures": 3,
        "losses": 4,
        "max_retries": 9,
        "result": b"1",
        "error": "e",
        "reason": "r",
        "progress_percent": 50,
        "progress_message": "half",
        "owner": "n",
        "worker": "w",
        "fencing_token": 5,
        "created_ms": 10,
        "scheduled_ms": 14,
        "dispatched_ms": 11,
        "started_ms": 12,
        "finished_ms": 13,
        "timeout_ms": 4,
        "unique_key": "u",
        "correlation_id": "c",
        "labels": ["x"],
    }


@pytest.mark.parametrize(
    ("args", "result", "error"), [(b"a" * 1_025, b"", ""), (b"", b"a" * 1_025, ""), (b"", b"", "e" * 1_001)]
)
def test_a_listing_leaves_out_what_is_long_and_says_so(args: bytes, result: bytes, error: str) -> None:
    job = Job(JobSpec(ID, "t", "q", b""), JobState.DEAD, 1, 1, result=result, error=error)
    message = jobs.listed_job_message(job, args, 0)
    assert message.abridged
    assert (message.args, message.result) == (b"", b"")
    assert message.error == error[:1_000]


def test_a_listing_keeps_what_is_short() -> None:
    job = Job(JobSpec(ID, "t", "q", b""), JobState.DEAD, 1, 1, result=b"1" * 1_024, error="e" * 1_000)
    message = jobs.listed_job_message(job, b"a" * 1_024, 0)
    assert not message.abridged
    assert (message.args, message.result, message.error) == (b"a" * 1_024, b"1" * 1_024, "e" * 1_000)


def test_an_attempt_keeps_every_field() -> None:
    attempt = Attempt(ID, 1, 2, AttemptState.TIMED_OUT, "w", b"", "n", 3, 4, 5, "e", "r")
    (message,) = jobs.attempt_messages([attempt])
    assert [value for _, value in message.ListFields()] == [1, 2, 3, "w", "n", 3, 4, 5, "e", "r"]


def test_every_method_of_every_service_is_in_the_tables() -> None:
    assert [service.name.rpartition(".")[2] for service in ALL] == [
        "JobService",
        "ScheduleService",
        "QueueService",
        "WorkerService",
        "ClusterService",
    ]
    assert JOBS.methods["Enqueue"].path == "/orchestrix.v1.JobService/Enqueue"
    assert JOBS.methods["Enqueue"].request is jobs.EnqueueRequest
    assert WORKERS.methods["Session"].client_streams


def test_the_generated_code_is_current() -> None:
    script = Path(__file__).resolve().parents[3] / "proto" / "generate.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_timeout_is_called_one() -> None:
    """What the state says of it must stay as it is: nodes of all versions hold the same."""
    words = "no result within 5000 ms"
    attempt = Attempt(ID, 1, 2, AttemptState.TIMED_OUT, "w", b"", "n", 3, 4, 5, words, words)
    (message,) = jobs.attempt_messages([attempt])
    assert (message.error, message.reason) == (f"timeout: {words}", f"timeout: {words}")
    job = Job(JobSpec(ID, "t", "q", b""), JobState.DEAD, 1, 1, error=words, reason="retries_exhausted")
    told = jobs.listed_job_message(job, b"", 0)
    assert (told.error, told.reason) == (f"timeout: {words}", "retries_exhausted")
