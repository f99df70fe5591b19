"""Bad input against real processes: one clear line on stderr, exit code 1 or 2, nothing half done."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from orchestrix_raft import Client, InvalidArgument, JobNotFound
from orchestrix_raft.testing import LocalCluster, eventually
from orchestrix_raft.testing.cluster import HOST, PEER_PORT_OFFSET, free_ports

pytestmark = pytest.mark.cluster
REFUSED, USAGE = 1, 2
UNKNOWN = str(uuid.UUID(int=(7 << 76) | (2 << 62) | 1))


class Ended(NamedTuple):
    code: int
    output: str
    trouble: str


def run(*arguments: str, servers: str = "", timeout_s: float = 30.0) -> Ended:
    """The program with these arguments, to its end."""
    environment = {"ORCHESTRIX_SERVERS": servers} if servers else {}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrix_raft", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**_environment(), **environment},
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRIX_")}


def assert_refused(ended: Ended, code: int, says: str) -> None:
    """One line on stderr that matches `says`, and nothing on stdout."""
    assert ended.code == code, ended
    assert len(ended.trouble.strip().splitlines()) == 1, ended
    assert re.search(says, ended.trouble), ended
    assert not ended.output, ended


# ---- the commands of a client ----------------------------------------------------------------------------

CLIENT_CASES = [
    (["jobs", "show", UNKNOWN], REFUSED, f"no .*job.*{UNKNOWN}|{UNKNOWN}.*no"),
    (["jobs", "cancel", UNKNOWN], REFUSED, UNKNOWN),
    (["jobs", "retry", UNKNOWN], REFUSED, UNKNOWN),
    (["jobs", "history", UNKNOWN], REFUSED, UNKNOWN),
    (["jobs", "logs", UNKNOWN], REFUSED, UNKNOWN),
    (["jobs", "wait", UNKNOWN, "--timeout", "1s"], REFUSED, UNKNOWN),
    (["jobs", "show", "not-a-uuid"], USAGE, "not-a-uuid"),
    (["enqueue", "noop", "--id", "not-a-uuid"], USAGE, "not-a-uuid"),
    (["enqueue", "noop", "--args", "{not json"], USAGE, "JSON"),
    (["enqueue", "noop", "--args", "[1, 2]"], USAGE, "object"),
    (["enqueue", "noop", "--args", '{"n": NaN}'], USAGE, "NaN"),
    (["enqueue", "noop", "--timeout", "-5s"], USAGE, "-5s"),
    (["enqueue", "noop", "--delay", "soon"], USAGE, "soon"),
    (["enqueue", "noop", "--at", "tomorrow"], USAGE, "tomorrow"),
    (["enqueue", "x" * 300], USAGE, "200"),
    (["enqueue", "noop", "--queue", "q" * 300], USAGE, "100"),
    (["enqueue", "noop", "--priority", "99999999999"], USAGE, "priority"),
    (["enqueue"], USAGE, "TYPE"),
    (["schedules", "cron", "s", "0 25 * * *", "noop"], REFUSED, r"hour: 25 .*0-23.*character 3 of"),
    (["schedules", "cron", "s", "0 0 31 2 *", "noop"], REFUSED, "never due .character 5 of"),
    (["schedules", "cron", "s", "@daily", "noop", "--timezone", "Europe/Berlni"], REFUSED, "Europe/Berlin"),
    (["schedules", "every", "s", "-5s", "noop"], USAGE, "negative"),
    (["schedules", "every", "s", "50ms", "noop"], REFUSED, "at least 100 ms"),
    (
        ["schedules", "every", "s", "5s", "noop", "--start", "2999-01-02", "--end", "2999-01-01"],
        REFUSED,
        "end",
    ),
    (["schedules", "every", "s", "5s", "noop", "--misfire", "never"], USAGE, "latest, skip, all"),
    (["schedules", "every", "s", "5s", "noop", "--overlap", "no"], USAGE, "skip, allow, buffer_one"),
    (["schedules", "at", "s", "2001-01-01", "noop"], REFUSED, "never due: .* more than a day ago"),
    (["schedules", "show", "nobody"], REFUSED, "no schedule 'nobody'"),
    (["schedules", "preview", "61 * * * *"], USAGE, "0-59.*character 1 of"),
    (["jobs", "list", "--state", "finished"], USAGE, "finished"),
    (["no-such-command"], USAGE, "no-such-command"),
]


@pytest.fixture(scope="module")
def started(shared: LocalCluster) -> Iterator[dict[str, Future[Ended]]]:
    """All bad commands, by their text, run side by side."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {
            " ".join(arguments): pool.submit(run, *arguments, servers=shared.servers)
            for arguments, *_ in CLIENT_CASES
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("arguments", "code", "says"), CLIENT_CASES, ids=lambda v: str(v)[:50])
def test_a_bad_command_is_refused_in_one_line(
    started: dict[str, Future[Ended]], arguments: list[str], code: int, says: str
) -> None:
    assert_refused(started[" ".join(arguments)].result(), code, says)


def test_nothing_of_all_that_was_done(shared: LocalCluster, started: dict[str, Future[Ended]]) -> None:
    """After the refusals above no job exists."""
    assert all(future.result().code for future in started.values())
    ended = run("jobs", "list", "--json", servers=shared.servers)
    assert json.loads(ended.output) == {"jobs": []}


def test_arguments_of_2_mib_are_refused_with_the_limit_and_the_others_are_enqueued(
    shared: LocalCluster,
) -> None:
    with Client(shared.servers) as client:
        with pytest.raises(InvalidArgument, match=r"1048576|1 MiB|1,048,576"):
            client.enqueue("noop", {"x": "x" * (2 << 20)})
        with pytest.raises(InvalidArgument) as refused:
            client.enqueue_many([("big", {"n": 1}), ("big", {"x": "x" * (2 << 20)}), ("big", {"n": 2})])
        assert len(refused.value.job_ids) == 1
        jobs = client.list_jobs(type="big")
        assert sorted(str(job.args) for job in jobs) == ["{'n': 1}", "{'n': 2}"]
        for job in jobs:
            client.cancel(job.id)
        with pytest.raises(InvalidArgument):
            client.enqueue("noop", timeout=-1.0)
        with pytest.raises(JobNotFound):
            client.get(UNKNOWN)


def test_no_server_is_one_line_too() -> None:
    (port,) = free_ports(1)
    assert_refused(run("status", servers=f"{HOST}:{port}"), REFUSED, str(port))


# ---- starting a node -------------------------------------------------------------------------------------


def node(*arguments: str, timeout_s: float = 30.0) -> Ended:
    return run("node", *arguments, timeout_s=timeout_s)


def assert_node_refuses(ended: Ended, code: int, says: str) -> None:
    """One line says it, once; a node that has served before it ends has lines of its log before that."""
    assert ended.code == code, ended
    lines = ended.trouble.strip().splitlines()
    assert re.search(says, lines[-1]), ended
    assert "Traceback" not in ended.trouble, ended
    assert len(lines) == 1 or " serves at " in ended.trouble, ended


@pytest.mark.parametrize("offset", [0, PEER_PORT_OFFSET], ids=["API", "peer link"])
def test_a_port_in_use_is_refused(tmp_path: Path, offset: int) -> None:
    (port,) = free_ports(1)
    with socket.create_server((HOST, port + offset)):
        ended = node("--listen", f"{HOST}:{port}", "--data-dir", str(tmp_path / "data"))
        assert_node_refuses(ended, REFUSED, f"{port + offset}.*(in use|using the port)")
        assert ended.trouble.count(str(port + offset)) == 1, ended
    assert not (tmp_path / "data").exists(), "it would belong to a node that never was"


def test_a_taken_port_is_said_before_the_cluster_is_formed(tmp_path: Path) -> None:
    ports = free_ports(3)
    peers = ",".join(f"{HOST}:{port}" for port in ports)
    with socket.create_server((HOST, ports[0])):
        listen = f"{HOST}:{ports[0]}"
        ended = node("--peers", peers, "--listen", listen, "--data-dir", str(tmp_path / "data"))
        assert_node_refuses(ended, REFUSED, f"{ports[0]}.*in use")


def test_a_second_node_at_one_address_is_refused_and_the_first_goes_on(
    shared: LocalCluster, tmp_path: Path
) -> None:
    ended = node("--listen", shared.addresses[0], "--data-dir", str(tmp_path / "data"))
    assert_node_refuses(ended, REFUSED, "in use|using the port")
    answer = shared.status(0)
    assert answer is not None
    assert answer.leader


def test_a_data_directory_in_use_is_refused(shared: LocalCluster) -> None:
    (port,) = free_ports(1)
    ended = node("--listen", f"{HOST}:{port}", "--data-dir", str(shared.node_dir(0)))
    assert_node_refuses(ended, REFUSED, f"in use.*{shared.node(0).pid}")


def test_an_address_twice_in_peers_is_refused(tmp_path: Path) -> None:
    one, two = (f"{HOST}:{port}" for port in free_ports(2))
    ended = node("--listen", one, "--peers", f"{one},{two},{two}", "--data-dir", str(tmp_path / "data"))
    assert_node_refuses(ended, USAGE, re.escape(two))
    assert not (tmp_path / "data").exists()


def test_peers_without_this_node_are_refused(tmp_path: Path) -> None:
    one, two, three = (f"{HOST}:{port}" for port in free_ports(3))
    ended = node("--listen", one, "--peers", f"{two},{three}", "--data-dir", str(tmp_path / "data"))
    assert_node_refuses(ended, USAGE, "--peers")
    assert not (tmp_path / "data").exists()


def test_a_directory_of_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "FORMAT").write_text("orchestrix-raft data directory, schema 999\n")
    (port,) = free_ports(1)
    ended = node("--listen", f"{HOST}:{port}", "--data-dir", str(data))
    assert_node_refuses(ended, REFUSED, "newer version")
    assert {path.name for path in data.iterdir()} <= {"FORMAT", "LOCK"}


def test_a_directory_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("two years of work")
    (port,) = free_ports(1)
    ended = node("--listen", f"{HOST}:{port}", "--data-dir", str(tmp_path))
    assert_node_refuses(ended, REFUSED, "neither empty nor a data directory")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_another_node_id_than_the_directory_has_is_refused(tmp_path: Path) -> None:
    with LocalCluster(nodes=1, data_dir=tmp_path) as cluster:
        pass
    ended = node(
        "--listen", cluster.addresses[0], "--node-id", "other", "--data-dir", str(cluster.node_dir(0))
    )
    assert_node_refuses(ended, REFUSED, "belongs to node n1")


def test_a_data_directory_of_another_cluster_is_refused_by_name(shared: LocalCluster, tmp_path: Path) -> None:
    """A node that comes with the data of another cluster to this one's peers: no merge, and it ends."""
    with LocalCluster(nodes=1, data_dir=tmp_path) as other:
        foreign = shutil.copytree(other.node_dir(0), tmp_path / "copy", ignore=shutil.ignore_patterns("LOCK"))
    before = shared.status(0)
    own = other.addresses[0]
    ended = node("--listen", own, "--peers", f"{own},{shared.servers}", "--data-dir", str(foreign))
    assert_node_refuses(ended, REFUSED, "belongs to cluster [0-9a-f]+")
    after = shared.status(0)
    assert before is not None
    assert after is not None
    assert after.cluster_id == before.cluster_id
    assert [member.node_id for member in after.nodes] == ["n1", "n2", "n3"]
    eventually(lambda: (shared.status(0) or after).leader, "the cluster still has a leader")
