"""Marks in the log: a checkpoint at exactly that entry, and what came of reading it."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from orchestrix_raft.coordinator import contents
from orchestrix_raft.coordinator.checkpoints import MARKS_MAX
from orchestrix_raft.coordinator.contents import (
    MARKS_KEPT,
    REPLACED,
    TOO_MANY,
    UNKNOWN,
    ContentsReader,
    ContentsTrail,
)
from orchestrix_raft.coordinator.digests import DIGEST_STRIDE
from orchestrix_raft.coordinator.port import Done
from orchestrix_raft.coordinator.queries import status
from orchestrix_raft.machine.commands import Enqueue, MarkContents
from orchestrix_raft.machine.history import LIVE_JOBS
from orchestrix_raft.storage.port import StateView
from orchestrix_raft.storage.views import Contents, CopiedView, contents_of
from tests.scenarios.driver import job, key
from tests.unit.coordinator.bench import Cores

FOUND = Contents(b"digest", 1, 2)


def enqueue(cores: Cores, *names: str) -> None:
    cores.submit("n1", Enqueue(tuple(job(name) for name in names)))
    cores.run()


def mark(cores: Cores) -> int:
    told = cores.submit("n1", MarkContents())
    cores.run()
    (outcome,) = told.outcomes
    assert isinstance(outcome, Done)
    return outcome.index


def carry_out(cores: Cores, name: str) -> None:
    """All the disk work that a node has, one piece after the other."""
    core = cores[name]
    core.step()
    while core.disk_work:
        work = core.disk_work.pop(0)
        core.checkpoint_done(work, core.replica.checkpoints.write(work))
        core.step()


def read(cores: Cores, name: str) -> dict[int, Contents]:
    """What a node reads from its disk at marks."""
    found = {}
    for index, view in cores[name].replica.contents.take():
        found[index] = contents_of(view)
        cores[name].replica.contents.end(index, found[index])
        view.close()
    return found


# ---- checkpoints at marks


def test_every_node_makes_a_checkpoint_of_exactly_the_marked_entry_whatever_it_is_doing() -> None:
    cores = Cores(3)
    enqueue(cores, "a")
    cores["n2"].replica.checkpoints.ask()
    cores["n2"].step()
    assert cores["n2"].disk_work, "a checkpoint is under way"
    enqueue(cores, "b")
    index = mark(cores)
    enqueue(cores, "c")
    second = mark(cores)
    enqueue(cores, "d")
    found = []
    for name in cores.cores:
        carry_out(cores, name)
        views = cores[name].replica.contents.take()
        assert [at for at, _ in views] == [index, second]
        for at, view in views:
            assert view.position is not None
            assert view.position.index == at
        jobs = {row[0] for rows in views[0][1].slices(LIVE_JOBS) for row in rows}
        assert jobs == {key("a"), key("b")}
        found.append([contents_of(view) for _, view in views])
    assert found[0] == found[1] == found[2]
    assert found[0][0] != found[0][1]


def test_what_is_held_in_memory_for_marks_has_a_bound() -> None:
    cores = Cores()
    enqueue(cores, "a")
    indexes = [mark(cores) for _ in range(MARKS_MAX + 2)]
    core = cores["n1"]
    # The first went to the disk, and there it is.
    assert [core.replica.contents.find(index) for index in indexes] == [None] * (MARKS_MAX + 1) + [TOO_MANY]
    carry_out(cores, "n1")
    assert sorted(read(cores, "n1")) == indexes[:-1]
    assert mark(cores) > indexes[-1]
    carry_out(cores, "n1")
    assert len(read(cores, "n1")) == 1


def test_a_checkpoint_that_is_asked_for_moves_the_position_also_without_changes() -> None:
    cores = Cores()
    enqueue(cores, "a")
    core = cores["n1"]
    core.replica.checkpoints.ask()
    carry_out(cores, "n1")
    before = core.replica.store.position()
    core.replica.checkpoints.ask()
    core.step()
    (work,) = core.disk_work
    assert before is not None
    assert work.position.index == core.consensus.applied_index >= before.index
    assert not work.changes
    carry_out(cores, "n1")
    assert not core.disk_work


def test_a_mark_that_a_snapshot_overtook_on_disk_is_answered_so() -> None:
    cores = Cores()
    enqueue(cores, "a")
    index = mark(cores)
    core = cores["n1"]
    core.step()
    (work,) = core.disk_work
    core.replica.store.write([], work.position._replace(index=work.position.index + 1))
    core.checkpoint_done(work, core.replica.checkpoints.write(work))
    assert core.replica.contents.find(index) == REPLACED


# ---- the rolling digest


def test_a_node_whose_state_differs_is_named_by_the_leaders_status() -> None:
    cores = Cores(3)
    assert not [line for line in status(cores["n1"], "c").problems if "another state" in line]
    cores["n2"].state.digest = bytes(16)
    while cores["n1"].consensus.applied_index < 3 * DIGEST_STRIDE:
        enqueue(cores, *(f"{cores.now}-{number}" for number in range(3)))
    cores.run(cores.limits.beats.interval_s + 1.0)
    (line,) = [line for line in status(cores["n1"], "c").problems if "another state" in line]
    assert line.startswith("node n2 has another state than this one since log index ")


# ---- what is known


def test_findings_are_kept_for_the_newest_marks() -> None:
    trail = ContentsTrail()
    for index in range(MARKS_KEPT + 1):
        trail.begin(index, taken=True)
        trail.end(index, FOUND)
    assert trail.find(0) == UNKNOWN
    assert trail.find(1) == trail.find(MARKS_KEPT) == FOUND
    trail.end(0, FOUND)
    assert trail.find(0) == UNKNOWN


def test_after_a_snapshot_only_what_is_written_can_still_be_read() -> None:
    trail = ContentsTrail()
    for index in (1, 2, 3):
        trail.begin(index, taken=True)
    trail.end(1, FOUND)
    trail.written(2, CopiedView({}, None))
    trail.replaced()
    assert (trail.find(1), trail.find(2), trail.find(3)) == (FOUND, None, REPLACED)


# ---- reading beside the loop


class Look:
    """`until` as a node has it: conditions are looked at now and then."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def until(self, condition: Callable[[], bool]) -> None:
        met = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, met))
        self.look()
        await met

    def look(self) -> None:
        for condition, met in self._waiting:
            if not met.done() and condition():
                met.set_result(None)


class Gated(CopiedView):
    """Rows that come when they are let through."""

    def __init__(self) -> None:
        super().__init__({"jobs": {b"a": b"1"}}, None)
        self.gate = threading.Event()
        self.reading = threading.Event()

    def tables(self) -> list[str]:
        self.reading.set()
        self.gate.wait()
        return super().tables()


def begun(trail: ContentsTrail, view: StateView) -> None:
    trail.begin(7, taken=True)
    trail.written(7, view)


async def test_reading_goes_on_beside_the_loop_and_who_asks_waits() -> None:
    trail, look, view = ContentsTrail(), Look(), Gated()
    reader = ContentsReader(trail, look.until)
    begun(trail, view)
    reader.look()
    asked = asyncio.ensure_future(reader.find(7))
    await asyncio.to_thread(view.reading.wait)
    assert not asked.done()
    view.gate.set()
    while trail.find(7) is None:
        await asyncio.sleep(0)
    look.look()
    assert await asked == contents_of(CopiedView({"jobs": {b"a": b"1"}}, None))
    assert view._closed
    reader.close()


async def test_who_asks_is_told_that_it_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "WAIT_S", 0.0)
    trail, view = ContentsTrail(), Gated()
    reader = ContentsReader(trail, Look().until)
    begun(trail, view)
    reader.look()
    assert await reader.find(7) is None
    assert await reader.find(8) == UNKNOWN
    view.gate.set()
    reader.close()


async def test_a_state_that_is_gone_while_it_is_read_is_the_answer() -> None:
    trail, look, view = ContentsTrail(), Look(), Gated()
    reader = ContentsReader(trail, look.until)
    begun(trail, view)
    reader.look()
    view.close()
    view.gate.set()
    while trail.find(7) is None:
        await asyncio.sleep(0)
    assert "closed or replaced while it was read" in str(await reader.find(7))
    reader.close()


async def test_a_node_that_stops_does_not_wait_until_all_is_read() -> None:
    rows = {b"%06d" % number: b"" for number in range(200_000)}
    trail, view = ContentsTrail(), Gated()
    view._rows["jobs"] = sorted(rows.items())
    reader = ContentsReader(trail, Look().until)
    begun(trail, view)
    trail.begin(8, taken=True)
    trail.written(8, CopiedView({}, None))
    reader.look()
    await asyncio.to_thread(view.reading.wait)
    reader._ends.set()
    view.gate.set()
    reader.close()
    await asyncio.sleep(0)
    assert trail.find(7) is None
