"""House rules that a machine can check: sizes, docstrings, excepts, leftovers.

A file or function that must be longer is named below with its reason; nothing else is excused.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FUNCTION_LINES = 60
FILE_LINES = 500

LONG_FILES: dict[str, str] = {
    "tests/unit/history/test_good_and_bad.py": "a table: one small history for each kind of fault",
    "tests/simulation/raft/ablations.py": "one table, a row for each rule of the engine",
}
"""path -> why it may exceed FILE_LINES."""

LONG_FUNCTIONS: dict[str, str] = {}
"""path::qualified.name -> why it may exceed FUNCTION_LINES."""

LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError|in a real (system|implementation)")
MACHINE_PATH = re.compile(r"(^|[^\w])/(work|root|tmp/\w|home|farm)/")

_FOLDERS = ("orchestrix_raft", "tests", "examples", "bench", "proto", "docs")
_NEVER = {".venv", "__pycache__"}


def _files(*suffixes: str) -> Iterator[Path]:
    for folder in _FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            generated = "_pb2" in path.name or _NEVER & set(path.parts)
            if path.suffix in suffixes and path.is_file() and not generated:
                yield path
    for name in ("README.md", "Makefile", "pyproject.toml"):
        if Path(name).suffix in suffixes:
            yield ROOT / name


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


SOURCES = {_name(path): path.read_text(encoding="utf-8") for path in _files(".py")}
TREES = {name: ast.parse(text) for name, text in SOURCES.items()}
NODES = {name: tuple(ast.walk(tree)) for name, tree in TREES.items()}


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """(qualified name, length in lines from `def` on, docstring included) of every function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{node.name}"
            if not isinstance(node, ast.ClassDef):
                yield name, (node.end_lineno or node.lineno) - node.lineno + 1
            yield from _functions(node, f"{name}.")
        else:
            yield from _functions(node, prefix)


def test_files_stay_short() -> None:
    long = {name: text.count("\n") for name, text in SOURCES.items() if text.count("\n") > FILE_LINES}
    assert not {name: lines for name, lines in long.items() if name not in LONG_FILES}
    assert not LONG_FILES.keys() - long.keys(), "these are short now: remove them from the table"


def test_functions_stay_short() -> None:
    long = {
        f"{name}::{function}": lines
        for name, tree in TREES.items()
        for function, lines in _functions(tree)
        if lines > FUNCTION_LINES
    }
    assert not {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS}
    assert not LONG_FUNCTIONS.keys() - long.keys(), "these are short now: remove them from the table"


def test_every_module_says_why_it_exists() -> None:
    silent = [
        name for name, text in SOURCES.items() if text.strip() and ast.get_docstring(TREES[name]) is None
    ]
    assert not silent


def test_a_broad_except_gives_its_reason_or_raises_again() -> None:
    wrong = []
    for name, text in SOURCES.items():
        lines = text.splitlines()
        handlers = [node for node in NODES[name] if isinstance(node, ast.ExceptHandler)]
        for handler in (one for one in handlers if _broad(one.type)):
            clause = lines[handler.lineno - 1 : handler.body[0].lineno]
            again = isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None
            if not again and not any("#" in line for line in clause):
                wrong.append(f"{name}:{handler.lineno}")
    assert not wrong


def _broad(caught: ast.expr | None) -> bool:
    match caught:
        case None:
            return True
        case ast.Name(id=name):
            return name in {"Exception", "BaseException"}
        case ast.Tuple(elts=several):
            return any(_broad(one) for one in several)
        case _:
            return False


def test_nothing_is_left_for_later() -> None:
    checked = {name: text for name, text in SOURCES.items() if name != "tests/test_style.py"}
    checked |= {_name(path): path.read_text(encoding="utf-8") for path in _files(".md", ".proto", ".toml")}
    wrong = [
        f"{name}:{number}: {line.strip()}"
        for name, text in checked.items()
        for number, line in enumerate(text.splitlines(), 1)
        if LEFTOVERS.search(line)
    ]
    assert not wrong


def test_no_path_of_one_machine_is_named() -> None:
    wrong = [
        f"{_name(path)}:{number}: {line.strip()}"
        for path in _files(".py", ".md", ".proto", ".toml", ".sh", "")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if path.is_file() and MACHINE_PATH.search(line)
    ]
    assert not wrong


@pytest.mark.parametrize("name", sorted(name for name in SOURCES if name.startswith("tests/")))
def test_tests_do_not_sleep(name: str) -> None:
    """Stepped clocks and awaited signals instead; `asyncio.sleep(0)` only lets others run."""
    calls = [node for node in NODES[name] if isinstance(node, ast.Call)]
    sleeps = [
        ast.unparse(call) for call in calls if ast.unparse(call.func) in {"time.sleep", "asyncio.sleep"}
    ]
    assert all(sleep == "asyncio.sleep(0)" for sleep in sleeps), sleeps
