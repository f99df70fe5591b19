"""Where output goes may be closed, full, left early or unable to show a letter: never a traceback."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout

import pytest

from orchestrix_raft.cli import app, output

LONG = ("schedules", "preview", "* * * * *", "--count", "1000", "--json")  # more than a pipe holds


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "orchestrix_raft", *arguments]


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = subprocess.run(command(*LONG), stdout=writes, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no such device")
def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(command(*LONG), stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("orchestrix-raft: cannot write the output: ")
    assert len(done.stderr.splitlines()) == 1


def test_closed_streams_do_not_matter() -> None:
    """Both: what is printed then must not become a fault of its own."""
    done = subprocess.run(["/bin/sh", "-c", 'exec "$@" >&- 2>&-', "sh", *command(*LONG)])
    assert done.returncode == 0


def test_json_is_json_also_where_only_ascii_can_be_shown() -> None:
    raw = io.BytesIO()
    narrow = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    with redirect_stdout(narrow):
        output.document({"type": "é"})
    assert json.loads(raw.getvalue()) == {"type": "é"}


def test_an_argument_that_is_not_text_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(*arguments: object) -> None:
        "\udcff".encode()

    monkeypatch.setattr(app, "app", lambda *arguments, **options: send(*arguments))
    assert app.run(["jobs", "list", "--type", "\udcff"]) == 2
    assert "not text in UTF-8" in capsys.readouterr().err
