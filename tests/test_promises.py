"""Every guard that docs/explanation/promises.md names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "explanation" / "promises.md"
_ROW = re.compile(r"^\| (?!promise \|)(?!---)(.+?) \| (.*?) ?\| (.+) \|$", re.MULTILINE)
_NAME = re.compile(r"`([^`]+)`")


def _rows() -> list[tuple[str, list[str], list[str]]]:
    """(promise, invariants, tests) of each line of the tables."""
    found = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    return [(promise, _NAME.findall(watched), _NAME.findall(tests)) for promise, watched, tests in found]


@cache
def _defined(path: Path) -> frozenset[str]:
    """Functions, classes, and methods as `Class.method`."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}.{each.name}"
                for each in node.body
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return frozenset(names)


def _is_there(folder: str, guard: str) -> bool:
    name, _, inside = guard.partition("::")
    path = ROOT / folder / name
    return path.is_file() and (not inside or inside in _defined(path))


ROWS = _rows()


@pytest.mark.parametrize(("promise", "watched", "tests"), ROWS, ids=[row[0] for row in ROWS])
def test_every_guard_is_there(promise: str, watched: list[str], tests: list[str]) -> None:
    assert tests, promise
    assert [name for name in watched if not _is_there("orchestrix_raft", name)] == []
    assert [name for name in tests if not _is_there("tests", name)] == []


def test_all_lines_of_the_tables_were_read() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    heads = sum(line.startswith(("| promise |", "| --- |")) for line in lines)
    assert len(ROWS) == len(lines) - heads
