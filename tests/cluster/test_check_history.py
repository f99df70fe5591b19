"""A recorded cluster: clients, workers and a schedule write a history, a node is killed, the checker agrees;
the same file with one line altered is a violation."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs

from orchestrix_raft import AlreadyExists, AsyncClient, Client
from orchestrix_raft.cli.app import run
from orchestrix_raft.history.checker import check
from orchestrix_raft.history.records import Event, FinalJob, Invoke, Placed, Record, Return, Start, to_line
from orchestrix_raft.history.verdict import Verdict, Word
from orchestrix_raft.history.watched import named_jobs
from orchestrix_raft.recording.reading import read_history
from orchestrix_raft.recording.writing import VARIABLE
from orchestrix_raft.testing import LocalCluster, eventually, observe

pytestmark = pytest.mark.cluster
WORKER: Final = "orchestrix_raft.testing.handlers:worker"
ROUNDS: Final = 60  # of each client
COUNT: Final = 3  # jobs of a key ...
WINDOW_S: Final = 0.5  # ... in any such stretch of the log's elapsed time


def limited(window_ms: int) -> dict[str, Any]:
    """The event that gives the queue another window, as the cluster would tell it."""
    return {"name": "default", "options": {"key_rate": {"count": COUNT, "window_ms": window_ms}}}


def work(servers: str, path: Path, name: str, killed: threading.Event, begun: threading.Semaphore) -> None:
    """What one client does: jobs of every fate, and looks at them; half of it after the kill."""
    with Client(servers, deadline=20.0, history=path) as client:
        for number in range(ROUNDS):
            if number == ROUNDS // 2:
                begun.release()
                assert killed.wait(60.0)
            job_id = client.enqueue("noop", {"n": number}, key=f"k{number % 3}")
            client.get(job_id)
            late = client.enqueue("noop", delay=60.0)
            assert client.cancel(late) == "cancelled"
            if number % 5 == 0:
                assert client.retry(late) == "retried"
            if number % 7 == 0:
                client.wait(job_id, 30.0)
                client.purge(job_id)
            policy = ("return_existing", "replace", "reject")[number % 3]
            try:
                client.enqueue("sleep", {"seconds": 0.05}, unique_key="one", on_conflict=policy)
            except AlreadyExists:
                assert policy == "reject"
            client.enqueue_many([("noop", {"of": name, "n": n}) for n in range(3)])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what clients and workers saw of a cluster whose leader was killed, and with the final
    observation."""
    path = tmp_path_factory.mktemp("recorded")
    history = path / "history"
    history.mkdir()
    environment = {VARIABLE: str(history / "workers.jsonl")}
    with LocalCluster(nodes=3, data_dir=path / "cluster") as cluster:
        for _ in range(2):
            cluster.worker(WORKER, environment=environment)
        with Client(cluster.servers, history=history / "owner.jsonl") as owner:
            owner.queues.limit("default", key_rate=(COUNT, WINDOW_S), key_concurrency=5)
            owner.schedules.every("tick", 0.5, "noop", misfire="all", overlap="allow")
            killed, begun = threading.Event(), threading.Semaphore(0)
            clients = [
                threading.Thread(
                    target=work,
                    args=(cluster.servers, history / f"{name}.jsonl", name, killed, begun),
                )
                for name in ("one", "two")
            ]
            for thread in clients:
                thread.start()
            for _ in clients:
                assert begun.acquire(timeout=60.0)
            cluster.kill(cluster.leader())
            killed.set()
            for thread in clients:
                thread.join(60.0)
                assert not thread.is_alive()
            owner.schedules.pause("tick")
            unfinished = ("scheduled", "pending", "dispatched", "running")
            eventually(lambda: not owner.list_jobs(unfinished), "all jobs are over", timeout_s=60.0)
        asyncio.run(_observe(cluster.servers, history))
        assert run(["check-history", str(history), "--servers", cluster.servers]) == 0
        cluster.kill_everything()
    return history


async def _observe(servers: str, history: Path) -> None:
    async with AsyncClient(servers) as client:
        found = {name.name for name in history.iterdir()}
        assert found == {"one.jsonl", "two.jsonl", "owner.jsonl", "workers.jsonl"}
        await observe(client, history / "end.jsonl", named_jobs(read_history([history])))


@pytest.mark.timeout(180)
def test_a_killed_node_leaves_a_clean_history(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check-history", str(recorded)]) == 0
    report = check(read_history([recorded]))
    told = capsys.readouterr().out
    assert [verdict.word for verdict in report.verdicts] == [Word.OK] * 6, told
    assert report.processes == 6  # three clients, two workers, the observer
    assert all(verdict.looked_at > 0 for verdict in report.verdicts), told
    assert report.operations > 2 * ROUNDS * 5
    assert report.executions > 2 * ROUNDS * 3


Which = Callable[[Record], bool]


def read_as(*words: str) -> Which:
    return lambda record: isinstance(record, Return) and record.word in words


def of_event(kind: str) -> Which:
    return lambda record: isinstance(record, Event) and record.kind == kind


ALTERED: Final[dict[str, tuple[str, Which, dict[str, Any]]]] = {
    "a completion is not counted": (
        "completions",
        lambda record: isinstance(record, FinalJob) and record.state == "completed",
        {"attempts": ()},
    ),
    "a job is not found": ("jobs", read_as("pending", "dispatched", "running"), {"word": "not_found"}),
    "a job was never there": ("jobs", read_as("cancelled"), {"word": "not_found"}),
    "a token of nobody": ("tokens", read_as("completed"), {"token": 1 << 50}),
    "a token for two": (
        "tokens",
        lambda record: isinstance(record, Start) and record.token == 5,
        {"token": 6},
    ),
    "a slot is passed over": ("slots", of_event("slot_fired"), {"kind": "slot_lost"}),
    "a limit is exceeded": ("limits", of_event("queue_configured"), {"d": limited(60_000)}),
}
"""What became of one line -> the check that must see it, which line, and its new fields."""


@pytest.mark.parametrize("what", ALTERED)
def test_one_altered_line_is_a_violation(recorded: Path, tmp_path: Path, what: str) -> None:
    check_name, which, changed = ALTERED[what]
    records = [line.record for line in read_history([recorded])]
    position = next(i for i, record in enumerate(records) if which(record))
    records[position] = structs.replace(records[position], **changed)
    assert_violated(check_name, records, tmp_path)


def test_a_rate_is_judged_to_the_millisecond(recorded: Path, tmp_path: Path) -> None:
    """The narrowest stretch with one job of a key more than its rate allows fits a window of its own length,
    and none that is a millisecond longer."""
    records = [line.record for line in read_history([recorded])]
    narrowest_ms = narrowest(records)
    assert narrowest_ms >= WINDOW_S * 1_000
    position = next(i for i, record in enumerate(records) if of_event("queue_configured")(record))
    for window_ms, word in ((narrowest_ms, Word.OK), (narrowest_ms + 1, Word.VIOLATION)):
        records[position] = structs.replace(records[position], d=limited(window_ms))
        assert verdicts_of(records, tmp_path)["limits"].word is word


def narrowest(records: list[Record]) -> int:
    """Milliseconds of elapsed time in which one more than COUNT jobs of a key were assigned."""
    happened = sorted((r for r in records if isinstance(r, Event)), key=lambda r: (r.index, r.ordinal))
    assert all(event.elapsed_ms >= 0 for event in happened)
    keys = {event.job: event.d["spec"]["key"] for event in happened if event.kind == "job_enqueued"}
    begun: dict[str, list[int]] = defaultdict(list)
    for event in happened:
        if event.kind == "job_assigned" and keys[event.job]:
            begun[keys[event.job]].append(event.elapsed_ms)
    return min(times[i] - times[i - COUNT] for times in begun.values() for i in range(COUNT, len(times)))


def test_a_unique_key_that_an_ended_job_still_has_is_a_violation(recorded: Path, tmp_path: Path) -> None:
    """The last client that was told who has the key is told of the first job that had it, long over."""
    records = [line.record for line in read_history([recorded])]
    keyed = {(r.p, r.n) for r in records if isinstance(r, Invoke) and any(job.unique_key for job in r.jobs)}
    answers = [i for i, r in enumerate(records) if isinstance(r, Return) and (r.p, r.n) in keyed]
    answers.sort(key=lambda i: records[i].t)  # type: ignore[union-attr]  # answers have a time
    first = next(r for i in answers if isinstance(r := records[i], Return) and r.placed[0].created)
    last = max(i for i in answers if isinstance(r := records[i], Return) and r.placed[0].created is False)
    stale = Placed(id=first.placed[0].id, created=False)
    records[last] = structs.replace(records[last], placed=(stale,))
    assert_violated("unique keys", records, tmp_path)


def assert_violated(check_name: str, records: list[Record], tmp_path: Path) -> None:
    verdicts = verdicts_of(records, tmp_path)
    assert run(["check-history", str(tmp_path / "altered.jsonl")]) == 1
    assert verdicts[check_name].word is Word.VIOLATION
    assert verdicts[check_name].violations[0].lines


def verdicts_of(records: list[Record], tmp_path: Path) -> dict[str, Verdict]:
    """Of the records as a file, `altered.jsonl`."""
    path = tmp_path / "altered.jsonl"
    path.write_bytes(b"".join(to_line(record) for record in records))
    return {verdict.check: verdict for verdict in check(read_history([path])).verdicts}
