"""A client's connection: whoever waits for it can be told to stop."""

import asyncio

import pytest

from orchestrix_raft import AsyncClient
from orchestrix_raft.client import calls


async def test_a_cancellation_that_meets_the_connection_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    made: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    waiting = asyncio.Event()

    async def connected(channel: object) -> bool:
        waiting.set()
        return await made

    monkeypatch.setattr(calls, "connected", connected)
    async with AsyncClient("127.0.0.1:1") as client:
        connecting = asyncio.create_task(client._caller.channel())
        await waiting.wait()
        made.set_result(True)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
