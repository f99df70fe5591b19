"""Which processes have run from a data directory, and how an old copy of it is told from the real one.

Every process draws a nonce, writes it into its directory before it takes part in anything, and commits it
with its NodeStarted (the first bytes of the boot id).  So a start of the node that the log knows and the
directory does not was made from another directory: this one is an old copy, or has just become one.

The directory keeps the index of a committed start of its own, and every nonce from there on: also those of
processes that ended before they learnt whether their NodeStarted was committed.  Pure.
"""

from typing import Final

from orchestrix_raft.domain import limits
from orchestrix_raft.storage.disk import Starts

START_BYTES: Final = limits.BOOT_START_BYTES  # the rest of a boot id counts the incarnations of one process
_COUNT_BYTES: Final = limits.BOOT_ID_BYTES - START_BYTES
STARTS_MAX: Final = 100  # kept nonces: so many starts in a row may fail before they reach a leader
_BEFORE: Final = 3  # kept from before the committed one: its NodeStarted may have overtaken theirs


class Superseded(Exception):
    """Another process has started as this node, from another directory; one line with what to do."""


def first_boot_id(nonce: bytes) -> bytes:
    """Of a process that drew `nonce` (START_BYTES random bytes)."""
    return nonce + bytes(_COUNT_BYTES)


def next_boot_id(boot_id: bytes) -> bytes:
    """Of the same process, after the cluster gave the former incarnation up."""
    count = int.from_bytes(boot_id[START_BYTES:], "big") + 1
    return boot_id[:START_BYTES] + count.to_bytes(_COUNT_BYTES, "big")


def start_of(boot_id: bytes) -> bytes:
    """The nonce of the process."""
    return boot_id[:START_BYTES]


def begun(starts: Starts, nonce: bytes) -> Starts:
    """A process begins: to be stored before it says anything to anybody."""
    if nonce in starts.nonces:
        return starts
    return Starts(starts.index, (*starts.nonces, nonce)[-STARTS_MAX:])


def committed(starts: Starts, index: int, boot_id: bytes) -> Starts:
    """A start of this directory was found in the log at `index`: what lies long before it may go."""
    place = starts.nonces.index(start_of(boot_id))
    return Starts(max(starts.index, index), starts.nonces[max(0, place - _BEFORE) :])


def superseded(starts: Starts, index: int, boot_id: bytes) -> bool:
    """Whether the start at log index `index` was made from another directory, after one of this directory.
    While none of its own is known to be committed, nothing can be said."""
    return 0 < starts.index < index and start_of(boot_id) not in starts.nonces
