"""`cluster backup`, `restore`, `recover` and `verify`: what they print, what they refuse, in which words."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrix_raft.client.backups import Backup, NodeContents, Verification
from orchestrix_raft.storage.layout import DataDirectory
from tests.unit.cli.conftest import RecordingClient
from tests.unit.coordinator.test_renewal import Former, write_backup

MADE = Backup(
    path="b",
    index=77,
    term=3,
    digest="ab" * 16,
    bytes=5_000,
    jobs={"pending": 2, "running": 1, "completed": 5, "dead": 1},
    cluster_id="c1",
    node_id="n2",
    time=datetime(2026, 3, 1, 12, tzinfo=UTC),
)


@pytest.fixture
def former(tmp_path: Path) -> Former:
    return Former(tmp_path / "n1", covered=2)


@pytest.fixture
def file(former: Former, tmp_path: Path) -> Path:
    return write_backup(tmp_path / "backup", former)


# ---- backup


def test_a_backup_is_one_line(client: RecordingClient, run: Any) -> None:
    client.answers["backup"] = MADE
    done = run("cluster", "backup", "b", "--servers", "a:1")
    assert done.out == f"b: index 77, 9 jobs (3 unfinished), 5000 bytes, digest {'ab' * 16}\n"
    assert client.calls == [("backup", (Path("b"),), {"force": False})]
    run("cluster", "backup", "b", "--force")
    assert client.calls[1][2] == {"force": True}
    document = json.loads(run("cluster", "backup", "b", "--json").out)
    assert document["jobs"]["pending"] == 2
    assert document["time"].startswith("2026-03-01T12:00:00")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            FileExistsError("b exists already"),
            "b exists already: name another file, or replace it with --force",
        ),
        (OSError(28, "No space left on device", "/x/b"), "/x/b: No space left on device"),
        (OSError(28, "No space left on device"), "b: No space left on device"),
    ],
)
def test_a_backup_that_was_not_made_is_one_line(
    client: RecordingClient, run: Any, error: Exception, says: str
) -> None:
    client.answers["backup"] = error
    done = run("cluster", "backup", "b")
    assert (done.code, done.out, done.err) == (1, "", f"orchestrix-raft: {says}\n")


def test_a_file_is_checked_without_a_cluster(run: Any, file: Path) -> None:
    done = run("cluster", "backup", "--check", str(file))
    assert done.code == 0
    assert f"{file}: whole; cluster former, made by node n1 (1) at " in done.out
    assert "index 3, 0 jobs (0 unfinished)" in done.out
    assert json.loads(run("cluster", "backup", "--check", str(file), "--json").out)["index"] == 3
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    done = run("cluster", "backup", "--check", str(file))
    assert (done.code, done.out) == (1, "")
    assert "SHA-256 of its content differs" in done.err


# ---- restore


def test_a_restore_says_what_it_made_and_what_comes_next(run: Any, file: Path, tmp_path: Path) -> None:
    target = tmp_path / "new"
    done = run("cluster", "restore", str(file), "--data-dir", str(target), "--node-id", "n7")
    assert done.code == 0, done.err
    first, second, third = done.out.splitlines()
    assert first.startswith(f"restored {file}: index 3, 0 jobs (0 unfinished), digest ")
    assert "node n7, log from index 1000000003, generation 1" in second
    assert third == f"next: orchestrix-raft node --data-dir {target}"
    again = run("cluster", "restore", str(file), "--data-dir", str(target))
    assert (again.code, again.out) == (1, "")
    assert "not empty" in again.err
    document = json.loads(run("cluster", "restore", str(file), "--data-dir", f"{target}2", "--json").out)
    assert document["backup"]["digest"] == document["digest"]
    assert document["generation"] == 1


@pytest.mark.parametrize("name", ["a b", "x" * 300, "n/1"])
def test_a_node_id_that_cannot_be_one_is_wrong_usage(run: Any, file: Path, tmp_path: Path, name: str) -> None:
    done = run("cluster", "restore", str(file), "--data-dir", str(tmp_path / "new"), "--node-id", name)
    assert (done.code, done.out) == (2, "")
    assert "--node-id" in done.err
    assert not (tmp_path / "new").exists()


def test_a_restore_needs_to_be_told_where(run: Any, file: Path) -> None:
    done = run("cluster", "restore", str(file))
    assert done.code == 2
    assert "--data-dir" in done.err


# ---- recover


def test_without_the_flag_a_recovery_only_says_what_there_is(run: Any, former: Former) -> None:
    done = run("cluster", "recover", "--data-dir", str(former.path))
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert "nothing was changed" in done.err
    assert "node n1 of cluster former (n1, n2, n3), log up to entry 5 of term 4" in done.err
    assert not (former.path / "before-recovery-1").exists()


def test_a_recovery_says_what_is_kept_what_may_be_lost_and_what_comes_next(run: Any, former: Former) -> None:
    done = run("cluster", "recover", "--data-dir", str(former.path), "--force-new-cluster")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "its former journal and state are in" in lines[0]
    assert "kept: its whole log, up to entry 5 of term 4 (20" in lines[1]
    assert lines[2].startswith("of that, the last 2 entries are not known to have been acknowledged")
    assert lines[3].startswith("lost: whatever n2, n3 acknowledged and this node never received")
    assert lines[-1] == f"next: orchestrix-raft node --data-dir {former.path}"
    alone = run("cluster", "recover", "--data-dir", str(former.path), "--force-new-cluster", "--json")
    document = json.loads(alone.out)
    assert document["former"]["members"] == ["n1"]
    assert document["generation"] == 2
    assert document["kept"].endswith("before-recovery-2")


def test_a_directory_in_use_is_left_alone(run: Any, former: Former) -> None:
    directory = DataDirectory.open(former.path)
    done = run("cluster", "recover", "--data-dir", str(former.path), "--force-new-cluster")
    directory.close()
    assert done.code == 1
    assert "in use by another node" in done.err


def test_a_recovery_that_was_cut_short_is_completed_and_nothing_else_is_done(
    run: Any, former: Former
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrix_raft.storage.offline.Survivor.put_in_place", _dies)
        with pytest.raises(KeyError):
            run("cluster", "recover", "--data-dir", str(former.path), "--force-new-cluster")
    done = run("cluster", "recover", "--data-dir", str(former.path))
    assert done.code == 1
    assert "complete it first, with --force-new-cluster" in done.err
    done = run("cluster", "recover", "--data-dir", str(former.path), "--force-new-cluster")
    assert done.code == 0
    assert "completed the recovery that was cut short" in done.out
    directory = DataDirectory.open(former.path)
    assert directory.identity.cluster_id != "former"
    directory.close()


def _dies(survivor: object) -> None:
    raise KeyError("the machine dies here")


# ---- verify


def contents(node_id: str, digest: str, error: str = "") -> NodeContents:
    return NodeContents(node_id, f"{node_id}:7400", digest, 3 if digest else 0, 40 if digest else 0, error)


def verification(*nodes: NodeContents) -> Verification:
    digests = {node.digest for node in nodes}
    return Verification(9, len(digests) == 1 and "" not in digests, list(nodes))


def test_equal_nodes_are_listed_and_said_to_be(client: RecordingClient, run: Any) -> None:
    client.answers["verify"] = verification(contents("n1", "aa"), contents("n2", "aa"))
    done = run("cluster", "verify", "--timeout", "90s")
    assert done.code == 0
    assert done.out.splitlines()[0].split() == ["NODE", "ADDRESS", "DIGEST", "ROWS", "BYTES", "RESULT"]
    assert done.out.splitlines()[-1] == "2 nodes asked, all hold the same as of log index 9"
    assert client.calls == [("verify", (), {"timeout": 90.0})]
    assert json.loads(run("cluster", "verify", "--json").out)["agree"]


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        (
            (contents("n1", "aa"), contents("n2", "bb"), contents("n3", "aa")),
            "n2 holds other data than n1, n3 as of log index 9",
        ),
        (
            (contents("n1", "aa"), contents("n2", "bb"), contents("n3", "", "it does not answer")),
            "none is in the majority; not known of n3",
        ),
        (
            (contents("n1", "aa"), contents("n2", "aa"), contents("n3", "", "it does not answer")),
            "not known of n3; the others hold the same as of log index 9",
        ),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_difference_or_a_silent_node_is_a_failure_that_names_it(
    client: RecordingClient, run: Any, nodes: tuple[NodeContents, ...], says: str, as_json: bool
) -> None:
    client.answers["verify"] = verification(*nodes)
    done = run("cluster", "verify", *(["--json"] if as_json else []))
    assert done.code == 1
    assert says in done.err
    assert done.err.count("\n") == 1
    if as_json:
        assert not json.loads(done.out)["agree"]
    else:
        assert all(node.node_id in done.out for node in nodes)


def test_a_time_that_is_none_is_wrong_usage(client: RecordingClient, run: Any) -> None:
    done = run("cluster", "verify", "--timeout", "soon")
    assert done.code == 2
    assert "--timeout" in done.err
    assert not client.calls
