"""What a worker, a handler and what it calls cannot be is said in one line: when it is made, not at the first
job."""

import functools
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from orchestrix_raft import Discard, JobContext, Retry, TlsFiles, Worker
from orchestrix_raft.domain.session import Assignment
from orchestrix_raft.worker.context import Line
from tests.unit.worker import process_jobs

JOB: Final = Assignment(bytes(16), 1, "t", "q", b"{}", 1, 3, "", 0)
LENGTHS: Final[tuple[Any, ...]] = (True, math.nan, math.inf, -1, "5", [5], 10**9, timedelta(-1))


class Told:
    """What a context passes on."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.percents: list[int] = []

    def line(self, job: Assignment, line: Line) -> None:
        self.lines.append(line)

    def progress(self, job: Assignment, percent: int, message: str) -> None:
        self.percents.append(percent)


def refusal(what: Callable[..., Any], *given: Any, **named: Any) -> str:
    """The line with which it is refused."""
    with pytest.raises((TypeError, ValueError)) as caught:
        what(*given, **named)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 300
    return line


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("servers", (None, "", 5, "host", "host:x", [], [None], b"h:1")),
        ("queues", ("mail", None, 5, b"a", [], [1], [None], [""], [f"q{n}" for n in range(65)])),
        ("concurrency", (None, True, 1.5, "10", 0, -1, 10_001, math.nan)),
        ("labels", ("eu", 5, b"a", [1], [None], [""])),
        ("name", ("", 5, b"w")),
        ("tls", (True, "ca.pem", {"ca": "x"}, TlsFiles(cert="only.pem"))),
        ("history", ("", 5, True, b"a file", ["a file"])),
    ],
)
def test_a_worker_that_cannot_be_is_refused(argument: str, values: tuple[Any, ...]) -> None:
    for value in values:
        line = refusal(Worker, **{argument: value})
        assert argument.removesuffix("s") in line.lower(), (value, line)
    for value in values[1:] if argument in ("servers", "queues", "concurrency") else ():
        if value is not None:  # which leaves it as it is
            refusal(Worker().override, **{argument: value})


def test_one_name_is_no_list_of_names() -> None:
    assert refusal(Worker, labels="eu") == "labels is 'eu': it must be a list of names, such as ['eu']"
    assert refusal(Worker, queues="mail") == "queues is 'mail': it must be a list of names, such as ['mail']"


def test_a_handler_without_a_type_has_the_one_of_its_name() -> None:
    worker = Worker()

    @worker.job
    def bare(ctx: JobContext) -> None:
        """Without parentheses."""

    @worker.job()
    async def called(ctx: JobContext) -> None:
        """With them."""

    @worker.job(no_retry_on=(ValueError,))
    def configured(ctx: JobContext) -> None:
        """With an option."""

    assert list(worker._handlers) == ["bare", "called", "configured"]
    assert bare is worker._handlers["bare"].function
    assert worker._handlers["configured"].no_retry_on == (ValueError,)
    assert refusal(worker.job, bare) == "there is a handler for type 'bare' already: give this one another"


def nameless() -> Any:
    return functools.partial(process_jobs.add)


def generator(ctx: JobContext) -> Any:
    yield 1


async def async_generator(ctx: JobContext) -> Any:
    yield 1


async def coroutine(ctx: JobContext) -> None:
    """Runs on a loop."""


def no_context() -> None:
    """Takes nothing."""


def keywords_only(*, path: str) -> None:
    """Takes no JobContext."""


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (5, "5 is no function"),
        (None, "None is no function"),
        (generator, "generator is a generator: a handler returns its result"),
        (async_generator, "async_generator is a generator"),
        (no_context, "no_context takes no JobContext: it must be the first of its parameters"),
        (keywords_only, "keywords_only takes no JobContext"),
    ],
)
def test_a_function_that_could_not_handle_a_job_is_refused(function: Any, words: str) -> None:
    assert words in refusal(Worker().job("t"), function)


@pytest.mark.parametrize("function", [lambda ctx: None, nameless()])
def test_a_function_without_a_name_needs_a_type(function: Any) -> None:
    assert "has no name: say which type of jobs it handles" in refusal(Worker().job, function)
    Worker().job("t")(function)


def test_whatever_takes_a_context_is_a_handler() -> None:
    worker = Worker()
    for number, function in enumerate((lambda *anything: None, print, process_jobs.add, nameless())):
        worker.job(f"t{number}")(function)
    assert len(worker._handlers) == 4


@pytest.mark.parametrize("job_type", ["", 5, b"t", ["t"], "\ud800"])
def test_a_type_is_text(job_type: Any) -> None:
    assert refusal(Worker().job, job_type).startswith("type is ")


@pytest.mark.parametrize("process", [1, "yes", None])
def test_process_is_true_or_false(process: Any) -> None:
    assert "process is" in refusal(Worker().job("t", process=process), process_jobs.add)


def test_a_coroutine_function_does_not_run_in_a_process() -> None:
    line = refusal(Worker().job("t", process=True), coroutine)
    assert "coroutine is async: process=True is for a def" in line


class Inner:
    """Has an exception that a process finds; the one in the test below it does not."""

    class Wrong(Exception):
        """At the top of its class."""


def test_exceptions_not_to_retry_on_are_ones_that_can_be_caught() -> None:
    class Local(Exception):
        """In a function."""

    for wrong in (ValueError, "ValueError", [5], (int,), None, {ValueError}):
        line = refusal(Worker().job("t", no_retry_on=wrong), process_jobs.add)  # type: ignore[arg-type]
        assert "it must be exceptions, such as (ValueError,)" in line
    assert "must be at the top of its module" in refusal(
        Worker().job("t", process=True, no_retry_on=(Local,)), process_jobs.add
    )
    Worker().job("t", no_retry_on=(Local,))(process_jobs.add)
    Worker().job("t", process=True, no_retry_on=(Inner.Wrong,))(process_jobs.add)


@pytest.mark.parametrize("delay", LENGTHS)
def test_a_retry_with_a_bad_delay_says_so(delay: Any) -> None:
    assert refusal(Retry, delay=delay).startswith("delay is ")


def test_a_delay_is_no_message() -> None:
    for wrong in (60, 1.5, timedelta(minutes=1)):
        assert "say Retry(delay=...)" in refusal(Retry, wrong)
    assert Retry(delay=timedelta(minutes=1)).delay == 60.0
    assert (Retry().delay, Retry("busy", delay=0).delay) == (None, 0)
    assert str(Discard(ValueError("gone"))) == "gone"  # type: ignore[arg-type]


def test_progress_is_a_percentage() -> None:
    told = Told()
    context = JobContext(JOB, told, lambda: 0)
    for wrong in (500, 101, -1, math.nan, math.inf, True, "50", None, [5]):
        assert refusal(context.progress, wrong).startswith("percent is ")
    for right in (0, 12.9, 100, 100.0000001, -0.0000001):
        context.progress(right)
    assert told.percents == [0, 12, 100, 100, 0]


def test_a_level_is_a_word() -> None:
    told = Told()
    context = JobContext(JOB, told, lambda: 0)
    assert "level is 30: it must be a word" in refusal(context.log, "text", level=30)
    context.log(5, level="warning")
    assert [(line.level, line.message) for line in told.lines] == [("warning", "5")]
