"""`check-history`: its words, its exit codes, its JSON."""

import json
import socket
from pathlib import Path

import pytest

from orchestrix_raft.cli.app import run
from orchestrix_raft.history.records import to_line
from tests.unit.history.telling import Tale


def written(tale: Tale, path: Path) -> str:
    path.write_bytes(b"".join(to_line(record) for record in tale.records))
    return str(path)


def test_a_clean_history_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tale = Tale()
    tale.enqueue("a", "j")
    tale.run("w", "j", 1)
    tale.event("job_assigned", "j", token=1)
    tale.final("j", "completed", (1, "completed"))
    tale.over(0)
    assert run(["check-history", written(tale, tmp_path / "history")]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("11 lines of 3 processes: 1 operation, 1 execution, 1 event\n")
    assert told.out.endswith("\nno violation\n")
    assert not told.err


def test_a_violation_ends_with_1_and_shows_the_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tale = Tale()
    tale.enqueue("b", "other")
    tale.enqueue("a", "j")
    tale.get("b", "other", "running", token=5)
    tale.get("a", "j", "not_found")
    path = written(tale, tmp_path / "history")
    assert run(["check-history", path]) == 1
    out = capsys.readouterr().out
    assert "jobs: job j: no order of its operations explains that it was seen as not_found\n" in out
    shown = [line for line in out.splitlines() if line.startswith("  history:")]
    assert [line.split()[0] for line in shown] == ["history:5:", "history:6:", "history:9:", "history:10:"]
    assert run(["check-history", path, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["violated"]
    assert document["report"]["verdicts"][0]["word"] == "violation"


def test_what_cannot_be_read_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tale = Tale()
    tale.enqueue("a", "j")
    path = tmp_path / "history"
    for content, line in ((b"no history\n", 1), (b"".join(to_line(r) for r in tale.records[1:]), 1)):
        path.write_bytes(content)
        assert run(["check-history", str(path)]) == 2
        told = capsys.readouterr()
        assert not told.out
        assert f"history:{line}: " in told.err
        assert told.err.count("\n") == 1
    assert run(["check-history", str(tmp_path / "missing")]) == 2


def test_a_search_without_enough_steps_is_not_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tale = Tale()
    tale.enqueue("a", "j")
    tale.get("a", "j", "pending")
    assert run(["check-history", written(tale, tmp_path / "history"), "--steps", "1"]) == 0
    out = capsys.readouterr().out
    assert "jobs: not decided: an order of 2 operations on one job takes too many steps" in out
    assert out.splitlines()[-1].startswith("no violation; not decided: jobs")


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("processes", [0, 1])
def test_nothing_to_judge_is_not_ok(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], processes: int, as_json: bool
) -> None:
    tale = Tale()
    for name in range(processes):  # whose header is all that it has written
        tale.who(str(name))
    path = written(tale, tmp_path / "history")
    assert run(["check-history", path, *(["--json"] if as_json else [])]) == 2
    told = capsys.readouterr()
    assert not told.out
    lines = ("0 lines of 0 processes", "1 line of 1 process")[processes]
    assert f"there was nothing to judge in {lines}: " in told.err
    assert told.err.count("\n") == 1


def test_nodes_that_do_not_answer_leave_nothing_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrix_raft.cli.options.PATIENCE_S", 0.1)
    tale = Tale()
    tale.enqueue("a", "j")
    with socket.socket() as bound:  # and not listening: nobody else is there, either
        bound.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{bound.getsockname()[1]}"
        assert run(["check-history", written(tale, tmp_path / "history"), "--servers", server]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert "nothing was judged, because the nodes do not say" in told.err
    assert "leave --servers out" in told.err
    assert told.err.count("\n") == 1
