"""What runs when an entry is applied must come to the same on every node: no finding without a reason.

Nodes differ in the order of hashes, in the layout of their dicts (one was rebuilt from a checkpoint), in the
version of Python, in the machine.  The sources reachable from `machine.apply` are read with `ast` for
whatever could let that in; each place that does so without harm stands in `ALLOWED`, with its reason.
"""

import ast
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
START = "orchestrix_raft.machine.apply"
PACKAGES = ("orchestrix_raft.machine.", "orchestrix_raft.domain.")

PURE_MODULES: Final = frozenset(
    {"collections", "collections.abc", "enum", "functools", "heapq", "bisect", "itertools", "operator"}
    | {"types", "typing", "dataclasses", "hashlib", "msgspec"}
)
"""What may be imported from outside: nothing that knows a clock, chance, a machine, a locale or a float."""

FORBIDDEN_CALLS: Final = frozenset(
    {"hash", "id", "float", "round", "open", "input", "vars", "dir", "globals", "locals", "object"}
    | {"eval", "exec", "__import__", "breakpoint", "print"}
)
UNICODE: Final = frozenset(
    {"lower", "upper", "casefold", "title", "capitalize", "swapcase", "isalpha", "isalnum", "isdigit"}
    | {"isdecimal", "isnumeric", "isprintable", "isspace", "isidentifier", "islower", "isupper", "istitle"}
    | {"strip", "lstrip", "rstrip", "split"}
)
"""Methods of text that follow the tables of Unicode, which grow with versions of Python."""

WALKS: Final = frozenset(
    {"list", "tuple", "iter", "enumerate", "next", "sum", "min", "max", "any", "all", "zip"}
)


ORDER: Final = "order of a dict"


class Finding(NamedTuple):
    """A place that could differ between nodes."""

    module: str  # below orchestrix_raft
    where: str  # function or class, "" for the module itself
    kind: str
    text: str  # the source of it, one line
    line: int

    @property
    def place(self) -> tuple[str, str, str]:
        return (f"{self.module}.{self.where}".rstrip("."), self.kind, self.text)


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _reachable() -> dict[str, ast.Module]:
    """Every module of the pure packages that applying an entry may run, parsed."""
    found: dict[str, ast.Module] = {}
    waiting = [START]
    while waiting:
        name = waiting.pop()
        path = ROOT / Path(*name.split(".")).with_suffix(".py")
        if name in found or not path.exists():
            continue
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
        waiting += [other for other in _imported(found[name]) if other.startswith(PACKAGES)]
    return found


class _Scan(ast.NodeVisitor):
    """Gathers the findings of one module."""

    def __init__(self, module: str, names: frozenset[str], attributes: frozenset[str]) -> None:
        """Dicts and sets: `names` in this module, `attributes` of objects anywhere."""
        self.found: list[Finding] = []
        self._names, self._attributes = names, attributes
        self._module = module.removeprefix("orchestrix_raft.")
        self._where: list[str] = []
        self._caught: list[str] = []  # names of exceptions
        self._sorted: list[ast.AST] = []  # arguments of a plain `sorted`: their order does not matter

    def _note(self, node: ast.expr | ast.stmt, kind: str) -> None:
        text = " ".join(ast.unparse(node).split())
        where = ".".join(self._where)
        self.found.append(Finding(self._module, where, kind, textwrap.shorten(text, 90), node.lineno))

    # -- where it stands -------------------------------------------------------------------------------
    def _inside(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        self._where.append(node.name)
        self.generic_visit(node)
        self._where.pop()

    visit_FunctionDef = visit_ClassDef = _inside

    # -- what comes from outside -------------------------------------------------------------------------
    def visit_Import(self, node: ast.Import) -> None:
        if not all(alias.name in PURE_MODULES for alias in node.names):
            self._note(node, "import")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if not (module in PURE_MODULES or f"{module}.".startswith(PACKAGES)):
            self._note(node, "import")

    def visit_Global(self, node: ast.Global) -> None:
        self._note(node, "global")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """What an exception says differs between versions of Python: only its type may be used."""
        self._caught.append(node.name or "")
        self.generic_visit(node)
        self._caught.pop()

    def visit_FormattedValue(self, node: ast.FormattedValue) -> None:
        if isinstance(node.value, ast.Name) and node.value.id in self._caught:
            self._note(node.value, "exception in words")
        self.generic_visit(node)

    # -- numbers ---------------------------------------------------------------------------------------
    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, float | complex):
            self._note(node, "float")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Div):
            self._note(node, "float")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.op, ast.Div):
            self._note(node, "float")
        self.generic_visit(node)

    # -- order -----------------------------------------------------------------------------------------
    def _made_set(self, node: ast.expr) -> None:
        """A constant of a module is looked into and never walked, which is checked where it is used."""
        if self._where and node not in self._sorted:
            self._note(node, "set")

    def visit_Set(self, node: ast.Set) -> None:
        self._made_set(node)
        self.generic_visit(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._made_set(node)
        self._comprehension(node)

    def visit_For(self, node: ast.For) -> None:
        self._walked(node.iter)
        self.generic_visit(node)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        if node not in self._sorted:
            for part in node.generators:
                self._walked(part.iter)
        self.generic_visit(node)

    visit_ListComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Starred(self, node: ast.Starred) -> None:
        self._walked(node.value)
        self.generic_visit(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> None:
        self._walked(node.value)
        self.generic_visit(node)

    def _walked(self, node: ast.expr) -> None:
        """Something is gone through in its order: is that one of a dict?"""
        if isinstance(node, ast.Call) and _name(node.func) in ("values", "items", "keys") and not node.args:
            self._note(node, ORDER)
        elif isinstance(node, ast.Attribute):
            if node.attr in self._attributes:
                self._note(node, ORDER)
        elif isinstance(node, ast.Name) and node.id in self._names:
            self._note(node, ORDER)

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node.func)
        keyed = any(keyword.arg == "key" for keyword in node.keywords)
        if name == "sorted" and not keyed:
            self._sorted += node.args
        if name in ("set", "frozenset", "intersection", "union", "difference", "symmetric_difference"):
            self._made_set(node)
        elif name in FORBIDDEN_CALLS and isinstance(node.func, ast.Name):
            self._note(node, "call")
        elif name in UNICODE and not node.args and isinstance(node.func, ast.Attribute):
            self._note(node, "unicode")
        elif name == "popitem":
            self._note(node, ORDER)
        if keyed and name in ("sorted", "sort", "min", "max", "nsmallest", "nlargest", "merge"):
            self._note(node, "order by a key")
        if name in ("str", "repr", "format") and any(_name(one) in self._caught for one in node.args):
            self._note(node, "exception in words")
        if name in WALKS and isinstance(node.func, ast.Name):
            for argument in node.args:
                self._walked(argument)
        self.generic_visit(node)


def _name(node: ast.AST) -> str:
    """The last part of a name, `c` of `a.b.c`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


KINDS: Final = frozenset(
    {"dict", "set", "frozenset", "Mapping", "MutableMapping", "defaultdict", "Counter", "OrderedDict"}
)


def _unordered(tree: ast.Module) -> Iterator[tuple[bool, str]]:
    """(whether it belongs to objects, name) of everything that is annotated or made as a dict or a set."""
    fields = {id(field) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for field in node.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            if node.annotation is not None and _is_unordered(node.annotation):
                yield False, node.arg
        elif isinstance(node, ast.AnnAssign):
            if _is_unordered(node.annotation) or (node.value is not None and _is_unordered(node.value)):
                yield isinstance(node.target, ast.Attribute) or id(node) in fields, _name(node.target)
        elif isinstance(node, ast.Assign) and _is_unordered(node.value):
            yield isinstance(node.targets[0], ast.Attribute), _name(node.targets[0])


def _is_unordered(node: ast.expr) -> bool:
    """A type, or a value, whose order is that of its making or of hashes."""
    if isinstance(node, ast.Dict | ast.Set | ast.DictComp | ast.SetComp):
        return True
    if isinstance(node, ast.Call):
        return _is_unordered(node.func)
    if isinstance(node, ast.Subscript):
        within = node.slice if _name(node.value) in ("Final", "ClassVar") else node.value
        return _is_unordered(within)
    return _name(node) in KINDS


def findings(trees: dict[str, ast.Module]) -> list[Finding]:
    """Of all modules, in order."""
    known = {module: list(_unordered(tree)) for module, tree in sorted(trees.items())}
    attributes = frozenset(name for names in known.values() for of_objects, name in names if of_objects)
    found: list[Finding] = []
    for module, tree in sorted(trees.items()):
        names = frozenset(name for of_objects, name in known[module] if not of_objects)
        scan = _Scan(module, names, attributes)
        scan.visit(tree)
        found += scan.found
    return found


_NAME_OF_ENUM = "the name of a member, which the source spells in ASCII"
_RECORDS = "each record has a key of its own, so the order in which they are put does not show"
_ALL_OF_THEM = "the same is done to each, whichever comes first"
_HEAP = "made into a heap, whose items ascend by stored numbers that no two share"
_STORED = "stored in this order: a session rebuilt from its record has it too"
_TUPLE = "a tuple of the command, not a dict"

ALLOWED: Final = {
    ("domain.ids", "import", "import re"): "a pattern of ASCII digits",
    ("domain.retry", "import", "import zlib"): "crc32: the same number everywhere",
    ("machine.shards", "import", "from zlib import crc32"): "the same number everywhere",
    ("machine.parts", "import", "from zlib import crc32"): "the same number everywhere",
    ("machine.sharing", "import", "from msgspec.structs import force_setattr"): "sets a field, no more",
    ("domain.job.JobState.word", "unicode", "self.name.lower()"): _NAME_OF_ENUM,
    ("domain.job.AttemptState.word", "unicode", "self.name.lower()"): _NAME_OF_ENUM,
    ("domain.job.UniqueScope.word", "unicode", "self.name.lower()"): _NAME_OF_ENUM,
    ("domain.job.OnConflict.word", "unicode", "self.name.lower()"): _NAME_OF_ENUM,
    ("domain.node.Health.word", "unicode", "self.name.lower()"): _NAME_OF_ENUM,
    ("domain.schedule._Choice.word", "unicode", "self.name.lower()"): _NAME_OF_ENUM,
    ("machine.items._do_to_each", "unicode", "verdict.reason.lower()"): "a reason of ours, in ASCII",
    ("machine.apply.Machine._write", ORDER, "state.touched_jobs.items()"): _RECORDS,
    (
        "machine.levels",
        "import",
        "from orchestrix_raft.undecodable import UNDECODABLE, words_of",
    ): "names of exceptions: a node that meets one stops",
    (
        "machine.rules",
        "import",
        "from orchestrix_raft.version import MACHINE_LEVEL, VERSION",
    ): "of the software: decides whether this node can go on, and else nothing",
    ("machine.levels.decide_raise", ORDER, "command.members"): "the command's own order",
    (
        "machine.levels.decide_raise",
        ORDER,
        "state.nodes.values()",
    ): "whether there is any",
    (
        "machine.levels.faults_in_levels",
        ORDER,
        "state.nodes.values()",
    ): "lines for people, of which a sound state has none",
    (
        "machine.generations.evolve_raised",
        ORDER,
        "state.sessions.items()",
    ): "each session for itself; and " + _RECORDS,
    (
        "machine.generations.faults_in_generations",
        ORDER,
        "state.sessions.values()",
    ): "lines for people, of which a sound state has none",
    (
        "machine.generations.faults_in_generations",
        ORDER,
        "session.slots",
    ): "lines for people, of which a sound state has none",
    ("machine.apply.Machine._write", ORDER, "state.touched_sessions.items()"): _RECORDS,
    ("machine.apply.Machine._write", ORDER, "state.touched_nodes.items()"): _RECORDS,
    ("machine.apply.Machine._write", ORDER, "state.touched_rest.items()"): _RECORDS,
    ("machine.apply.Machine._write", ORDER, "entities.items()"): _RECORDS,
    ("machine.records.Records.flush", ORDER, "self._fresh.items()"): _RECORDS,
    ("machine.records.Records.flush", ORDER, "fresh.items()"): _RECORDS,
    ("machine.board.Pool.seat", ORDER, "self.members.values()"): _HEAP,
    ("machine.board.Lane.offer", ORDER, "self.offered.values()"): _HEAP,
    ("machine.board.Board.candidates", ORDER, "self.woken.values()"): _HEAP,
    ("machine.board.Board.candidates", ORDER, "self.opened.values()"): _HEAP,
    ("machine.gates.Gate.wait", ORDER, "self._waiting.values()"): _HEAP,
    ("machine.board.Board._make_lane", ORDER, "self.pools_of.get(key[0], {}).values()"): _ALL_OF_THEM,
    ("machine.board.Board._drop_lane", ORDER, "lane.pools.values()"): _ALL_OF_THEM,
    ("machine.board.Board._make_pool", ORDER, "self.lanes_of.get(queue, {}).values()"): _ALL_OF_THEM,
    ("machine.board.Board._drop_pool", ORDER, "pool.lanes.values()"): _ALL_OF_THEM,
    ("machine.board.Board.add_gate", ORDER, "self.lanes_of.get(name, {}).values()"): _ALL_OF_THEM,
    ("machine.board.Board.drop_gate", ORDER, "self.lanes_of.get(name, {}).values()"): _ALL_OF_THEM,
    ("machine.board.Board.refresh", ORDER, "self.freed.values()"): _ALL_OF_THEM,
    ("machine.board.Board.refresh", ORDER, "touched.values()"): _ALL_OF_THEM,
    ("machine.board.Board.refresh", ORDER, "pool.lanes.values()"): _ALL_OF_THEM,
    ("machine.gates.Gate.waiting", ORDER, "self._waiting.values()"): _ALL_OF_THEM,
    ("machine.gates.Gate.release", ORDER, "self.parked.pop(key, {}).values()"): _ALL_OF_THEM,
    ("machine.keeping.decide_forget", ORDER, "rows.values()"): "merged by time, state and id",
    ("machine.keeping._edges", ORDER, "rows.items()"): "in the order of STATES_OF, a constant",
    ("machine.keeping._oldest_records", ORDER, "rows"): "a list of rows, in the order of their keys",
    (
        "machine.loading",
        "import",
        "from orchestrix_raft.undecodable import UNDECODABLE",
    ): "names of exceptions: a node that meets one stops",
    (
        "machine.loading._load",
        "order by a key",
        "ready.sort(key=lambda job: job.seq)",
    ): "no two jobs share one",
    (
        "machine.loading._load_core",
        "set",
        "{len(core.counts), len(core.totals), len(core.oldest)}",
    ): "compared",
    ("machine.loading._load_core", "set", "{STATES}"): "compared",
    ("machine.loading._check_counts", ORDER, "state.queues.values()"): "a sum of whole numbers",
    ("machine.state.State.owned_jobs", ORDER, "found.values()"): "a sum of whole numbers",
    ("machine.queues.count_under_way", ORDER, "state.sessions.values()"): "counted",
    ("machine.queues.units", ORDER, "session.leftovers.values()"): _STORED,
    ("machine.queues.units", ORDER, "session.slots.items()"): _STORED,
    ("machine.sessions.evolve_ended", ORDER, "session.leftovers.values()"): _STORED,
    ("machine.requests.expire", ORDER, "state.requests.values()"): "by place in line, also after loading",
    ("machine.requests._forget_oldest", ORDER, "state.requests.popitem(last=False)"): "the same",
    ("machine.rows.Rows.__iter__", ORDER, "block.items.items()"): "for the invariants",
    (
        "machine.rows.Rows.first",
        ORDER,
        "self._rows[rank][0].items.items()",
    ): "jobs join by ascending seq, of a rebuilt state too: so the first is the one with the lowest",
    ("machine.firing._fault_in_grid", ORDER, "command.slots"): _TUPLE,
    ("machine.schedule_items._fire", ORDER, "command.slots"): _TUPLE,
    ("machine.items.apply_enqueue", ORDER, "command.jobs"): _TUPLE,
    (
        "machine.schedule_items.follow_runs",
        ORDER,
        "ended.items()",
    ): "the order in which this command ended them",
    ("machine.causes.Actor.word", "unicode", "self.name.lower()"): _NAME_OF_ENUM,
    ("machine.board.Board.__init__", "set", "set()"): "names are looked up in it, and never walked",
    ("machine.drains.decide_moves", ORDER, "asked.values()"): "in the order of the command's moves",
    ("machine.drains.evolve_draining", ORDER, "there.values()"): "a sum of whole numbers",
    ("machine.parts.Parts.__init__", ORDER, "items.items()"): "into other dicts",
    ("machine.parts.portions", ORDER, "items"): "for listings, which sort",
    ("machine.shards.Shards.sizes", ORDER, "self._flat"): "counted",
    ("machine.shards.Shards.__iter__", ORDER, "self._flat"): "for the invariants",
    ("machine.shards.Shards.__setitem__", ORDER, "self._flat.items()"): "into other dicts",
    ("machine.shards.Shards.within", ORDER, "self._flat"): "its one caller sorts them",
}
"""(where, what, text) -> why it comes to the same on every node."""


@cache
def _findings() -> tuple[Finding, ...]:
    return tuple(findings(_reachable()))


def test_nothing_that_applies_an_entry_depends_on_the_node() -> None:
    new = [f"{one.module}:{one.line} {one.place}" for one in _findings() if one.place not in ALLOWED]
    assert not new, "sort it, or give the reason why its order does not show in ALLOWED"


def test_every_reason_still_has_its_place() -> None:
    assert not ALLOWED.keys() - {one.place for one in _findings()}


def test_the_whole_machine_is_read() -> None:
    package = ROOT / "orchestrix_raft"
    there = {f"orchestrix_raft.machine.{path.stem}" for path in (package / "machine").glob("*.py")}
    read = {name for name in _reachable() if name.startswith("orchestrix_raft.machine.")}
    asked_only = {
        "explain",
        "invariants",
        "gate_invariants",
        "schedule_invariants",
        "memory",
        "packing",
        "__init__",
    }
    assert there - read == {f"orchestrix_raft.machine.{name}" for name in asked_only}


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import time", "import"),
        ("from os import environ", "import"),
        ("import locale", "import"),
        ("def f(a):\n    global n", "global"),
        ("def f(a):\n    return hash(a)", "call"),
        ("def f(a):\n    return id(a) > 3", "call"),
        ("def f(a):\n    return a / 2 > 1", "float"),
        ("def f(a):\n    a /= 2", "float"),
        ("def f(a):\n    return a * 0.5", "float"),
        ("def f(a):\n    for one in set(a): g(one)", "set"),
        ("def f(a):\n    return [one for one in {b for b in a}]", "set"),
        ("STATES = frozenset({1, 2})\ndef f():\n    return [one for one in STATES]", ORDER),
        ("def f(a: dict[str, int]):\n    return list(a)", ORDER),
        ("def f(a):\n    return next(iter(a.values()))", ORDER),
        ("def f(a):\n    return (*a.keys(),)", ORDER),
        ("def f(a):\n    return a.popitem()", ORDER),
        ("def f(a):\n    return sorted(a, key=len)", "order by a key"),
        ("def f(a):\n    return min(a, key=len)", "order by a key"),
        ("def f(a):\n    return a.isprintable()", "unicode"),
        ("def f():\n    try: g()\n    except ValueError as error: return f'{error}'", "exception in words"),
        ("def f():\n    try: g()\n    except ValueError as error: return str(error)", "exception in words"),
    ],
)
def test_what_could_differ_is_found(source: str, kind: str) -> None:
    assert kind in {one.kind for one in findings({"orchestrix_raft.machine.example": ast.parse(source)})}


@pytest.mark.parametrize(
    "source",
    [
        "def f(a):\n    return sorted(set(a))",
        "def f(a: dict[str, int]):\n    return sorted(one for one in a.items())",
        "STATES = frozenset({1, 2})\ndef f(a):\n    return a in STATES",
        "def f(a: list[int]):\n    return [one // 2 for one in a]",
        "def f():\n    try: g()\n    except ValueError as error: return type(error).__name__",
    ],
)
def test_what_is_the_same_everywhere_is_not(source: str) -> None:
    assert not findings({"orchestrix_raft.machine.example": ast.parse(source)})
