"""The sources of the pure packages contain nothing by which two replicas could differ.

Of all of them, the duties too.  What applies an entry is read more closely by `tests/test_determinism.py`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted(
    path
    for name in ("domain", "machine", "duties")
    for path in (ROOT / "orchestrix_raft" / name).glob("*.py")
)
ALLOWED_MODULES = frozenset(
    {"bisect", "collections", "enum", "hashlib", "heapq", "msgspec", "re", "types", "typing", "zlib"}
)
"""Of the standard library, and msgspec: what computes the same everywhere."""
SCHEDULE_MODULES = {"croniter", "datetime", "zoneinfo"}
"""Only the duties may compute with calendars: their results travel in commands."""
FORBIDDEN_CALLS = {"float", "hash", "id", "round", "open", "print", "globals", "vars", "dir"}
ORDERED = {"list", "tuple", "next", "iter", "enumerate", "zip", "map", "filter"}
SET_METHODS = {"union", "intersection", "difference", "symmetric_difference"}


def _is_set(node: ast.expr) -> bool:
    """Whether an expression is a set, as far as one can see from here."""
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Call(func=ast.Attribute(attr=attr)):
            return attr in SET_METHODS
    return False


def impurities(source: str) -> Iterator[str]:
    """What in a module could make replicas differ: `line: what`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(module=module):
                found = [module or ""]
            case ast.Constant(value=float()) | ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield f"{node.lineno}: a float"
                continue
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                yield f"{node.lineno}: {name}()"
                continue
            case ast.For(iter=over) | ast.comprehension(iter=over) if _is_set(over):
                yield f"{over.lineno}: iterates over a set"
                continue
            case ast.Call(func=ast.Name(id="list" | "tuple" | "next" | "iter"), args=[over, *_]) if _is_set(
                over
            ):
                yield f"{node.lineno}: takes the order of a set"
                continue
            case _:
                continue
        for name in found:
            top = name.split(".")[0]
            if top not in ALLOWED_MODULES | SCHEDULE_MODULES | {"orchestrix_raft"}:
                yield f"{node.lineno}: imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_in_the_pure_packages_can_differ_between_replicas(path: Path) -> None:
    found = list(impurities(path.read_text(encoding="utf-8")))
    if path.parent.name == "duties":  # floats are at home where the leader weighs evidence
        found = [line for line in found if not line.endswith("a float")]
    assert not found


@pytest.mark.parametrize("package", ["domain", "machine"])
def test_calendars_stay_out_of_the_state(package: str) -> None:
    for path in SOURCES:
        if path.parent.name == package:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                module = node.module if isinstance(node, ast.ImportFrom) else ""
                names = (
                    [alias.name for alias in node.names] if isinstance(node, ast.Import) else [module or ""]
                )
                assert not SCHEDULE_MODULES & {one.split(".")[0] for one in names}, path


@pytest.mark.parametrize(
    "source",
    [
        "x = 1.5",
        "x = a / b",
        "x /= 2",
        "float(3)",
        "hash('a')",
        "id(x)",
        "for x in {1, 2}: pass",
        "y = [x for x in set(a)]",
        "y = next(iter(frozenset(a)))",
        "list(a.union(b))",
        "import time",
        "from random import choice",
        "import os.path",
    ],
)
def test_the_scan_finds(source: str) -> None:
    assert list(impurities(source))
