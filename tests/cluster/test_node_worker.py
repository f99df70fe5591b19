"""A worker in another language, written from the protocol's page and the .proto files, runs real jobs.

It is the one in JavaScript under examples/node-worker.  Its packages are installed from its lock file into a
temporary directory; without node, npm or a registry to get them from, these tests are skipped.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft import Client, RetryPolicy
from orchestrix_raft.client.model import Job, WorkerStatus
from orchestrix_raft.testing import LocalCluster, Process, eventually

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "node-worker"
HOLDING = Path(__file__).with_name("holding_worker.js")
INSTALL = "ci --prefer-offline --ignore-scripts --no-audit --no-fund --fetch-retries=1 --fetch-timeout=10000"
INSTALL_S = 45.0
CODE = re.compile(r"^npm \S+ code (\w+)$", re.MULTILINE)
UNREACHABLE = re.compile(
    r"EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|E?TIMEDOUT|ERR_SOCKET_TIMEOUT"
    r"|ENOTCACHED|E403|E407|E429|E50\d|[A-Z_]*CERT[A-Z_]*"
)
"""The codes of npm's errors that lie with the registry or the way to it; any other fails the tests."""

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def node_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where node finds the packages that the example's lock file pins."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    wanted = json.loads((EXAMPLE / "package.json").read_text())["engines"]["node"]
    if int(version.removeprefix("v").partition(".")[0]) < int(wanted.removeprefix(">=")):
        pytest.skip(f"node {version} is too old: the example needs {wanted}")
    target = tmp_path_factory.mktemp("node-worker")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(EXAMPLE / name, target)
    try:
        done = subprocess.run(
            [npm, *INSTALL.split()], cwd=target, capture_output=True, text=True, timeout=INSTALL_S
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm could not get the packages within {INSTALL_S:g} s")
    code = CODE.search(done.stderr)
    if code and UNREACHABLE.fullmatch(code[1]):
        pytest.skip(f"npm cannot reach its registry: {code[1]}")
    assert done.returncode == 0, done.stderr
    return target / "node_modules"


@pytest.fixture(scope="module")
def cluster(node_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Three nodes for all tests here; `main.js` of the example serves the queue `default`."""
    environment = {"NODE_PATH": str(node_path)}
    with LocalCluster(
        nodes=3, data_dir=tmp_path_factory.mktemp("cluster"), environment=environment
    ) as cluster:
        start_example(cluster)
        yield cluster
        cluster.kill_everything()


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    with Client(cluster.servers) as client:
        yield client


def start_example(cluster: LocalCluster) -> Process:
    return cluster.worker_program(["node", str(EXAMPLE / "main.js"), cluster.servers])


def await_state(client: Client, job_id: str, state: str) -> Job:
    return eventually(lambda: [job for job in [client.get(job_id)] if job.state == state], f"job {state}")[0]


def session(cluster: LocalCluster, process: Process) -> WorkerStatus | None:
    """What the leader knows of that worker; its name ends with its process id."""
    answer = cluster.status(cluster.leader())
    found = [w for w in (answer.workers if answer else []) if w.name.endswith(f":{process.pid}")]
    return found[0] if found else None


def test_a_job_runs_with_its_arguments_and_its_result_and_log_come_back(client: Client) -> None:
    text = "größer als 2^53"
    job_id = client.enqueue("upper", {"text": text})
    job = client.wait(job_id, timeout=20.0)
    assert (job.state, job.result, job.attempt, job.failures) == ("completed", text.upper(), 1, 0)
    assert [line.message for line in client.logs(job_id)] == [f"{len(text)} characters"]
    value = {"nested": [1, 2.5, None, True, {"ключ": "\u2028 \U0001f600"}]}
    assert client.wait(client.enqueue("echo", value), timeout=20.0).result == value


def test_many_jobs_all_run_once(client: Client) -> None:
    ids = client.enqueue_many([("echo", {"n": n}) for n in range(500)])
    jobs = [client.wait(job_id, timeout=30.0) for job_id in ids]
    assert [(job.state, job.result, job.attempt) for job in jobs] == [
        ("completed", {"n": n}, 1) for n in range(500)
    ]


def test_a_handler_that_throws_is_retried_and_the_job_ends_dead(client: Client) -> None:
    retry = RetryPolicy(max_retries=2, delay=0.05, jitter=0.0)
    job_id = client.enqueue("upper", {"no text": True}, retry=retry)
    job = client.wait(job_id, timeout=20.0)
    assert (job.state, job.attempt, job.failures) == ("dead", 3, 3)
    assert job.error.startswith("TypeError: ")
    assert "main.js" in job.error, "the trace is there"
    assert [attempt.state for attempt in client.history(job_id)] == ["failed"] * 3


def test_a_type_without_a_handler_is_a_failure_that_says_so(client: Client) -> None:
    job = client.wait(client.enqueue("unheard-of", retry=RetryPolicy(max_retries=0)), timeout=20.0)
    assert job.state == "dead"
    assert "no handler for type 'unheard-of'" in job.error


def test_progress_is_seen_and_cancelling_ends_the_handler_and_frees_its_slot(
    cluster: LocalCluster, client: Client
) -> None:
    job_id = client.enqueue("wait", {"seconds": 60})
    seen = eventually(lambda: client.get(job_id).progress, "progress")
    assert eventually(lambda: client.get(job_id).progress > seen, "progress goes on")
    before = session(cluster, cluster.workers[0])
    assert before is not None
    assert before.used == 1
    assert client.cancel(job_id) == "requested"
    job = await_state(client, job_id, "cancelled")
    assert job.attempt == 1
    assert [attempt.state for attempt in client.history(job_id)] == ["cancelled"]

    def free() -> bool:
        now = session(cluster, cluster.workers[0])
        return now is not None and (now.used, now.stuck) == (0, 0)

    # Without the worker's report the slot would stay taken: only that the handler has ended frees it.
    eventually(free, "the slot is free")


def test_running_jobs_survive_a_killed_owner_and_a_stopped_one_with_attempt_1(
    cluster: LocalCluster, client: Client, tmp_path: Path
) -> None:
    """The first owner, which leads, is killed; one job ends while the worker has no stream.  The second owner
    is stopped in order, and the other job ends at the third one."""
    first = cluster.leader()
    ledger, long, short = (tmp_path / name for name in ("ledger", "long", "short"))
    cluster.worker_program(["node", str(HOLDING), cluster.addresses[first], str(ledger)])
    ids = client.enqueue_many([("hold", {"path": str(path)}) for path in (long, short)], queue="holding")
    job, brief = (await_state(client, job_id, "running") for job_id in ids)
    assert {job.owner, brief.owner} == {cluster.node_id(first)}
    cluster.kill(first)
    short.touch()
    brief = client.wait(brief.id, timeout=30.0)
    assert (brief.state, brief.result, brief.attempt, brief.losses) == ("completed", 1, 1, 0)
    job = moved_from(client, job)
    cluster.restart(first)
    cluster.await_healthy()
    second = int(job.owner.removeprefix("n")) - 1
    assert cluster.node(second).stop() == 0
    job = moved_from(client, job)
    assert job.state == "running"
    long.touch()
    job = client.wait(job.id, timeout=20.0)
    assert (job.state, job.result, job.attempt, job.losses) == ("completed", 1, 1, 0)
    assert [len(client.history(job_id)) for job_id in ids] == [1, 1]
    assert sorted(ledger.read_text().splitlines()) == ["end long", "end short", "start long", "start short"]
    cluster.restart(second)
    cluster.await_healthy()


def moved_from(client: Client, before: Job) -> Job:
    """The job, once another node owns it."""
    return eventually(
        lambda: [job for job in [client.get(before.id)] if job.owner not in ("", before.owner)],
        f"another owner than {before.owner}",
    )[0]


def test_sigterm_lets_a_running_job_end_and_ends_the_session(cluster: LocalCluster, client: Client) -> None:
    process = cluster.workers[0]
    job_id = client.enqueue("wait", {"seconds": 1})
    await_state(client, job_id, "running")
    assert process.stop() == 0
    job = client.get(job_id)
    assert (job.state, job.result, job.attempt) == ("completed", "waited 1 s", 1)
    assert session(cluster, process) is None


def test_a_drain_by_command_lets_a_running_job_end_and_ends_the_process(
    cluster: LocalCluster, client: Client
) -> None:
    process = start_example(cluster)
    job_id = client.enqueue("wait", {"seconds": 1})
    await_state(client, job_id, "running")
    known = session(cluster, process)
    assert known is not None
    client.cluster.drain_worker(known.id)
    assert process.wait(20.0) == 0
    job = client.get(job_id)
    assert (job.state, job.attempt) == ("completed", 1)
    assert session(cluster, process) is None
