"""A store with a checkpoint, closed and open."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrix_raft.storage.state import LmdbStateStore
from tests.unit.storage.states import at


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A closed store whose checkpoint is at index 9."""
    store = LmdbStateStore(tmp_path / "state")
    store.write([{"jobs": {b"old": b"old"}}], at(9))
    store.close()
    return tmp_path / "state"


@pytest.fixture
def store(root: Path) -> Iterator[LmdbStateStore]:
    store = LmdbStateStore(root)
    yield store
    store.close()
