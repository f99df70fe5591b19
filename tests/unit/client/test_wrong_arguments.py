"""Every argument of every call of the client refuses what it cannot mean: here, before anything is sent, and
in one line that names it."""

import inspect
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest

from orchestrix_raft import AsyncClient, Client, InvalidArgument, RetryPolicy, TlsFiles
from orchestrix_raft.client.building import Options
from orchestrix_raft.client.cluster import AsyncCluster
from orchestrix_raft.client.queues import AsyncQueues
from orchestrix_raft.client.schedule_model import ScheduleOptions
from orchestrix_raft.client.schedules import AsyncSchedules
from orchestrix_raft.domain import limits

ID: Final = "00000000-0000-7000-8000-000000000000"
NAME: Final[tuple[Any, ...]] = (None, 5, b"x", "", ["x"], "\ud800")
TEXT: Final[tuple[Any, ...]] = (5, b"x", ["x"], "\ud800")
KEY: Final[tuple[Any, ...]] = (*TEXT, "")
LIST: Final[tuple[Any, ...]] = ("eu", 5, True, b"eu", [1], [None], [""], {"eu": None}.values)
LENGTH: Final[tuple[Any, ...]] = (
    True,
    math.nan,
    math.inf,
    -math.inf,
    -1,
    -0.001,
    "5",
    [5],
    10**9,
    timedelta(-1),
    timedelta(999),
)
SPAN: Final[tuple[Any, ...]] = (*LENGTH, 0, 0.0, timedelta(0))
MOMENT: Final[tuple[Any, ...]] = (
    5,
    True,
    "tomorrow",
    date(2030, 1, 1),
    timedelta(1),
    datetime(1960, 1, 1, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
)
WHOLE: Final[tuple[Any, ...]] = (True, 1.5, "1", math.nan, [1], -1)
COUNT: Final[tuple[Any, ...]] = (*WHOLE, 0)
PRIORITY: Final[tuple[Any, ...]] = (None, True, False, 1.5, "1", 10**7, -(10**7))
STATE: Final[tuple[Any, ...]] = ("", "ran", 5, [5], [["dead"]], b"dead")
ONE: Final[tuple[Any, ...]] = (None, 5, "", "x", b"x" * 16, ID + "0")
CHOICE: Final[tuple[Any, ...]] = ("", "never", 5, True)
ARGS: Final[tuple[Any, ...]] = (
    "x",
    5,
    0,
    "",
    [],
    [("a", 1)],
    {1: 2},
    {None: 1},
    {b"a": 1},
    {"a": math.nan},
    {"a": object()},
)


def policies(name: str, *values: Any) -> list[RetryPolicy]:
    """One for each value that its field cannot have."""
    return [RetryPolicy(**{name: value}) for value in values]


RETRY: Final[tuple[Any, ...]] = (
    "fast",
    3,
    True,
    RetryPolicy,
    *policies("max_retries", True, 1.5, "3", -1, 1_001),
    *policies("delay", *LENGTH),
    *policies("max_delay", *LENGTH),
    *policies("multiplier", True, 0.5, 101, math.nan, "2"),
    *policies("jitter", True, -0.1, 1.1, math.nan, "0.2"),
    *policies("preset", "slow", "", None, 5, []),
    RetryPolicy.fast(max_retries=True),
)

JOB: Final[dict[str, tuple[Any, ...]]] = {
    "queue": NAME,
    "priority": PRIORITY,
    "delay": LENGTH,
    "run_at": MOMENT,
    "timeout": SPAN,
    "retry": RETRY,
    "correlation_id": TEXT,
    "labels": LIST,
    "retry_for": SPAN,
    "key": KEY,
    "expires": SPAN,
}
UNIQUE: Final[dict[str, tuple[Any, ...]]] = {
    "unique_key": KEY,
    "job_id": ONE[1:],
    "unique_scope": CHOICE,
    "unique_for": SPAN,
    "on_conflict": CHOICE,
}
FILTER: Final[dict[str, tuple[Any, ...]]] = {
    "state": STATE,
    "queue": KEY,
    "type": KEY,
    "older_than": LENGTH,
}
OPTIONS: Final[dict[str, tuple[Any, ...]]] = {
    **{name: wrong for name, wrong in JOB.items() if name not in ("delay", "run_at", "key")},
    "key": TEXT,
    "misfire": CHOICE,
    "overlap": CHOICE,
    "jitter": LENGTH,
    "pause_on_failure": WHOLE,
    "start": MOMENT,
    "end": MOMENT,
    "max_runs": WHOLE,
}
PLACE: Final[dict[str, tuple[Any, ...]]] = {
    "id": NAME,
    "type": NAME,
    "args": ARGS,
    "cursor": CHOICE,
    **OPTIONS,
}
CLOCKS: Final[dict[str, tuple[Any, ...]]] = {"timezone": NAME[:-1], "dst_gap": CHOICE, "dst_overlap": CHOICE}
RATE: Final[tuple[Any, ...]] = (
    5,
    True,
    "51",
    "5/1s",
    (5,),
    (5, 1, 1),
    *((count, 1.0) for count in COUNT),
    *((5, window) for window in SPAN),
)

FLAG: Final[tuple[Any, ...]] = (None, 0, 1, "yes", [])
ONE_OR_MORE: Final[tuple[Any, ...]] = ("", 5, b"x", [""], [5])

CALLS: Final[dict[str, tuple[dict[str, Any], dict[str, tuple[Any, ...]]]]] = {
    "enqueue": ({"type": "t"}, {"type": NAME, "args": ARGS, **JOB, **UNIQUE}),
    "enqueue_told": ({"type": "t"}, {"type": NAME, "args": ARGS, **JOB, **UNIQUE}),
    "enqueue_many": (
        {"jobs": [("t", None)]},
        {
            "jobs": (None, 5, "send", {"send": {}}, ["ab"], [("t",)], [("t", {}, 1)], [None]),
            **JOB,
        },
    ),
    "get": ({}, {"job_id": ONE}),
    "wait": ({"job_id": ID}, {"job_id": ONE, "timeout": LENGTH}),
    "list_jobs": (
        {},
        {"state": STATE, "queue": KEY, "type": KEY, "limit": COUNT}
        | {"owner": KEY, "worker": (*KEY, "xyz", "0f")},
    ),
    "history": ({}, {"job_id": ONE}),
    "explain": ({}, {"job_id": ONE}),
    "logs": (
        {"job_id": ID},
        {"job_id": ONE, "after": (0, 5, "1-2", (1, 2)), "limit": (*COUNT, 1_001), "follow": FLAG},
    ),
    "audit": ({}, {"after": WHOLE, "limit": (*COUNT, 1_001), "latest": FLAG}),
    "events": (
        {},
        {
            "since": ("", 5, b"1-2", "yesterday", "1-2-3"),
            "follow": FLAG,
            "job": ONE_OR_MORE,
            "queue": ONE_OR_MORE,
        }
        | {"type": ONE_OR_MORE, "kind": ONE_OR_MORE},
    ),
    "status": ({}, {}),
    "cancel": ({"job_id": ID}, {"job_id": ONE, "reason": (None, *TEXT)}),
    "retry": ({}, {"job_id": ONE}),
    "purge": ({}, {"job_id": ONE}),
    "cancel_where": ({}, {**FILTER, "reason": (None, *TEXT), "all": (None, 1, "yes")}),
    "retry_where": ({}, {**FILTER, "all": (None, 1, "yes")}),
    "purge_where": ({"state": "dead"}, FILTER),
    "backup": ({"path": "b"}, {"path": (None, 5, b"x", "", ["x"]), "force": FLAG}),
    "verify": ({}, {"timeout": (None, *SPAN)}),
    "transfer_leadership": ({}, {"node_id": (None, *TEXT)}),
    "cluster.add": ({}, {"address": (None, "", *TEXT)}),
    "cluster.remove": ({}, {"node_id": (None, "", *TEXT)}),
    "cluster.drain": ({"node_id": "n"}, {"node_id": NAME, "force": (None, 1, "yes")}),
    "cluster.undrain": ({}, {"node_id": NAME}),
    "cluster.drain_worker": ({}, {"worker_id": (*NAME, "xyz", "0f")}),
    "close": ({}, {}),
    "queues.list": ({}, {}),
    "queues.get": ({}, {"name": NAME}),
    "queues.pause": ({}, {"name": NAME}),
    "queues.resume": ({}, {"name": NAME}),
    "queues.purge": ({}, {"name": NAME}),
    "queues.limit": (
        {"name": "q"},
        {"name": NAME, "rate": RATE, "key_rate": RATE, "concurrency": COUNT, "key_concurrency": COUNT},
    ),
    "schedules.cron": (
        {"id": "s", "expression": "@daily", "type": "t"},
        {"expression": NAME, **CLOCKS, **PLACE},
    ),
    "schedules.every": (
        {"id": "s", "period": 5, "type": "t"},
        {"period": (None, *SPAN, 0.05), "anchor": MOMENT, **PLACE},
    ),
    "schedules.at": (
        {"id": "s", "run_at": datetime(2100, 1, 1, tzinfo=UTC), "type": "t"},
        {"run_at": (None, *MOMENT), **PLACE},
    ),
    "schedules.get": ({}, {"id": NAME}),
    "schedules.list": ({}, {"prefix": (None, *TEXT), "state": STATE, "limit": COUNT}),
    "schedules.pause": ({"id": "s"}, {"id": NAME, "reason": (None, *TEXT)}),
    "schedules.resume": ({}, {"id": NAME}),
    "schedules.trigger": ({}, {"id": NAME}),
    "schedules.delete": ({}, {"id": NAME}),
    "schedules.preview": (
        {"expression": "@daily"},
        {"expression": NAME, **CLOCKS, "start": MOMENT, "count": (*COUNT, 101), "id": (None, *TEXT)},
    ),
}
"""The call, what it needs, and what each of its arguments cannot be."""
TOLD_AS: Final = {"name": "queue"}
"""Arguments that the line calls by what they are."""
NEEDS: Final[dict[str, dict[str, Any]]] = {
    "unique_scope": {"unique_key": "u"},
    "unique_for": {"unique_key": "u", "unique_scope": "window"},
    "on_conflict": {"unique_key": "u"},
}


def cases() -> Iterator[tuple[str, str, Any]]:
    for call, (_, wrong) in CALLS.items():
        for argument, values in wrong.items():
            for value in values:
                yield call, argument, value


def method(client: Any, call: str) -> Any:
    for part in call.split("."):
        client = getattr(client, part)
    return client


async def refusal(client: AsyncClient, call: str, argument: str, value: Any) -> str:
    """What is said of it; "" if it was taken."""
    given = {**CALLS[call][0], **NEEDS.get(argument, {}), argument: value}
    try:
        await method(client, call)(**given)
    except InvalidArgument as error:
        return str(error)
    except Exception as error:  # whatever else it is, it is listed with the case
        return f"\n{error!r}"
    return ""


class Unshown:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


async def test_what_cannot_be_shown_is_refused_under_the_name_of_the_argument() -> None:
    vast = 10**5_000  # Python does not write it
    async with AsyncClient("127.0.0.1:1", deadline=0.001) as client:
        assert await refusal(client, "enqueue", "priority", vast) == (
            "this is no job: priority is a whole number of 16,610 bits: it must be 1,000,000 or less"
        )
        assert await refusal(client, "enqueue", "queue", [vast]) == (
            "queue is a value of type list that cannot be shown: it must be text"
        )
        for call, (_, wrong) in CALLS.items():
            for argument in wrong:
                line = await refusal(client, call, argument, Unshown())
                assert TOLD_AS.get(argument, argument.removesuffix("s")) in line.lower(), (call, argument)
                assert "\n" not in line, (call, argument)
                for value in (vast, -vast, [vast], {"a": vast}, {vast: 1}):
                    line = await refusal(client, call, argument, value)
                    assert "Exceeds" not in line or argument == "args", (call, argument)


async def test_what_an_argument_cannot_be_is_refused_in_one_line_that_names_it() -> None:
    count = 0
    wrong = []
    async with AsyncClient("127.0.0.1:1", deadline=0.001) as client:
        for call, argument, value in cases():
            line = await refusal(client, call, argument, value)
            named = TOLD_AS.get(argument, argument.removesuffix("s")) in line.lower()
            if not named or "\n" in line or len(line) > 300:
                wrong.append(f"{call}({argument}={value!r}): {line or 'it was taken'}")
            count += 1
    assert not wrong
    assert count > 800


def test_the_table_has_every_argument_of_every_call() -> None:
    every = {
        "": AsyncClient,
        "queues.": AsyncQueues,
        "schedules.": AsyncSchedules,
        "cluster.": AsyncCluster,
    }
    public = {
        f"{before}{name}": function
        for before, owner in every.items()
        for name, function in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
    }
    del public["schedules.update"]  # as cron, every and at; it looks at the schedule first
    assert set(public) == set(CALLS)
    extra: dict[str, set[str]] = {"enqueue_told": set(Options._fields)}
    for call in ("schedules.cron", "schedules.every", "schedules.at"):
        extra[call] = set(ScheduleOptions.__annotations__)
    for call, function in public.items():
        arguments = set(inspect.signature(function).parameters) - {"self", "options"}
        assert arguments | extra.get(call, set()) == set(CALLS[call][1]), call


SERVERS: Final[tuple[Any, ...]] = (
    None,
    "",
    " , ",
    5,
    "host",
    "host:",
    "host:0",
    "host:65536",
    ":7400",
    [],
    [None],
    [5],
    b"h:1",
)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("servers", value) for value in SERVERS),
        *(("deadline", value) for value in (None, *SPAN)),
        *(("tls", value) for value in (True, "ca.pem", {"ca": "ca.pem"}, ("ca.pem", "", ""))),
        ("tls", TlsFiles(cert="only.pem")),
        *(("history", value) for value in ("", 5, True, b"a file", ["a file"])),
    ],
)
def test_a_client_that_cannot_be_is_refused_at_once(kind: type, argument: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"(?i){argument.removesuffix('s')}") as caught:
        kind(**{argument: value})
    assert "\n" not in str(caught.value)


def test_what_is_right_is_taken() -> None:
    """The other side of the table: values at the edge, and kinds that are as good."""
    policy = RetryPolicy(max_retries=0, delay=timedelta(seconds=1), max_delay=0, multiplier=1, jitter=1)
    message = policy.message()
    assert (message.max_retries, message.delay_ms, message.multiplier_permille) == (0, 1_000, 1_000)
    edge = RetryPolicy(
        max_retries=limits.RETRIES_MAX, delay=limits.DURATION_MS / 1_000, multiplier=100, jitter=0
    )
    assert edge.message().delay_ms == limits.DURATION_MS
