"""The floor plan and its import laws, read from the sources with `ast`.

A package may import itself, the packages named beside it here, and the shared modules of `EVERYONE`.
Whoever wants a new line between two packages writes it into `MAY_IMPORT`, where a reviewer sees it.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "orchestrix_raft"

MAY_IMPORT = {
    "domain": frozenset[str](),
    "storage": frozenset[str](),
    "machine": frozenset({"domain"}),
    "timetable": frozenset({"domain"}),
    "history": frozenset({"domain"}),
    "recording": frozenset({"history"}),
    "consensus": frozenset({"storage"}),
    "wire": frozenset({"domain"}),
    "telemetry": frozenset[str](),
    "duties": frozenset({"machine", "domain"}),
    "coordinator": frozenset(
        {"duties", "machine", "timetable", "consensus", "storage", "domain", "telemetry"}
    ),
    "api": frozenset(
        {"coordinator", "timetable", "wire", "domain", "telemetry", "machine.commands"}  # it makes commands
    ),
    "client": frozenset({"wire", "domain", "history", "recording"}),
    "worker": frozenset({"wire", "domain", "history", "recording"}),
    "testing": frozenset({"client", "worker", "wire", "domain", "history", "recording"}),
    "cli": frozenset(
        {"domain", "storage", "machine", "consensus", "wire", "telemetry", "duties", "coordinator"}
        | {"timetable", "api", "client", "worker", "simulation", "testing", "history", "recording"}
    ),
    "simulation": frozenset(
        {"domain", "machine", "duties", "timetable", "coordinator", "consensus", "storage", "telemetry"}
        | {"history"}
    ),
}
"""package -> packages of orchestrix_raft it may import; `package.module` allows that module only."""

EVERYONE = frozenset({"version", "undecodable"})
"""Modules at the top that anyone may import."""

TOP = frozenset({"client", "worker", "cli", "domain", "wire"})
"""What the modules at the top (`__init__`, `__main__`) may import: the SDKs they export (`wire` has the
exceptions of both), and the program."""

USE_THE_PUBLIC_NAMES = frozenset({"cli"})
"""Packages that may import from `orchestrix_raft` itself, as users do."""

PURE = frozenset({"domain", "machine", "duties", "history"})
IMPURE_MODULES = frozenset(
    {"time", "datetime", "random", "secrets", "uuid", "os", "socket", "logging", "asyncio", "threading"}
    | {"subprocess", "pathlib", "io", "tempfile", "sys", "zoneinfo", "multiprocessing", "concurrent"}
)
"""What a pure package would need to read a clock, chance, the environment, a file or a network."""

ONLY_IN = {
    "lmdb": ("orchestrix_raft.storage", "package"),
    "pysyncobj": ("orchestrix_raft.consensus", "one module"),
    "croniter": ("orchestrix_raft.timetable", "one module"),
    "zoneinfo": ("orchestrix_raft.timetable", "one module"),
    "typer": ("orchestrix_raft.cli", "package"),
    "rich": ("orchestrix_raft.cli", "package"),
}
"""Third party, or zoneinfo -> where it enters, and whether one module there must hold every import of it."""


class Import(NamedTuple):
    """One imported module name, absolute, and where it stands."""

    importer: str  # dotted module
    name: str  # dotted; `from a import b` counts as a.b
    line: int


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _generated(path: Path) -> bool:
    return "_pb2" in path.name


def _sources() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if not _generated(p))


def _imports() -> Iterator[Import]:
    for path in _sources():
        importer = _module_name(path)
        base = importer.split(".") if path.name == "__init__.py" else importer.split(".")[:-1]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(importer, alias.name, node.lineno)
            elif isinstance(node, ast.ImportFrom):
                prefix = base[: len(base) - node.level + 1] if node.level else []
                origin = ".".join([*prefix, *([node.module] if node.module else [])])
                for alias in node.names:
                    yield Import(importer, f"{origin}.{alias.name}", node.lineno)


IMPORTS = tuple(_imports())


def _floor(module: str) -> str:
    """`orchestrix_raft.api.jobs` -> `api`; modules at the top have no floor of their own: ``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else ""


def test_every_package_stands_in_the_floor_plan() -> None:
    packages = {p.parent.name for p in PACKAGE.glob("*/*.py")}
    assert packages <= MAY_IMPORT.keys(), "give the new package its place in MAY_IMPORT"


def test_packages_are_flat() -> None:
    nested = {
        str(p.relative_to(ROOT))
        for p in _sources()
        if len(p.relative_to(PACKAGE).parts) > 2 and p.name != "__init__.py"
    }
    assert not nested


def _allowed(one: Import) -> bool:
    source = _floor(one.importer)
    target = one.name.split(".")[1:]
    if not target or not _is_part(target[0]):
        return source in USE_THE_PUBLIC_NAMES
    allowed = (MAY_IMPORT[source] | {source} if source else TOP) | EVERYONE
    return target[0] in allowed or ".".join(target[:2]) in allowed


def _is_part(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def test_imports_point_down() -> None:
    inside = [one for one in IMPORTS if one.name.split(".")[0] == "orchestrix_raft"]
    assert not [f"{one.importer}:{one.line} imports {one.name}" for one in inside if not _allowed(one)]


def test_the_table_itself_points_down() -> None:
    """No cycles: packages can be put in an order in which each knows only earlier ones."""
    left = {name: {need.split(".")[0] for need in needs} for name, needs in MAY_IMPORT.items()}
    while left:
        ready = [name for name, needs in left.items() if not needs & left.keys()]
        assert ready, f"these know each other in a circle: {sorted(left)}"
        for name in ready:
            del left[name]


def test_pure_packages_read_nothing_from_outside() -> None:
    wrong = [
        f"{one.importer}:{one.line} imports {one.name}"
        for one in IMPORTS
        if _floor(one.importer) in PURE and one.name.split(".")[0] in IMPURE_MODULES
    ]
    assert not wrong


def test_nobody_opens_files_in_pure_packages() -> None:
    wrong = []
    for path in _sources():
        if _floor(_module_name(path)) not in PURE:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"open", "print", "input", "hash", "id", "eval", "exec", "__import__"}
            ):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} calls {node.func.id}()")
    assert not wrong


@pytest.mark.parametrize("third_party", sorted(ONLY_IN))
def test_a_third_party_enters_in_one_place(third_party: str) -> None:
    home, scope = ONLY_IN[third_party]
    importers = {one.importer for one in IMPORTS if one.name.split(".")[0] == third_party}
    strangers = {m for m in importers if m != home and not m.startswith(home + ".")}
    assert not strangers
    if scope == "one module":
        assert len(importers) <= 1


def test_generated_code_enters_in_wire_only() -> None:
    importers = {
        one.importer
        for one in IMPORTS
        if "_pb2" in one.name and one.name.startswith(("orchestrix", "orchestrix_raft"))
    }
    assert all(module.startswith("orchestrix_raft.wire") for module in importers), importers


def test_pickle_is_imported_nowhere() -> None:
    banned = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
    assert not [one for one in IMPORTS if one.name.split(".")[0] in banned]


def test_errors_of_decoding_are_caught_by_their_one_name() -> None:
    """msgspec lets errors of Python's through as well: `undecodable` knows them all."""
    wrong = []
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler) and node.type is not None:
                names = {part.attr for part in ast.walk(node.type) if isinstance(part, ast.Attribute)}
                if names & {"DecodeError", "MsgspecError"}:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong


_PART = re.compile(r"`(orchestrix_raft(?:\.\w+)+)(?::([\w.]+))?`")


def _parts() -> list[tuple[str, str]]:
    text = (ROOT / "docs/reference/parts.md").read_text(encoding="utf-8")
    return [(match[1], match[2] or "") for match in _PART.finditer(text)]


def test_every_part_named_in_the_docs_exists() -> None:
    """docs/reference/parts.md names `module:Name` for each part; a name that moved must move there too."""
    parts = _parts()
    assert parts
    missing = []
    for module, name in parts:
        try:
            found: object = importlib.import_module(module)
            for step in name.split(".") if name else ():
                found = getattr(found, step)
        except (ImportError, AttributeError) as error:
            missing.append(f"{module}:{name} ({error})")
    assert not missing
