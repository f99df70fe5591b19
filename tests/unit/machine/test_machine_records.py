"""Walking a table in the middle of an entry: what the entry wrote lies over what the disk has."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.machine.history import FINISHED_BY_TIME
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.records import Records

KEYS = st.binary(min_size=1, max_size=2).map(lambda key: bytes(byte % 4 for byte in key))
ROWS = st.dictionaries(KEYS, st.none() | st.binary(max_size=2), max_size=12)


@given(ROWS, ROWS, KEYS, st.integers(1, 8))
def test_a_walk_sees_what_the_entry_put_and_not_what_it_deleted(
    stored: dict[bytes, bytes | None], fresh: dict[bytes, bytes | None], start: bytes, limit: int
) -> None:
    store, flat = MemoryStore(), MemoryStore()
    records = Records(store, store)
    for key, value in stored.items():
        store.put(FINISHED_BY_TIME, key, value)
        flat.put(FINISHED_BY_TIME, key, value)
    for key, value in fresh.items():
        records.put(FINISHED_BY_TIME, key, value)
        flat.put(FINISHED_BY_TIME, key, value)
    assert records.scan(FINISHED_BY_TIME, start, limit) == flat.scan(FINISHED_BY_TIME, start, limit)
    records.flush()
    assert records.scan(FINISHED_BY_TIME, start, limit) == flat.scan(FINISHED_BY_TIME, start, limit)
