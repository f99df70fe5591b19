"""What clients and workers take from the environment, and what only commands do."""

from pathlib import Path

import pytest

from orchestrix_raft import AsyncClient, Worker


async def test_the_servers_of_commands_are_not_those_of_the_sdk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORCHESTRIX_SERVERS", "192.0.2.1:7400")
    monkeypatch.setenv("ORCHESTRIX_HISTORY", str(tmp_path / "history"))
    async with AsyncClient() as client, AsyncClient("a:1") as named:
        servers = [each._caller.servers.current for each in (client, named)]
    assert servers == ["127.0.0.1:7400", "a:1"]
    assert [Worker()._servers, Worker("a:1")._servers] == [("127.0.0.1:7400",), ("a:1",)]
    # The file of a history is taken from there by both.
    lines = (tmp_path / "history").read_text()
    assert lines.count('"client"') == 2
    assert lines.count('"worker"') == 2
