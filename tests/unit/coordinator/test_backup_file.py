"""A backup file is read only if every byte of it is what was written."""

import hashlib
import random
from pathlib import Path

import msgspec
import pytest

from orchestrix_raft.coordinator.backup_file import FORMAT, MAGIC, BackupFile, Head, encode_head
from orchestrix_raft.storage.port import Damaged, StorageError

BODY = random.Random(1).randbytes(5_000)
HEAD = Head(
    cluster_id="c",
    node_id="n1",
    version="1",
    made_ms=5,
    index=7,
    term=2,
    wall_ms=5,
    generation=0,
    digest=bytes(16),
    jobs={"pending": 1},
    size=len(BODY),
    sha256=hashlib.sha256(BODY).digest(),
    configuration_index=1,
    configuration=b"c",
)


def opened(path: Path, data: bytes) -> Head:
    path.write_bytes(data)
    file = BackupFile(path)
    try:
        assert b"".join(data for _, data in file.chunks()) == BODY
    finally:
        file.close()
    return file.head


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def test_what_was_written_is_read(path: Path) -> None:
    assert opened(path, encode_head(HEAD) + BODY) == HEAD


def test_a_file_cut_short_at_any_place_or_with_more_behind_it_is_refused(path: Path) -> None:
    data = encode_head(HEAD) + BODY
    for size in [*range(len(data) - len(BODY) + 10), len(data) // 2, len(data) - 1]:
        with pytest.raises(Damaged, match="backup: "):
            opened(path, data[:size])
    with pytest.raises(Damaged, match=rf"has {len(data) + 1} bytes, should have {len(data)}"):
        opened(path, data + b"x")


def test_no_byte_can_be_changed(path: Path) -> None:
    data = encode_head(HEAD) + BODY
    body = len(data) - len(BODY)
    for place in [*range(body), body, len(data) // 2, len(data) - 1]:
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(StorageError, match="backup: "):
            opened(path, changed)


def test_what_a_newer_version_wrote_is_refused_and_what_it_added_is_ignored(path: Path) -> None:
    data = encode_head(HEAD)
    newer = MAGIC + (FORMAT + 1).to_bytes(4) + data[len(MAGIC) + 4 :]
    with pytest.raises(StorageError, match="format 2 was written by a newer version; this one reads up to 1"):
        opened(path, newer + BODY)
    fields = msgspec.msgpack.encode({**msgspec.structs.asdict(HEAD), "added": 1})
    prefix = FORMAT.to_bytes(4) + len(fields).to_bytes(4) + hashlib.sha256(fields).digest()
    assert opened(path, MAGIC + prefix + fields + BODY) == HEAD


def test_other_files_and_missing_ones_are_named(path: Path) -> None:
    with pytest.raises(StorageError, match="backup: No such file"):
        BackupFile(path)
    with pytest.raises(Damaged, match="not a backup of orchestrix-raft"):
        opened(path, b"#!/bin/sh\n")
    with pytest.raises(StorageError, match="Is a directory"):
        BackupFile(path.parent)
    without = msgspec.msgpack.encode({"cluster_id": "c"})
    prefix = FORMAT.to_bytes(4) + len(without).to_bytes(4) + hashlib.sha256(without).digest()
    with pytest.raises(Damaged, match="its head cannot be read"):
        opened(path, MAGIC + prefix + without)
