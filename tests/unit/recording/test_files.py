"""Histories in files: written by several, read whole, and what is none is said with file and line."""

import threading
from pathlib import Path

import pytest

from orchestrix_raft.history.records import Ack, Header, Line
from orchestrix_raft.recording.reading import Unreadable, read_history
from orchestrix_raft.recording.writing import VARIABLE, open_recorder, recorder_of


def test_what_many_threads_and_recorders_write_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "history"
    recorders = [open_recorder(path, "worker", f"w{n}") for n in range(4)]

    def write(number: int) -> None:
        for token in range(200):
            recorders[number].acknowledged(token, accepted=True)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = [line.record for line in read_history([path])]
    headers = [record for record in records if isinstance(record, Header)]
    assert [header.name for header in headers] == ["w0", "w1", "w2", "w3"]
    assert len({header.clock for header in headers}) == 1
    for recorder in recorders:
        own = [record for record in records if isinstance(record, Ack) and record.p == recorder.process]
        assert [record.token for record in own] == list(range(200))
        assert [record.t for record in own] == sorted(record.t for record in own)


def test_a_directory_is_read_file_by_file(tmp_path: Path) -> None:
    for name in ("b", "a"):
        open_recorder(tmp_path / name, "client", name)
    lines = list(read_history([tmp_path]))
    assert [line.where for line in lines] == ["a:1", "b:1"]


def test_a_line_that_was_being_written_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history"
    open_recorder(path, "client")
    with path.open("ab") as file:
        file.write(b'{"e":"ack","p":"x"')
    assert len(list(read_history([path]))) == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"hello\n", "not a line of a history"),
        (b"\n", "not a line of a history"),
        (b"\xff\xfe\n", "not a line of a history"),
        (b'{"e":"song"}\n', "not a line of a history"),
        (b'{"e":"ack","p":"x","t":"soon","token":1,"accepted":true}\n', "not a line of a history"),
        (
            b'{"e":"history","v":2,"p":"x","clock":"c"}\n',
            "a history of version 2; this program reads version 1",
        ),
        (b"[" * 100_000 + b"\n", "not a line of a history"),
    ],
)
def test_what_is_no_line_is_said_with_file_and_line(tmp_path: Path, line: bytes, why: str) -> None:
    path = tmp_path / "history"
    open_recorder(path, "client")
    with path.open("ab") as file:
        file.write(line)
    with pytest.raises(Unreadable) as caught:
        list(read_history([path]))
    assert str(caught.value).startswith(f"{path}:2: {why}")
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="missing: No such file"):
        list(read_history([tmp_path / "missing"]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(Unreadable, match="there is no file in it"):
        list(read_history([tmp_path / "empty"]))


def test_the_environment_names_a_file_and_nothing_is_recorded_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert recorder_of(None, "client") is None
    monkeypatch.setenv(VARIABLE, "")
    assert recorder_of(None, "client") is None
    monkeypatch.setenv(VARIABLE, str(tmp_path / "history"))
    recorder = recorder_of(None, "client")
    assert recorder is not None
    assert recorder_of(recorder, "worker") is recorder
    lines: list[Line] = list(read_history([tmp_path / "history"]))
    assert isinstance(lines[0].record, Header)


def test_a_line_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="No space left"):
        open_recorder("/dev/full", "client")
