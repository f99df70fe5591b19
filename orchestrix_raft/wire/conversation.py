"""How a stream is used from the side that opened it: several works on one call, until the first of them ends.

Imported by the SDKs.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def converse(call: Any, *works: Coroutine[Any, Any, object]) -> list[BaseException]:
    """Run the works until one ends, then cancel the others and the call, also when this is cancelled itself.
    What those raised that ended by themselves, in the order of the works."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        call.cancel()
    return [e for task in tasks if not task.cancelled() and (e := task.exception()) is not None]
