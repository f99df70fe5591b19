"""`cluster backup`, `restore`, `recover` and `verify`: what they print, what they refuse, in which words."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrix_raft import ClusterStatus
from orchestrix_raft.cli.status import Silent
from orchestrix_raft.client.backups import Backup, NodeContents, Verification
from orchestrix_raft.client.backups import verification as found_in
from orchestrix_raft.client.model import status_of
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.wire.cluster import StatusResponse
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
        (
            OSError(28, "No space left on device", "/x/b"),
            "/x/b: no room for the backup (No space left on device): nothing is left of it",
        ),
        (
            OSError(28, "No space left on device"),
            "b: no room for the backup (No space left on device): nothing is left of it",
        ),
        (OSError(2, "No such file", "/x"), "/x: there is no such directory: make it first"),
        (OSError(2, "No such file", "/proc"), "/proc: no file can be made there: name another place"),
        (OSError(22, "it is a pipe", "/x"), "/x: it is a pipe: name another place"),
        (OSError(21, "Is a directory", "b"), "b is a directory: name a file in it, such as b/backup"),
        (
            OSError(13, "Permission denied", "/x"),
            "/x: this user cannot write there (Permission denied): name another place",
        ),
        (OSError(5, "Input/output error", "/x"), "/x: Input/output error"),
    ],
)
def test_a_backup_that_was_not_made_is_one_line(
    client: RecordingClient, run: Any, error: Exception, says: str
) -> None:
    client.answers["backup"] = error
    done = run("cluster", "backup", "b")
    assert (done.code, done.out, done.err) == (1, "", f"orchestrix-raft: {says}\n")


def test_what_an_interrupted_backup_had_left_is_said_to_be_removed(client: RecordingClient, run: Any) -> None:
    client.answers["backup"] = msgspec.structs.replace(MADE, removed=[".b.77.partial"])
    first, second = run("cluster", "backup", "b").out.splitlines()
    assert first == "removed .b.77.partial, which an earlier backup that was cut short had left"
    assert second.startswith("b: index 77")


def test_a_check_says_the_same_size_as_the_backup_did(run: Any, file: Path) -> None:
    size = file.stat().st_size
    assert f", {size} bytes, " in run("cluster", "backup", "--check", str(file)).out
    document = json.loads(run("cluster", "backup", "--check", str(file), "--json").out)
    assert document["bytes"] == size > document["state_bytes"] > 0


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


def test_a_restore_that_was_killed_is_done_anew_and_said(run: Any, file: Path, tmp_path: Path) -> None:
    target = tmp_path / "new"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrix_raft.storage.offline.write_format", _dies)
        patch.setattr("orchestrix_raft.storage.offline._unmake", lambda path: None)  # as if killed there
        patch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        patch.setattr(Path, "rmdir", lambda path: None)
        with pytest.raises(KeyError):
            run("cluster", "restore", str(file), "--data-dir", str(target))
    assert (target / "half-made").exists()
    done = run("cluster", "restore", str(file), "--data-dir", str(target))
    assert done.code == 0, done.err
    assert done.out.startswith(f"removed from {target} what an earlier restore that was cut short had left\n")
    assert not (target / "half-made").exists()


def test_a_restore_needs_to_be_told_where(run: Any, file: Path) -> None:
    done = run("cluster", "restore", str(file))
    assert done.code == 2
    assert "--data-dir" in done.err


# ---- recover


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> dict[str, ClusterStatus]:
    """What the other members answer, by address; those that are missing do not."""
    found: dict[str, ClusterStatus] = {}

    async def ask_each(servers: list[str], tls: object) -> list[ClusterStatus | Silent]:
        return [found.get(server, Silent(server, "cannot connect")) for server in servers]

    monkeypatch.setattr("orchestrix_raft.cli.status.ask_each", ask_each)
    return found


def of_cluster(cluster_id: str, leader: str, stale: bool = False) -> ClusterStatus:
    return status_of(StatusResponse(cluster_id=cluster_id, leader=leader, stale=stale))


@pytest.mark.usefixtures("others")
def test_without_the_flag_a_recovery_reports_what_it_would_do_and_does_nothing(
    run: Any, former: Former
) -> None:
    data = [former.path / "identity", *former.path.glob("*/data.mdb")]
    before = [path.read_bytes() for path in data]
    done = run("cluster", "recover", "--data-dir", str(former.path))
    assert (done.code, done.err) == (0, ""), "a report was asked for, and here it is"
    lines = done.out.splitlines()
    assert "node n1 of cluster former (n1, n2, n3), log up to entry 5 of term 4" in lines[0]
    assert lines[1:3] == [f"{name} at {name}:7400: no answer (cannot connect)" for name in ("n2", "n3")]
    assert "would make a new cluster of node n1 alone" in lines[3]
    assert "lost: whatever n2, n3 acknowledged" in done.out
    assert lines[-1] == (
        "nothing was changed; to do it: orchestrix-raft cluster recover --force-new-cluster --data-dir "
        f"{former.path}"
    )
    assert not (former.path / "before-recovery-1").exists()
    assert [path.read_bytes() for path in data] == before
    document = json.loads(run("cluster", "recover", "--data-dir", str(former.path), "--json").out)
    assert (document["changed"], document["refused"]) == (False, "")
    assert document["former"]["last_index"] == 5
    assert [(other["node_id"], other["leader"]) for other in document["others"]] == [("n2", ""), ("n3", "")]


@pytest.mark.usefixtures("others")
def test_a_recovery_says_what_is_kept_what_may_be_lost_and_what_comes_next(run: Any, former: Former) -> None:
    forced = ("cluster", "recover", "--data-dir", str(former.path), "--force-new-cluster")
    done = run(*forced)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "its former journal and state are in" in lines[0]
    assert "kept: its whole log, up to entry 5 of term 4 (20" in lines[1]
    assert lines[2].startswith("of that, the last 2 entries are not known to have been acknowledged")
    assert lines[3].startswith("lost: whatever n2, n3 acknowledged and this node never received")
    assert lines[-1] == f"next: orchestrix-raft node --data-dir {former.path}"
    alone = run(*forced)
    assert (alone.code, alone.out) == (1, "")
    assert (
        "nothing was changed: node n1 is the only member of its cluster, so no majority is lost" in alone.err
    )
    assert f"start it, with `orchestrix-raft node --data-dir {former.path}`" in alone.err
    report = run("cluster", "recover", "--data-dir", str(former.path))
    assert report.code == 0
    assert "nothing was changed, and a recovery would be refused: node n1 is the only member" in report.out
    document = json.loads(run(*forced, "--despite-majority", "--json").out)
    assert document["changed"]
    assert document["former"]["members"] == ["n1"]
    assert document["generation"] == 2
    assert document["kept"].endswith("before-recovery-2")


def test_a_node_that_has_received_nothing_yet_is_not_recovered(run: Any, tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path / "n4")
    directory.set_node_id("n4")
    directory.set_joined("former", 9, {"n1": "n1:7400"})
    directory.open_journal()
    directory.open_state_store()
    directory.close()
    done = run("cluster", "recover", "--data-dir", str(tmp_path / "n4"), "--force-new-cluster")
    assert (done.code, done.out) == (1, "")
    assert "node n4 was added to its cluster and has received nothing of it" in done.err


def test_a_cluster_that_works_is_not_recovered(
    run: Any, former: Former, others: dict[str, ClusterStatus]
) -> None:
    others["n3:7400"] = of_cluster("former", "n2")
    forced = ("cluster", "recover", "--data-dir", str(former.path), "--force-new-cluster")
    done = run(*forced)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        "orchestrix-raft: nothing was changed: the cluster works: node n3 at n3:7400 answers, and n2 leads. "
    )
    report = run("cluster", "recover", "--data-dir", str(former.path))
    assert report.code == 0
    assert "n3 at n3:7400: answers, and n2 leads\n" in report.out
    assert "a recovery would be refused: the cluster works" in report.out
    assert run(*forced, "--despite-majority").code == 0


@pytest.mark.parametrize(
    "answer", [of_cluster("former", ""), of_cluster("former", "n2", stale=True), of_cluster("another", "m1")]
)
def test_who_answers_without_a_majority_is_no_reason_against_a_recovery(
    run: Any, former: Former, others: dict[str, ClusterStatus], answer: ClusterStatus
) -> None:
    others["n2:7400"] = answer
    report = run("cluster", "recover", "--data-dir", str(former.path)).out
    assert "n2 at n2:7400: answers" in report
    assert run("cluster", "recover", "--data-dir", str(former.path), "--force-new-cluster").code == 0


def test_a_directory_in_use_is_left_alone(run: Any, former: Former) -> None:
    directory = DataDirectory.open(former.path)
    done = run("cluster", "recover", "--data-dir", str(former.path), "--force-new-cluster")
    directory.close()
    assert done.code == 1
    assert f"in use by a running node (process {os.getpid()}): stop it first, or name another" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.usefixtures("others")
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
    return found_in(9, list(nodes))


def test_equal_nodes_are_listed_and_said_to_be(client: RecordingClient, run: Any) -> None:
    client.answers["verify"] = verification(contents("n1", "aa"), contents("n2", "aa"))
    done = run("cluster", "verify", "--timeout", "90s")
    assert done.code == 0
    assert done.out.splitlines()[0].split() == ["NODE", "ADDRESS", "DIGEST", "ROWS", "BYTES", "RESULT"]
    assert done.out.splitlines()[-1] == "2 nodes asked, all hold the same as of log index 9"
    assert client.calls == [("verify", (), {"timeout": 90.0})]
    assert json.loads(run("cluster", "verify", "--json").out)["agree"]


SILENT = contents("n3", "", "it does not answer")


@pytest.mark.parametrize(
    ("nodes", "agree", "unanswered", "says"),
    [
        (
            (contents("n1", "aa"), contents("n2", "bb"), contents("n3", "aa")),
            False,
            [],
            "n2 holds other data than n1, n3 as of log index 9",
        ),
        (
            (contents("n1", "aa"), contents("n2", "bb"), SILENT),
            False,
            ["n3"],
            "none is in the majority; no answer from n3",
        ),
        (
            (contents("n1", "aa"), contents("n2", "aa"), SILENT),
            True,
            ["n3"],
            "no difference between n1, n2 as of log index 9, but no answer from n3: ask again",
        ),
        (
            (contents("n1", "aa"), contents("n2", "", "late"), SILENT),
            None,
            ["n2", "n3"],
            "no answer from n2, n3: there was nothing to compare",
        ),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_difference_is_told_from_a_silent_node_and_both_are_failures(
    client: RecordingClient,
    run: Any,
    nodes: tuple[NodeContents, ...],
    agree: bool | None,
    unanswered: list[str],
    says: str,
    as_json: bool,
) -> None:
    client.answers["verify"] = verification(*nodes)
    done = run("cluster", "verify", *(["--json"] if as_json else []))
    assert done.code == 1
    assert says in done.err
    assert done.err.count("\n") == 1
    if as_json:
        document = json.loads(done.out)
        assert (document["agree"], document["unanswered"]) == (agree, unanswered)
    else:
        assert all(node.node_id in done.out for node in nodes)


def test_a_cluster_of_one_agrees_with_itself() -> None:
    found = verification(contents("n1", "aa"))
    assert (found.agree, found.unanswered, found.whole) == (True, [], True)
    assert verification(SILENT).agree is None
    assert not verification(contents("n1", "aa"), contents("n2", "aa"), SILENT).whole


def test_a_time_that_is_none_is_wrong_usage(client: RecordingClient, run: Any) -> None:
    done = run("cluster", "verify", "--timeout", "soon")
    assert done.code == 2
    assert "--timeout" in done.err
    assert not client.calls
