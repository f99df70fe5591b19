"""One number that says whether two replicas did the same: a rolling hash over the events of all entries."""

import hashlib
from typing import Final

DIGEST_BYTES: Final = 16
EMPTY: Final = bytes(DIGEST_BYTES)


def advance(before: bytes, index: int, elapsed_ms: int, wall_ms: int, events: bytes) -> bytes:
    """The digest after the entry at `index`, whose clocks and encoded events are given."""
    rolling = hashlib.blake2b(before, digest_size=DIGEST_BYTES)
    rolling.update(b"".join(n.to_bytes(8, "big") for n in (index, elapsed_ms, wall_ms)))
    rolling.update(events)
    return rolling.digest()
