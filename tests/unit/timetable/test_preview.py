"""`schedules preview`: runs, what clocks do to them, and one line for whatever is wrong."""

import json
from types import SimpleNamespace

import pytest

from orchestrix_raft.cli import app


def preview(capsys: pytest.CaptureFixture[str], *arguments: str) -> SimpleNamespace:
    code = app.run(["schedules", "preview", *arguments])
    out, err = capsys.readouterr()
    return SimpleNamespace(code=code, out=out, err=err)


def runs(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, str]]:
    done = preview(capsys, *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert list(document) == ["runs"]
    found: list[dict[str, str]] = document["runs"]
    return found


BERLIN = ("--timezone", "Europe/Berlin")
SPRING = (*BERLIN, "--from", "2026-03-28T00:00:00Z", "--count", "3")
AUTUMN = (*BERLIN, "--from", "2026-10-24T00:00:00Z", "--count", "3")


def test_a_shifted_run_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    found = runs(capsys, "30 2 * * *", *SPRING)
    assert [run["at"] for run in found] == [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-30T00:30:00Z",
    ]
    assert found[1]["local"] == "2026-03-29T03:00:00+02:00"
    assert found[1]["note"] == (
        "clocks forward 1h: 2026-03-29 02:00 -> 03:00; 02:30 does not exist: shifted to 03:00"
    )
    assert found[0]["note"] == found[2]["note"] == ""


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (("30 2 * * *", *SPRING, "--dst-gap", "skip"), "02:30 does not exist: skipped"),
        (("0 2,3 * * *", *SPRING), "02:00 does not exist: shifted to 03:00, merged with the run there"),
        (
            ("*/20 2 * * *", *BERLIN, "--from", "2026-03-29"),
            "02:00 to 02:40 does not exist: shifted to 03:00",
        ),
        (("30 */2 * * *", *BERLIN, "--from", "2026-03-29"), "02:30 does not exist: no run, the hours follow"),
        (("0 12 * * *", *SPRING), "clocks forward 1h: 2026-03-29 02:00 -> 03:00"),
        (("30 2 * * *", *AUTUMN), "the first of 2 times that clocks show 02:30"),
        (("30 2 * * *", *AUTUMN, "--dst-overlap", "last"), "the second of 2 times that clocks show 02:30"),
        (("30 2 * * *", *AUTUMN, "--dst-overlap", "last"), "clocks back 1h: 2026-10-25 03:00 -> 02:00"),
        (("0 0 29 2 *", *SPRING), "earlier changes since the run before"),
        (
            ("0 9 * * *", "--timezone", "Pacific/Apia", "--from", "2011-12-29T00:00:00Z"),
            "2011-12-30 00:00 -> 2011-12-31 00:00; 09:00 does not exist: shifted to 2011-12-31 00:00",
        ),
        (
            ("10 0 * * *", "--timezone", "Africa/Monrovia", "--from", "1972-01-06"),
            "clocks forward 44m30s: 1972-01-07 00:00 -> 00:44:30; 00:10 does not exist: shifted to 00:44:30",
        ),
    ],
)
def test_every_change_on_the_way_is_marked(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], note: str
) -> None:
    assert [run for run in runs(capsys, *arguments) if note in run["note"]]


def test_both_runs_of_a_repeated_hour_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    found = runs(capsys, "30 2 * * *", *AUTUMN, "--dst-overlap", "both")
    assert [run["local"][11:] for run in found] == ["02:30:00+02:00", "02:30:00+02:00", "02:30:00+01:00"]
    assert found[1]["note"] == "the first of 2 times that clocks show 02:30"
    assert found[2]["note"].endswith("the second of 2 times that clocks show 02:30")


def test_a_run_at_the_very_beginning_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    found = runs(capsys, "0 0 * * *", "--from", "2026-03-28", "--count", "1")
    assert found == [{"at": "2026-03-28T00:00:00Z", "local": "2026-03-28T00:00:00+00:00", "note": ""}]
    later = runs(capsys, "0 0 * * *", "--from", "2026-03-28T00:00:00.001Z", "--count", "1")
    assert later[0]["at"] == "2026-03-29T00:00:00Z"


def test_ten_runs_from_now_are_shown_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    done = preview(capsys, "0 2 * * *")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["AT", "LOCAL", "NOTE"]
    assert len(lines) == 11


def test_a_hash_without_an_id_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert "add --id ID" in preview(capsys, "H 2 * * *").out
    assert "add --id" not in preview(capsys, "H 2 * * *", "--id", "nightly").out
    assert runs(capsys, "H 2 * * *", "--id", "a") != runs(capsys, "H 2 * * *", "--id", "b")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("61 2 * * *",), "EXPR: minute: 61 is not allowed (allowed: 0-59) (character 1 of '61 2 * * *')"),
        (("0 0 31 2 *",), "never due (character 5 of '0 0 31 2 *')"),
        (
            ("0 2 * * *", "--timezone", "Berlin"),
            "--timezone: no such time zone: 'Berlin' (did you mean Europe/",
        ),
        (("0 2 * * *", "--dst-gap", "jump"), "--dst-gap: no such choice: 'jump' (there are shift, skip)"),
        (("0 2 * * *", "--dst-overlap", "x"), "(there are first, last, both)"),
        (("0 2 * * *", "--from", "now"), "--from: not a time: 'now'"),
        (("0 2 * * *", "--from", "1969-12-31"), "too early (from 1970-01-01T00:00:00Z on)"),
        (("0 2 * * *", "--count", "0"), "--count"),
        (("0 2 * * *", "--count", "1001"), "--count"),
        ((), "Missing argument 'EXPR'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], line: str
) -> None:
    done = preview(capsys, *arguments)
    assert done.code == 2
    assert line in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
