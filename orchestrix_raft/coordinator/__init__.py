"""One coordinator node: the sans-IO core and the asyncio shell around it."""
