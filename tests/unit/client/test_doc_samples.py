"""Every Python sample of the docs runs as it is shown, each page from its top, against a node in memory."""

import ast
import asyncio
import builtins
import re
import symtable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrix_raft import Client
from orchestrix_raft.client import aio
from orchestrix_raft.coordinator.port import Done, Outcome
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.machine.commands import Asked, Command, PurgeWhere, RetryWhere, WhereResult
from tests.unit.api.fake_node import FakeNode, serving

ROOT = Path(__file__).resolve().parents[3]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAMPLES = {
    str(page.relative_to(ROOT)): blocks
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if (blocks := _BLOCK.findall(page.read_text(encoding="utf-8")))
}


class Diligent(FakeNode):
    """A node whose jobs are done at once."""

    async def submit(self, command: Command) -> Outcome:
        if isinstance(command, Asked) and isinstance(command.command, RetryWhere | PurgeWhere):
            return Done(self.index, WhereResult(0, 0, b""))
        outcome = await super().submit(command)
        for job in self.jobs.values():
            job.state, job.result = JobState.COMPLETED, b'"done"'
        return outcome


def _names_of_outside(table: symtable.SymbolTable) -> Iterator[str]:
    """What the functions of a page take from its top level, or from the builtins."""
    for inner in table.get_children():
        yield from (one.get_name() for one in inner.get_symbols() if one.is_global() and one.is_referenced())
        yield from _names_of_outside(inner)


def _run(page: str, text: str) -> None:
    known: dict[str, Any] = {"__name__": "sample"}
    try:
        exec(compile(text, page, "exec"), known)
        asked = set(_names_of_outside(symtable.symtable(text, page, "exec")))
        assert not {name for name in asked if name not in known and not hasattr(builtins, name)}
    finally:
        for value in known.values():
            if isinstance(value, Client):
                value.close()


@pytest.mark.parametrize("page", sorted(SAMPLES))
async def test_a_page_runs_from_its_top(page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEDGER", str(tmp_path / "ledger"))
    monkeypatch.chdir(tmp_path)
    async with serving(Diligent()) as address:
        monkeypatch.setattr(aio, "addresses_of", lambda servers: (address,))
        await asyncio.to_thread(_run, page, "\n".join(SAMPLES[page]))


@pytest.mark.parametrize("page", sorted(SAMPLES))
def test_a_sample_imports_what_the_page_has_not_imported_before(page: str) -> None:
    """Imports stand on top of their block, as in a file that begins there."""
    for block in SAMPLES[page]:
        kinds = [isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(block).body]
        assert kinds == sorted(kinds, reverse=True), block
