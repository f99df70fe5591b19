"""A new cluster from a backup or a survivor: what it holds, and what makes it another cluster."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from orchestrix_raft.consensus.configuration import Configuration, Member, Standing
from orchestrix_raft.consensus.entries import COMMAND
from orchestrix_raft.coordinator import renewal
from orchestrix_raft.coordinator.backup_file import Head, encode_head
from orchestrix_raft.coordinator.history import LayeredHistory
from orchestrix_raft.coordinator.renewal import jobs_of, recover, restore
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.audit import AuditRecord
from orchestrix_raft.machine import invariants, loading
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.codec import Level, decode_entry, encode_record
from orchestrix_raft.machine.history import LEVEL_KEY, LIVE_JOBS, SINGLES
from orchestrix_raft.machine.invariants import Broken
from orchestrix_raft.storage.disk import Member as Founder
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.storage.offline import Survivor
from orchestrix_raft.storage.port import Changes, Damaged, Entry, Position, StorageError
from tests.scenarios.driver import Driver, key

GENERATION = 1 << 40
VOTERS = Configuration({name: Member(Standing.VOTER, f"disk-{name}") for name in ("n1", "n2", "n3")})


class LogDriver(Driver):
    """Its log begins where one of Raft does."""

    def start_node(self, node: str, boot: str = "") -> int:
        self.index = max(self.index, 1)
        return super().start_node(node, boot)


def scenario() -> Driver:
    """A worker that runs a job, one that is done, and two that wait."""
    driver = LogDriver()
    driver.attach("w", capacity=2)
    driver.enqueue("a", "b", "c", "d")
    driver.complete("a")
    return driver


class Former:
    """A node's data directory as it is left behind: a checkpoint after `covered` entries, then a log."""

    def __init__(self, path: Path, covered: int) -> None:
        self.path = path
        self.driver = scenario()
        log = self.driver.log
        directory = DataDirectory.open(path)
        directory.set_node_id("n1")
        directory.set_bootstrap([Founder(n, f"disk-{n}", f"{n}:7400") for n in ("n1", "n2", "n3")])
        directory.set_cluster_id("former")
        directory._change(disk_id="disk-n1")
        journal = directory.open_journal()
        journal.set_term(4, "n2")
        for index, data in enumerate(log, 2):
            journal.append(Entry(COMMAND + data, index, 4))
        journal.flush()
        self.last = journal.last_index
        if covered:
            store = directory.open_state_store()
            history = LayeredHistory(store)
            machine = Machine(history, history)
            for index, data in enumerate(log[:covered], 2):
                machine.apply(index, 4, decode_entry(data))
            store.write([history.freeze()], Position(covered + 1, 4, 0, VOTERS.encode(), b""))
        directory.open_state_store() if not covered else None
        directory.close()


@pytest.fixture
def former(tmp_path: Path) -> Former:
    return Former(tmp_path / "n1", covered=2)


def write_backup(path: Path, former: Former, **changes: object) -> Path:
    """A backup of the checkpoint of that directory."""
    directory = DataDirectory.open(former.path)
    store = directory.open_state_store()
    assert store.snapshot() is None
    for thread in threading.enumerate():
        if thread.name.startswith("snapshot-"):
            thread.join()
    reader = store.snapshot()
    assert reader is not None
    history = LayeredHistory(store)
    machine = Machine(history, history)
    machine.load(history.tables)
    state, ref = machine.state, reader.ref
    head = Head(
        cluster_id="former",
        node_id="n1",
        version="1",
        made_ms=1,
        index=ref.index,
        term=ref.term,
        wall_ms=state.wall_ms,
        generation=0,
        digest=state.digest,
        jobs=jobs_of(state.counts),
        size=ref.size,
        sha256=ref.digest,
        configuration_index=ref.configuration_index,
        configuration=ref.configuration,
    )
    head = msgspec.structs.replace(head, **changes)
    path.write_bytes(encode_head(head) + reader.read(0, ref.size))
    reader.close()
    directory.close()
    return path


def loaded(path: Path) -> Iterator[tuple[Machine, DataDirectory]]:
    """The state in a directory, as a node would find it."""
    directory = DataDirectory.open(path)
    history = LayeredHistory(directory.open_state_store())
    machine = Machine(history, history)
    machine.load(history.tables)
    invariants.check(machine)
    yield machine, directory
    directory.close()


def recovered(path: Path) -> tuple[renewal.Renewed, Path]:
    with closing(Survivor(path)) as survivor:
        return recover(survivor)


@pytest.mark.parametrize("covered", [0, 1, 2, 3, 4])
def test_a_survivor_goes_on_with_every_entry_of_its_log(tmp_path: Path, covered: int) -> None:
    former = Former(tmp_path / "n1", covered)
    left_by = former.driver.machine.state
    with closing(Survivor(former.path)) as survivor:
        left = renewal.look(survivor)
    assert (left.node_id, left.members, left.last_index, left.last_term) == ("n1", ("n1", "n2", "n3"), 5, 4)
    assert left.checkpoint == covered + 1
    assert left.last_wall_ms == former.driver.wall_ms
    made, kept = recovered(former.path)
    assert made.digest == left_by.digest
    assert made.first_index == 5 + limits.GENERATION_INDEXES
    assert (made.generation, made.sessions, made.jobs["completed"], made.jobs["pending"]) == (1, 1, 1, 1)
    for machine, directory in loaded(former.path):
        identity = directory.identity
        assert identity.node_id == "n1"
        assert identity.cluster_id not in ("", "former")
        assert identity.disk_id != "disk-n1"
        assert identity.known_addresses == {"n1": "n1:7400"}
        assert sorted(machine.state.jobs) == [key("b"), key("c"), key("d")]
        assert machine.find_job(key("a")) is not None
        assert machine.state.digest != left_by.digest, "its first entry is behind it"
        (session,) = machine.state.sessions.values()
        assert session.node_id == ""
        assert session.timer is not None
        assert session.timer.due_ms == left_by.elapsed_ms + limits.SESSION_DEADLINE_MS
    assert kept == former.path / "before-recovery-1"


def test_the_new_cluster_is_of_one_and_its_log_begins_where_its_state_stands(former: Former) -> None:
    made, _ = recovered(former.path)
    directory = DataDirectory.open(former.path)
    journal, store = directory.open_journal(), directory.open_state_store()
    position = store.position()
    assert position is not None
    assert (position.index, position.term) == (made.first_index, 5)
    assert (journal.first_index, journal.last_index, journal.term, journal.voted_for) == (
        made.first_index,
        made.first_index,
        5,
        None,
    )
    configuration = Configuration.decode(position.configuration)
    assert configuration.members == {"n1": Member(Standing.VOTER, directory.identity.disk_id)}
    directory.close()


def test_a_survivor_can_be_recovered_again(former: Former) -> None:
    once, _ = recovered(former.path)
    twice, kept = recovered(former.path)
    assert twice.generation == 2
    assert twice.first_index == once.first_index + limits.GENERATION_INDEXES
    assert kept.name == "before-recovery-2"
    for machine, _ in loaded(former.path):
        assert {job.token for job in machine.state.jobs.values()} == {0, 2, 3}


@pytest.mark.parametrize(
    "name", ["of\nyesterday", os.fsdecode(b"of\xffyesterday")], ids=["two lines", "no text"]
)
def test_a_backup_may_have_a_name_that_the_audit_trail_cannot_hold(
    former: Former, tmp_path: Path, name: str
) -> None:
    restore(write_backup(tmp_path / name, former), tmp_path / "new", by=f"{name} on host")
    (record,) = trail(tmp_path / "new")
    assert record.target.startswith(f"{tmp_path}/of?yesterday, as of index")
    assert record.actor == "of?yesterday on host"


def test_a_restored_cluster_holds_what_the_backup_does(former: Former, tmp_path: Path) -> None:
    file = write_backup(tmp_path / "backup", former)
    head, made = restore(file, tmp_path / "new", "n9")
    assert made.digest == head.digest
    assert (made.node_id, made.generation, made.first_index) == (
        "n9",
        1,
        head.index + limits.GENERATION_INDEXES,
    )
    assert made.jobs == head.jobs
    for machine, directory in loaded(tmp_path / "new"):
        assert machine.state.generation == 1
        assert directory.identity.node_id == "n9"
        assert directory.identity.cluster_id == made.cluster_id != "former"
    again = restore(file, tmp_path / "again")[1]
    assert again.cluster_id != made.cluster_id
    assert again.node_id.startswith("node-")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"digest": b"another"}, "the state inside has another digest than its head says"),
        ({"index": 99}, "announced as index 99"),
        ({"sha256": bytes(32)}, "SHA-256 of its content differs"),
    ],
)
def test_a_backup_that_contradicts_itself_makes_nothing(
    former: Former, tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    file = write_backup(tmp_path / "backup", former, **changes)
    with pytest.raises(Damaged, match=says):
        restore(file, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def change(path: Path, changes: Changes) -> None:
    directory = DataDirectory.open(path)
    store = directory.open_state_store()
    position = store.position()
    assert position is not None
    store.write([changes], position)
    directory.close()


def test_a_record_or_entry_that_is_not_understood_is_named_and_nothing_is_changed(former: Former) -> None:
    shutil.copytree(former.path, former.path.with_name("copy"))
    change(former.path, {LIVE_JOBS: {key("b"): b"\xc1"}})
    with pytest.raises(Damaged, match="the state is damaged, or was written by a newer version"):
        recovered(former.path)
    path = former.path.with_name("copy")
    directory = DataDirectory.open(path)
    journal = directory.open_journal()
    journal.append(Entry(COMMAND + b"\xc1", 6, 4))
    journal.flush()
    directory.close()
    with pytest.raises(Damaged, match="entry 6 is damaged, or was written by a newer version"):
        recovered(path)
    for left in (former.path, path):
        assert DataDirectory.open(left).identity.cluster_id == "former"


def test_a_state_above_the_level_of_this_version_says_what_to_install(former: Former) -> None:
    change(former.path, {SINGLES: {LEVEL_KEY: encode_record(Level(9_999, "99.0"))}})
    with pytest.raises(StorageError, match=r"machine level 9999, .* install version 99\.0 or newer"):
        recovered(former.path)


def test_tables_that_contradict_each_other_are_refused(
    former: Former, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = former.driver.job("b")
    change(former.path, {LIVE_JOBS: {key("z"): encode_record(job)}})
    with pytest.raises(Damaged, match="the state contradicts itself"):
        recovered(former.path)
    monkeypatch.setattr(loading, "_check_counts", lambda state: None)

    def broken(machine: Machine) -> None:
        raise Broken("job a is filed under another id")

    monkeypatch.setattr(renewal, "check", broken)
    with pytest.raises(Damaged, match="contradicts itself"):
        recovered(former.path)


def test_log_and_state_that_do_not_join_are_refused(former: Former) -> None:
    directory = DataDirectory.open(former.path)
    journal = directory.open_journal()
    journal.compact_to(5)
    journal.flush()
    directory.close()
    with pytest.raises(StorageError, match="entries 4 to 5 are lost"):
        recovered(former.path)


def test_a_node_that_never_was_in_a_cluster_has_nothing_to_recover(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path / "new")
    directory.open_journal()
    directory.open_state_store()
    directory.close()
    with pytest.raises(StorageError, match="never was in a cluster"):
        recovered(tmp_path / "new")


def test_a_long_log_is_replayed_in_pieces(former: Former, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "WRITE_BYTES", 1)
    made, _ = recovered(former.path)
    assert made.digest == former.driver.machine.state.digest
    for machine, _ in loaded(former.path):
        assert len(machine.state.jobs) == 3


def trail(path: Path) -> list[AuditRecord]:
    found: list[AuditRecord] = []
    for machine, _ in loaded(path):
        found += [record for _, record in machine.state.records.audit_from(1, 10)]
    return found


def test_who_made_the_new_cluster_is_in_its_audit_trail(former: Former, tmp_path: Path) -> None:
    file = write_backup(tmp_path / "backup", former)
    head, made = restore(file, tmp_path / "new", "n9", "alice on host")
    (record,) = trail(tmp_path / "new")
    assert (record.actor, record.action) == ("alice on host", "restore")
    assert record.target == f"{file}, as of index {head.index} of cluster {head.cluster_id}"
    assert record.outcome == f"done: cluster {made.cluster_id} of node n9"
    with closing(Survivor(former.path)) as survivor:
        again, _ = recover(survivor, "bob")
    (record,) = trail(former.path)
    assert (record.actor, record.action) == ("bob", "recover")
    assert record.target == f"node n1 of cluster former, up to index {former.last}"
    assert record.outcome == f"done: cluster {again.cluster_id} of node n1"
