"""What tests of the LMDB state store share."""

import threading

from orchestrix_raft.storage.port import Position


def at(index: int) -> Position:
    return Position(index, 1, 0, b"", b"")


def join_copies() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("snapshot-"):
            thread.join()
