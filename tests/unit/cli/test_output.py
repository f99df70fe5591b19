"""Tables and facts: plain in a pipe, coloured on a terminal, harmless to it."""

import io
from contextlib import redirect_stdout

import pytest

from orchestrix_raft.cli import output


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_terminal_gets_colour() -> None:
    with redirect_stdout(_Terminal()) as terminal:
        output.table(("id", "state"), [("x", "dead")], "none")
        output.facts([("state", "dead")])
    assert terminal.getvalue().count("\x1b[31mdead") == 2


def test_markup_in_values_is_text() -> None:
    with redirect_stdout(_Terminal()) as terminal:
        output.table(("id",), [("[red]x[/red]",)], "none")
    assert "[red]x[/red]" in terminal.getvalue()


def test_a_pipe_gets_plain_uncut_columns(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    output.table(("id", "state"), [(long, "dead"), ("y", None)], "none")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{long}  dead"
    assert lines[2].split() == ["y", "-"]


def test_on_a_narrow_terminal_columns_are_left_out_rather_than_ids_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    job_id = "01a20814-04ff-70d8-9317-51388c8212d5"
    with redirect_stdout(_Terminal()) as terminal:
        output.table(("id", "type", "created", "worker"), [(job_id, "t", "x" * 20, "w")], "none")
    shown = terminal.getvalue()
    assert job_id in shown
    assert "x" * 20 not in shown
    assert "not shown, for want of width: created, worker" in shown


def test_control_characters_reach_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.line("a\x1b]0;title\x07b\tc")
    output.trouble("one\r\ntwo\x9b31m")
    out, err = capsys.readouterr()
    assert out == "a\\x1b]0;title\\x07b\tc\n"
    assert err == "orchestrix-raft: one\\x0d two\\x9b31m\n"


def test_facts_leave_out_what_has_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    output.facts([("a", 0), ("long name", "x"), ("b", None), ("c", ""), ("d", [])])
    assert capsys.readouterr().out == "a          0\nlong name  x\n"
