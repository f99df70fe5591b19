"""What every adapter refuses in the same words.  For `storage` only."""

from orchestrix_raft.storage.limits import KEY_BYTES_MAX
from orchestrix_raft.storage.port import Damaged, Position, SnapshotRef


def check_key(key: bytes) -> None:
    """ValueError unless LMDB would take the key."""
    if not 0 < len(key) <= KEY_BYTES_MAX:
        raise ValueError(f"a key has 1 to {KEY_BYTES_MAX} bytes, not {len(key)}")


def check_table(table: str) -> None:
    """ValueError for a name the store keeps for itself."""
    if not table or table.startswith("_"):
        raise ValueError(f"{table!r} cannot be the name of a table")


def check_stream(ref: SnapshotRef, size: int, digest: bytes) -> None:
    """Damaged unless the received bytes are those that were announced."""
    if size != ref.size:
        raise Damaged(f"snapshot {ref.index} ended after {size} of {ref.size} bytes; ask for it again")
    if digest != ref.digest:
        raise Damaged(f"snapshot {ref.index} was changed on its way (SHA-256 differs); ask for it again")


def check_position(ref: SnapshotRef, found: Position | None) -> None:
    """Damaged unless the received checkpoint stands where its announcement says."""
    announced = (ref.index, ref.term, ref.configuration_index, ref.configuration)
    if found is None or announced != found[:4]:
        inside = "no position" if found is None else f"index {found.index} term {found.term}"
        raise Damaged(
            f"snapshot announced as index {ref.index} term {ref.term} holds {inside}; ask for it again"
        )
