"""The generated parts of the docs are current, and links between pages lead somewhere."""

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()


@pytest.mark.parametrize("page", sorted(GENERATOR.PAGES))
def test_generated_text_is_current(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert GENERATOR.rendered(page, text) == text, "run `make docs`"


_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = [match[1] for match in _LINK.finditer(page.read_text(encoding="utf-8"))]
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_the_readme_names_every_page() -> None:
    """Decision records aside, whose folder it names."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {(ROOT / match[1]).resolve() for match in _LINK.finditer(readme)}
    pages = {page for page in PAGES if page.parent.name != "decisions" and page.name != "README.md"}
    assert not sorted(str(page.relative_to(ROOT)) for page in pages - named)


_REASON = re.compile(r"[A-Z]+(_[A-Z]+)+")
_NO_REASONS = frozenset({"KEY_VALUES_MISMATCH"})
"""Words of other programs that look like reasons."""


def test_every_reason_of_a_refusal_is_documented() -> None:
    documented = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    missing = set()
    for folder in ("api", "machine", "coordinator", "client"):
        for path in sorted((ROOT / "orchestrix_raft" / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    literals = {a.value for a in node.args if isinstance(a, ast.Constant)}
                    missing |= {w for w in literals if isinstance(w, str) and _REASON.fullmatch(w)}
    assert not {word for word in missing - _NO_REASONS if f"`{word}`" not in documented}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_makes_the_environment_that_is_makes_own(page: Path) -> None:
    """In a checkout `.venv` is of `make`: pip would replace what is in it, and `make` refuses another one."""
    assert "-m venv .venv" not in page.read_text(encoding="utf-8")
