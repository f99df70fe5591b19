"""TLS on real nodes: it works from end to end, and what does not fit is said by whoever meets it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft import Client, TlsFiles
from orchestrix_raft.testing import LocalCluster, eventually

pytestmark = pytest.mark.cluster
CERTS = Path(__file__).parents[1] / "unit" / "coordinator" / "certs"


def pem(name: str) -> str:
    return str(CERTS / f"{name}.pem")


def options(certificate: str) -> dict[str, str]:
    return {
        "--tls-ca": pem("ca"),
        "--tls-cert": pem(certificate),
        "--tls-key": pem(f"{certificate}-key"),
    }


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Three nodes with TLS."""
    cluster = LocalCluster(nodes=3, data_dir=tmp_path_factory.mktemp("tls"), options=options("node"))
    try:
        for number in range(3):
            cluster.start_node(number)
        yield cluster.servers
    except BaseException as error:  # raised again, with what the nodes say
        error.add_note(cluster.tails())
        raise
    finally:
        cluster.kill_everything()


def status(servers: str, **files: str) -> subprocess.CompletedProcess[str]:
    """`jobs list` of the program, with PEM files by the end of their variable's name."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRIX_")}
    environment |= {f"ORCHESTRIX_TLS_{part}": path for part, path in files.items()}
    command = [sys.executable, "-m", "orchestrix_raft", "--servers", servers, "status"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30.0, env=environment)


def test_three_nodes_form_a_cluster_and_take_jobs(servers: str) -> None:
    with Client(servers, tls=TlsFiles(pem("ca"), pem("node"), pem("node-key")), deadline=30.0) as client:
        job_id = client.enqueue("noop")
        assert client.get(job_id).id == job_id
        assert len(client.status().nodes) == 3


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "if it uses TLS, give a CA file, a certificate and its key"),
        ({"CA": pem("ca")}, "wants a certificate and its key from callers too"),
        ({"CA": pem("other-ca")}, r"its certificate is not of the authority in .*other-ca\.pem"),
    ],
    ids=["no files", "no certificate", "another authority"],
)
def test_the_program_says_which_server_and_what_is_wrong(
    servers: str, files: dict[str, str], says: str
) -> None:
    server = servers.partition(",")[0]
    done = status(server, **files)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert re.search(f"cannot connect to {server}: .*{says}", line)


def test_a_node_with_a_certificate_for_another_host_is_refused_at_its_start(tmp_path: Path) -> None:
    cluster = LocalCluster(nodes=3, data_dir=tmp_path, options=options("laptop"))
    node = cluster.start_node(0)
    assert node.wait(15.0) == 1
    (line,) = [line for line in node.text().splitlines() if line.startswith("orchestrix-raft: ")]
    assert re.search(r"laptop\.pem is for laptop and not for 127\.0\.0\.1, so the other nodes", line)


def test_a_node_joins_under_tls_and_one_of_another_authority_does_not(tmp_path: Path) -> None:
    cluster = LocalCluster(nodes=1, data_dir=tmp_path, options=options("node"))
    try:
        cluster.start_node(0)
        cluster.add_node(join=0)
        tls = TlsFiles(pem("ca"), pem("node"), pem("node-key"))
        with Client(cluster.servers, tls=tls, deadline=30.0) as client:

            def roles() -> list[str]:
                return sorted(node.role for node in client.status().nodes)

            eventually(lambda: roles() == ["follower", "leader"], "the second node is a voter")
            cluster.options |= {"--tls-ca": pem("other-ca")}
            stranger = cluster.add_node(join=0)
            wrong = "certificate"
            eventually(lambda: wrong in cluster.node(stranger).text(), "the third hears what is wrong")
            assert roles() == ["follower", "leader"]
    except BaseException as error:  # raised again, with what the nodes say
        error.add_note(cluster.tails())
        raise
    finally:
        cluster.kill_everything()
