"""Walking a table in the middle of an entry: what the entry wrote lies over what the disk has."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.machine.history import FINISHED_BY_TIME, overlaid
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.machine.records import Records, pair_key

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
    for key in (*stored, *fresh):
        assert records.get(FINISHED_BY_TIME, key) == flat.get(FINISHED_BY_TIME, key)
    records.flush()
    assert records.scan(FINISHED_BY_TIME, start, limit) == flat.scan(FINISHED_BY_TIME, start, limit)


@given(ROWS, ROWS, st.booleans())
def test_two_walks_as_one_are_in_order_and_the_newer_one_wins(
    stored: dict[bytes, bytes | None], fresh: dict[bytes, bytes | None], reverse: bool
) -> None:
    newer, older = (iter(sorted(rows.items(), reverse=reverse)) for rows in (fresh, stored))
    both = sorted({**stored, **fresh}.items(), reverse=reverse)
    assert list(overlaid(newer, older, reverse=reverse)) == both


def test_what_an_entry_wrote_is_handed_over_once() -> None:
    puts: list[bytes] = []

    class Changes(MemoryStore):
        def put(self, table: str, key: bytes, value: bytes | None) -> None:
            puts.append(key)
            super().put(table, key, value)

    store = Changes()
    records = Records(store, store)
    for key in (b"a", b"b"):
        records.put(FINISHED_BY_TIME, key, b"1")
        records.flush()
    assert puts == [b"a", b"b"]


def test_a_pair_of_texts_has_a_key_of_its_own() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), ("bc", "a")]
    assert len({pair_key(*pair) for pair in pairs}) == len(pairs)
