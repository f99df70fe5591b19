"""The reference names every key of the JSON of commands that steer, and no other."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestrix_raft.cli import draining
from orchestrix_raft.client.cluster import AddedNode
from tests.unit.cli.conftest import RecordingClient
from tests.unit.cli.test_draining import Status, node, progress, worker

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "cli.md"
COMMANDS = {
    "drain": ("cluster", "drain", "n2"),
    "undrain": ("cluster", "undrain", "n2"),
    "add": ("cluster", "add", "h4:7400"),
    "remove": ("cluster", "remove", "n2"),
    "transfer": ("cluster", "transfer"),
    "workers drain": ("workers", "drain", "w1"),
}
"""The row of the page -> the command."""


def documented(row: str) -> set[str]:
    """The keys in that row of a table; what stands in brackets explains them."""
    (text,) = re.findall(rf"^\| `{row}` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return set(re.findall("`([a-z_]+)`", re.sub(r"\(.*?\)", "", text)))


@pytest.mark.parametrize("row", COMMANDS)
def test_the_keys_are_those_of_the_page(
    client: RecordingClient, run: Any, row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "LOOK_S", 0.0)
    client.answers |= {
        "cluster.drain": progress(),
        "cluster.undrain": None,
        "cluster.add": AddedNode("n4", already=False),
        "cluster.remove": None,
        "cluster.drain_worker": None,
        "transfer_leadership": "n2",
        "status": Status((node(0, progress()),), (worker(1),)),
    }
    said = run(*COMMANDS[row], "--json")
    assert (said.code, said.err) == (0, "")
    assert set(json.loads(said.out)) == documented(row)
