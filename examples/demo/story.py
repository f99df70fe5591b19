"""What the demo does, a cluster, real jobs on real files, its leader killed half-way."""

import asyncio
import hashlib
import itertools
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from examples.demo.handlers import LEDGER_VARIABLE, TYPES
from orchestrix_raft import AsyncClient, Client
from orchestrix_raft.testing import Accounts, Ledger, LocalCluster, eventually, lookup
from orchestrix_raft.testing.accounts import compare
from orchestrix_raft.testing.ledger import longest_pause

FILES_PER_BATCH: Final = 20
BACKLOG: Final = 900  # jobs ahead of the workers: so enqueueing, too, is under way when the leader dies
PATIENCE_S: Final = 120.0

Said = Callable[[str], None]
Moved = Callable[[int, int], None]  # jobs enqueued and ended so far


class Killed(NamedTuple):
    """The moment of the crime."""

    leader: str
    at_s: float  # monotonic
    ended: int  # jobs that had ended by then
    enqueued: int  # jobs that had been acknowledged by then


class Outcome(NamedTuple):
    """Everything there is to report."""

    accounts: Accounts
    killed: Killed
    successor: str
    failover_s: float
    work_s: float  # from the first enqueue to the last end
    same_digest_at: int  # log index at which all three nodes, the restarted one too, had one digest
    checksums_right: int  # results that agree with a second computation, here
    checksums_wrong: int
    lines: int
    words: int
    frequent: list[str]

    @property
    def good(self) -> bool:
        """Nothing lost, nothing done twice, nothing unexplained, every checksum right."""
        return self.accounts.clean and not self.checksums_wrong and self.checksums_right > 0


def input_files(limit: int | None = None) -> list[Path]:
    """Python's own standard library, as it is installed here, without what was installed into it."""
    root = Path(sysconfig.get_path("stdlib"))
    found = (p for p in sorted(root.rglob("*.py")) if not {"site-packages", "dist-packages"} & set(p.parts))
    return list(itertools.islice(found, limit))


class Enqueuer(threading.Thread):
    """Enqueues three jobs a file, batch by batch, never far ahead of the workers."""

    def __init__(self, servers: str, files: Sequence[Path], ended: Callable[[], int]) -> None:
        super().__init__(name="enqueuer", daemon=True)
        self._servers = servers
        self._files = files
        self._ended = ended
        self.jobs: dict[str, tuple[str, Path]] = {}  # acknowledged: id -> what it is
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with Client(self._servers) as client:
                for first in range(0, len(self._files), FILES_PER_BATCH):
                    eventually(lambda: len(self.jobs) - self._ended() < BACKLOG, "room for more", PATIENCE_S)
                    files = self._files[first : first + FILES_PER_BATCH]
                    batch = [(job_type, file) for file in files for job_type in TYPES]
                    asked = [(job_type, {"path": str(file)}) for job_type, file in batch]
                    ids = client.enqueue_many(asked, queue="files")
                    self.jobs.update(zip(ids, batch, strict=True))
        except BaseException as error:  # handed to the main thread, which waits for this one
            self.error = error

    def check(self) -> None:
        """Raise what stopped it."""
        if self.error is not None:
            raise self.error


def play(cluster: LocalCluster, files: Sequence[Path], said: Said, moved: Moved) -> Outcome:
    """The whole story on a cluster that runs."""
    ledger = Ledger(cluster.data_dir / "ledger.txt")
    for _ in range(2):
        cluster.worker("examples.demo.handlers:worker", environment={LEDGER_VARIABLE: str(ledger.path)})
    total = len(files) * len(TYPES)

    def ended() -> int:
        return ledger.count("end")

    enqueuer = Enqueuer(cluster.servers, files, ended)

    def reached(jobs: int) -> bool:
        enqueuer.check()
        now_ended = ended()
        moved(len(enqueuer.jobs), now_ended)
        return now_ended >= jobs

    begin_s = time.monotonic()
    enqueuer.start()
    eventually(lambda: reached(total // 2), "half of the jobs are done", PATIENCE_S)
    victim = cluster.leader()
    killed = Killed(cluster.node_id(victim), time.monotonic(), ended(), len(enqueuer.jobs))
    cluster.kill(victim)
    said(f"killed the leader, {killed.leader} (SIGKILL), with {killed.ended:,} of {total:,} jobs done")
    successor = cluster.node_id(cluster.leader())
    eventually(lambda: reached(total), "all jobs are done", PATIENCE_S)
    enqueuer.join(PATIENCE_S)
    enqueuer.check()
    work_s = time.monotonic() - begin_s
    failover_s = longest_pause(ledger.lines(), killed.at_s, PATIENCE_S)[1] - killed.at_s
    said(f"{successor} leads; workers got new jobs {failover_s:.2f} s after the kill")
    cluster.restart(victim)
    said(f"restarted {killed.leader}; now checking every job")
    accounts, results = _look_up(cluster.servers, enqueuer.jobs, ledger)
    right, wrong = _check_sums(enqueuer.jobs, results)
    words, frequent = _words(enqueuer.jobs, results)
    return Outcome(
        accounts=accounts,
        killed=killed,
        successor=successor,
        failover_s=failover_s,
        work_s=work_s,
        same_digest_at=cluster.await_same_digest(),
        checksums_right=right,
        checksums_wrong=wrong,
        lines=sum(result for job_id, result in results.items() if enqueuer.jobs[job_id][0] == "lines"),
        words=words,
        frequent=[word for word, _ in frequent.most_common(8)],
    )


def _look_up(
    servers: str, jobs: Mapping[str, tuple[str, Path]], ledger: Ledger
) -> tuple[Accounts, dict[str, Any]]:
    async def ask() -> tuple[Accounts, dict[str, Any]]:
        async with AsyncClient(servers) as client:
            found = await lookup(client, list(jobs), PATIENCE_S)
            accounts = await compare(client, list(jobs), found, ledger)
            return accounts, {job_id: job.result for job_id, job in found.items() if job.state == "completed"}

    return asyncio.run(ask())


def _check_sums(jobs: Mapping[str, tuple[str, Path]], results: Mapping[str, Any]) -> tuple[int, int]:
    """(right, wrong): checksums computed a second time, here."""
    verdicts = Counter(
        results.get(job_id) == hashlib.sha256(file.read_bytes()).hexdigest()
        for job_id, (job_type, file) in jobs.items()
        if job_type == "checksum"
    )
    return verdicts[True], verdicts[False]


def _words(jobs: Mapping[str, tuple[str, Path]], results: Mapping[str, Any]) -> tuple[int, Counter[str]]:
    """How many words there are, and the most frequent ones (of those that are frequent in their file)."""
    total = 0
    counts: Counter[str] = Counter()
    for job_id, result in results.items():
        if jobs[job_id][0] == "words":
            total += result["words"]
            counts.update(dict(result["top"]))
    return total, counts
