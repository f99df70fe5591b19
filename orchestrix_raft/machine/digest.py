"""One number that says whether two replicas did the same: a rolling hash over the events of all entries."""

import hashlib
from typing import Final

DIGEST_BYTES: Final = 16
EMPTY: Final = bytes(DIGEST_BYTES)


def advance(before: bytes, index: int, elapsed_ms: int, wall_ms: int, events: bytes) -> bytes:
    """The digest after the entry at `index`, whose clocks and encoded events are given."""
    rolling = hashlib.blake2b(before, digest_size=DIGEST_BYTES)
    rolling.update(index.to_bytes(8, "big") + elapsed_ms.to_bytes(8, "big") + wall_ms.to_bytes(8, "big"))
    rolling.update(events)
    return rolling.digest()
