"""What earlier versions wrote and said is understood by this one: recordings made by `record.py`, never
rewritten once their version is released."""

import tarfile
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from orchestrix_raft.coordinator.history import LayeredHistory
from orchestrix_raft.domain.job import JobState
from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.machine import codec, events
from orchestrix_raft.machine.apply import Machine
from orchestrix_raft.machine.commands import Enqueue, EnqueueResult
from orchestrix_raft.machine.events import Event
from orchestrix_raft.machine.invariants import check, check_stored
from orchestrix_raft.machine.memory import MemoryStore
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.storage.state import LmdbStateStore
from orchestrix_raft.testing import eventually
from orchestrix_raft.version import VERSION
from tests.compat import record, samples
from tests.compat.api import api
from tests.compat.one_node import ADDRESS, CLUSTER_ID, NODE_ID, OneNode
from tests.compat.shapes import shapes
from tests.compat.story import job, key

NAMES = sorted(path.name for path in record.RECORDINGS.iterdir())
RECORD_ANEW = "only additions are allowed (docs/contributing.md); not released yet: tests/compat/record.py"


Digests = dict[int, bytes]
"""Log index -> digest after it."""

CARRIED_OUT = frozenset(
    {events.JobEnqueued, events.JobReady, events.JobAssigned, events.JobStarted, events.JobProgressed}
    | {events.JobCompleted, events.AttemptEnded, events.JobReleased, events.StopRequested}
    | {events.JobCancelled, events.JobRetried, events.JobForgotten, events.StaleToken}
    | {events.SessionAttached, events.SessionDetached, events.SessionResumed, events.SessionDraining}
    | {events.SessionEnded, events.NodeJoined, events.NodeHealthSet, events.SchedulePut, events.SlotFired}
    | {events.SlotSkipped, events.SlotBuffered, events.SchedulePaused, events.ScheduleResumed}
    | {
        events.Audited,
        events.LevelRaised,
        events.ScheduleDeleted,
        events.QueueConfigured,
        events.WindowPassed,
        events.UniqueWindowEnded,
    }
)
"""What the story brings about, at least."""


class Facts(msgspec.Struct, frozen=True):
    """What the recording version said of its own recording."""

    version: str
    machine_level: int
    index: int
    checkpoint: int
    digest: str
    disk_id: str


class Recording(NamedTuple):
    folder: Path
    facts: Facts
    node: Path  # the data directory, unpacked

    def lines(self, name: str) -> set[str]:
        return set((self.folder / name).read_text(encoding="utf-8").splitlines())


@pytest.fixture(params=NAMES)
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Recording:
    """Of every version there is one of."""
    folder = record.RECORDINGS / request.param
    with tarfile.open(folder / "node.tar.xz") as packed:
        packed.extractall(tmp_path / "node", filter="data")
    facts = msgspec.json.decode((folder / "facts.json").read_bytes(), type=Facts)
    return Recording(folder, facts, tmp_path / "node")


def replayed(recording: Recording, told: list[Event] | None = None) -> tuple[Machine, MemoryStore, Digests]:
    """The journal from its beginning, without the checkpoint; the digests on the way.  told: gets events."""
    store, digests = MemoryStore(), Digests()
    machine = Machine(store, store)
    disk = DataDirectory.open(recording.node)
    journal = disk.open_journal()
    for index in range(1, recording.facts.index + 1):
        entry = journal.entry(index)
        if entry.data[:1] == b"\0":
            applied = machine.apply(index, entry.term, codec.decode_entry(entry.data[1:]))
            assert not applied.faults
            if told is not None:
                told += applied.events
            digests[index] = machine.state.digest
    disk.close()
    return machine, store, digests


def test_there_is_a_recording_of_this_version() -> None:
    assert VERSION in NAMES, "make one: python tests/compat/record.py"


def test_the_journal_is_read_and_every_entry_does_what_it_did(recording: Recording) -> None:
    machine, store, digests = replayed(recording)
    assert machine.state.index == recording.facts.index
    assert machine.state.level == recording.facts.machine_level
    assert digests[recording.facts.index].hex() == recording.facts.digest, RECORD_ANEW
    check(machine)
    check_stored(machine, store.pairs)


def test_what_was_asked_for_by_hand_is_noted_in_the_words_of_its_level(recording: Recording) -> None:
    machine, _, _ = replayed(recording)
    trail = machine.state.records.audit_from(machine.state.audit.first, 1_000)
    first, highest = (
        [
            (record.action, record.outcome)
            for _, record in trail
            if record.actor.endswith(f" at level {level}")
        ]
        for level in (FIRST_LEVEL, recording.facts.machine_level)
    )
    after = [("retry_where", "done: 0 at once"), ("cancel_jobs", "done: not_found")]
    assert first == [
        ("pause_schedule", "done: paused"),
        ("configure_queue", "done: configured"),
        ("configure_queue", "done: configured"),
        ("configure_queue", "refused: QUEUE_OPTIONS_INVALID"),
        *after,
    ]
    assert highest == [
        ("put_schedule", "done: created"),
        ("pause_schedule", "done: paused"),
        ("configure_queue", "done: rate 100/1500ms, key concurrency 2"),
        ("configure_queue", "done: paused, rate none"),
        ("configure_queue", "refused: QUEUE_OPTIONS_INVALID"),
        *after,
    ]


def test_the_checkpoint_is_read_and_holds_what_the_journal_led_to(recording: Recording) -> None:
    _, _, digests = replayed(recording)
    disk = DataDirectory.open(recording.node)
    history = LayeredHistory(disk.open_state_store())
    machine = Machine(history, history)
    machine.load(history.tables)
    assert machine.state.index == recording.facts.checkpoint
    assert machine.state.digest == digests[recording.facts.checkpoint]
    check(machine)
    check_stored(machine, history.tables)
    disk.close()


def test_the_checkpoint_is_a_snapshot_that_another_node_installs(
    recording: Recording, tmp_path: Path
) -> None:
    disk = DataDirectory.open(recording.node)
    reader = eventually(disk.open_state_store().snapshot, "the copy is made")
    assert reader is not None
    other = LmdbStateStore(tmp_path / "other")
    writer = other.receive(reader.ref)
    offset = 0
    while data := reader.read(offset, 1 << 16):
        writer.write(offset, data)
        offset += len(data)
    writer.commit()
    reader.close()
    history = LayeredHistory(other)
    machine = Machine(history, history)
    machine.load(history.tables)
    assert machine.state.index == recording.facts.checkpoint
    check(machine)
    other.close()
    disk.close()


def test_a_node_starts_from_the_directory_and_goes_on(recording: Recording) -> None:
    with OneNode(recording.node, begins_s=5_000.0) as node:
        identity = node.disk.identity
        assert (identity.node_id, identity.cluster_id) == (NODE_ID, CLUSTER_ID)
        assert identity.disk_id == recording.facts.disk_id
        assert identity.addresses == {NODE_ID: ADDRESS}
        node.run(5.0)
        assert min(node.digests) > recording.facts.checkpoint, "it begins at the checkpoint"
        assert node.digests[recording.facts.index].hex() == recording.facts.digest
        state = node.core.state
        assert state.jobs[key("last")].state is JobState.PENDING
        assert [line.message for line in node.local.lines(key("done"), (0, 0), 9, 1_000)] == [
            "kept beside the log"
        ]
        assert node.do(Enqueue((job("new"),))) == EnqueueResult({}, {})
        check(node.core.replica.machine)


def test_every_command_is_in_the_recording_of_this_version() -> None:
    """A new one: record anew.  One that the recording alone has: it was removed, which no version may do."""
    folder = record.RECORDINGS / VERSION
    recorded = {line.split("(")[0] for line in (folder / "shapes.txt").read_text().splitlines()}
    here = {f"command {samples.tag_of(one)} {type(one).__name__}" for one in samples.commands()}
    assert {line for line in recorded if line.startswith("command ")} == here, RECORD_ANEW


def test_what_nodes_keep_and_tell_each_other_has_the_shapes_it_had(recording: Recording) -> None:
    gone = recording.lines("shapes.txt") - set(shapes())
    assert not gone, RECORD_ANEW


def test_the_api_has_everything_it_had(recording: Recording) -> None:
    gone = recording.lines("api.txt") - set(api())
    assert not gone, RECORD_ANEW


# ---- the recorder itself


def test_a_recording_of_a_release_is_never_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(record, "RECORDINGS", tmp_path)
    for version, code in (("1.2.0", 1), ("1.2.0.dev3", 0)):
        monkeypatch.setattr("orchestrix_raft.version.VERSION", version)
        (tmp_path / version).mkdir()
        (tmp_path / version / "facts.json").write_text("as it was")
        assert record.main() == code
        kept = (tmp_path / version / "facts.json").read_text() == "as it was"
        assert kept == (code == 1)
    assert "stays as it is: raise VERSION first" in capsys.readouterr().err


def test_what_the_story_tells_is_carried_out_and_not_only_refused(recording: Recording) -> None:
    told: list[Event] = []
    replayed(recording, told)
    missing = CARRIED_OUT - {type(event) for event in told}
    assert not missing
