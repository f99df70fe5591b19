"""How a checkpoint is written: nothing of it may stop the node's loop for long."""

import random
from pathlib import Path

import lmdb
import pytest

from orchestrix_raft.storage import state as state_module
from orchestrix_raft.storage.port import Position
from orchestrix_raft.storage.state import LmdbStateStore


def test_a_checkpoint_of_rows_in_any_order_is_stored_in_pieces_that_stop_nobody_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[int] = []

    def noted(cursor: "lmdb.Cursor[bytes]", puts: list[tuple[bytes, bytes]]) -> None:
        pieces.append(len(puts))
        put(cursor, puts)

    put = state_module._put
    monkeypatch.setattr(state_module, "_put", noted)
    rng = random.Random(7)
    store = LmdbStateStore(tmp_path / "state")
    first: dict[bytes, bytes | None] = {rng.randbytes(16): rng.randbytes(8) for _ in range(9_000)}
    store.write([{"jobs": first}], Position(1, 1, 0, b"", b""))
    second: dict[bytes, bytes | None] = {key: None if rng.random() < 0.5 else b"new" for key in first}
    store.write([{"jobs": second}], Position(2, 1, 0, b"", b""))
    kept = sorted((key, value) for key, value in second.items() if value is not None)
    assert list(store.load("jobs")) == kept
    assert max(pieces) == state_module._SORTED_ROWS
    store.close()
