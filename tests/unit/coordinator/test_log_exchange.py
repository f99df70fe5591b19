"""Job logs of a cluster: two copies of every line, readable from any node, through the loss of any one."""

import pytest

from orchestrix_raft.coordinator import line_copies
from orchestrix_raft.coordinator.line_copies import AGAIN_S, LineCopies
from orchestrix_raft.coordinator.line_reader import ANSWER_S, LineReader, LogPage, Part, merged
from orchestrix_raft.coordinator.messages import LinesAnswer, LinesRequest, LinesShared, SharedLine
from orchestrix_raft.domain.report import Released
from orchestrix_raft.domain.session import HandlerLine, Observation, ReportMessage
from orchestrix_raft.machine.commands import Enqueue
from orchestrix_raft.storage.memory import MemoryDisk
from orchestrix_raft.storage.port import LogLine, StorageError
from tests.scenarios.driver import job, key
from tests.unit.coordinator.bench import Cores

START = (0, 0)


def kept(number: int, attempt: int = 1) -> LogLine:
    return LogLine(attempt, number, 5, "info", str(number))


def shared(number: int, words: str = "") -> SharedLine:
    return SharedLine(key("a"), 7, 1, number, 5, "info", words or str(number))


# ---- three nodes


class Logging:
    """A job of a worker at n1, on a cluster of three."""

    def __init__(self, nodes: int = 3) -> None:
        self.cores = Cores(nodes)
        self.cores.worker("n1", "w")
        self.cores.submit("n1", Enqueue((job("a"),)))
        self.cores.run()

    @property
    def token(self) -> int:
        return self.cores["n1"].state.jobs[key("a")].token

    def log(self, *numbers: int, at: str = "n1") -> None:
        lines = tuple(HandlerLine(key("a"), self.token, 5, "info", str(n), n) for n in numbers)
        self.cores[at].hub.table.streams[key("w")].receive(Observation((), (), lines))
        self.cores.run()

    def keepers(self) -> dict[str, list[int]]:
        """What each node has on its own disk."""
        return {
            name: [line.number for line in core.log_exchange._logs.page(key("a"), START, 100)[0]]
            for name, core in self.cores.cores.items()
        }

    def read(self, name: str, after: tuple[int, int] = START, limit: int = 100) -> LogPage:
        told: list[LogPage] = []
        core = self.cores[name]
        core.log_exchange.read(key("a"), after, limit, self.cores.now, told.append)
        self.cores.run(ANSWER_S + 0.25)
        (page,) = told
        return page

    def numbers(self, name: str) -> list[int]:
        return [line.number for line in self.read(name).lines]


@pytest.fixture
def logging() -> Logging:
    return Logging()


def test_an_attempt_that_was_given_back_and_began_again_keeps_the_lines_of_both_times() -> None:
    bench = Logging()
    bench.log(1, 2)
    before = bench.token
    stream = bench.cores["n1"].hub.table.streams[key("w")]
    stream.receive(ReportMessage((Released(key("a"), before),)))
    bench.cores.run()
    assert bench.token > before
    bench.log(1)
    found = bench.read("n2").lines
    assert [(line.attempt, line.number) for line in found] == [(1, 1), (1, 2), (1, 1)]


def test_lines_are_kept_by_the_owner_and_the_next_node(logging: Logging) -> None:
    logging.log(1, 2)
    logging.log(3)
    assert logging.keepers() == {"n1": [1, 2, 3], "n2": [1, 2, 3], "n3": []}
    assert not len(logging.cores["n1"].log_exchange.copies)


def test_every_node_tells_them(logging: Logging) -> None:
    logging.log(1, 2)
    for name in ("n1", "n2", "n3"):
        page = logging.read(name)
        assert [(line.place, line.message) for line in page.lines] == [((1, 1), "1"), ((1, 2), "2")]
        assert (page.silent, page.more) == ((), False)


def test_the_loss_of_either_keeper_loses_no_line(logging: Logging) -> None:
    logging.log(1, 2)
    for lost in ("n1", "n2"):
        logging.cores.cut = {lost}
        page = logging.read("n3")
        assert [line.number for line in page.lines] == [1, 2]
        assert page.silent == (lost,)


def test_a_node_that_is_gone_is_not_waited_for(logging: Logging) -> None:
    logging.log(1)
    n3 = logging.cores["n3"]
    n3.disconnected("n1")
    told: list[LogPage] = []
    n3.log_exchange.read(key("a"), START, 10, logging.cores.now, told.append)
    logging.cores.run()
    assert [(len(page.lines), page.silent) for page in told] == [(1, ("n1",))]
    n3.log_exchange.read(key("a"), START, 10, logging.cores.now, told.append)
    n3.disconnected("n2")
    assert told[1].silent == ("n1", "n2")


def test_when_the_next_node_is_out_of_reach_another_one_keeps_them(logging: Logging) -> None:
    logging.cores.cut = {"n2"}
    logging.log(1)
    assert logging.keepers() == {"n1": [1], "n2": [], "n3": []}, "n1 does not know yet"
    logging.cores["n1"].disconnected("n2")
    logging.cores.run()
    assert logging.keepers()["n3"] == [1]


def test_lines_go_on_in_order_with_another_owner(logging: Logging) -> None:
    logging.log(1, 2)
    logging.cores.worker("n3", "w")
    logging.cores.run()
    assert logging.cores["n1"].state.jobs[key("a")].owner == "n3"
    logging.log(2, 3, at="n3")
    assert logging.keepers() == {"n1": [1, 2, 3], "n2": [1, 2], "n3": [2, 3]}
    assert [logging.numbers(name) for name in ("n1", "n2", "n3")] == [[1, 2, 3]] * 3


def test_lines_under_an_old_token_are_refused_by_the_other_keeper_too(logging: Logging) -> None:
    late = SharedLine(key("a"), logging.token - 1, 1, 1, 5, "info", "late")
    n2 = logging.cores["n2"]
    n2.receive("n1", LinesShared(9, (late, SharedLine(key("a"), logging.token, 1, 2, 5, "info", "good"))))
    assert logging.keepers()["n2"] == [2]
    assert [type(message).__name__ for _, message in n2.outbox] == ["LinesTaken"], "not sent again for ever"


def test_a_keeper_that_cannot_read_does_not_answer(logging: Logging, monkeypatch: pytest.MonkeyPatch) -> None:
    logging.log(1)

    def read(*_: object) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(logging.cores["n2"].log_exchange._logs, "page", read)
    page = logging.read("n3")
    assert ([line.number for line in page.lines], page.silent) == ([1], ("n2",))
    assert "the disk is gone" in logging.cores["n2"].log_exchange.problem


def test_a_node_that_stops_answers_those_who_wait(logging: Logging) -> None:
    logging.log(1)
    told: list[LogPage] = []
    logging.cores["n3"].log_exchange.read(key("a"), START, 10, logging.cores.now, told.append)
    logging.cores["n3"].stop("the end")
    assert [page.silent for page in told] == [("n1", "n2")]


# ---- copies


class Sending:
    """Copies, and where they go."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, LinesShared]] = []
        self.keeper = "n2"
        self.copies = LineCopies(lambda peer, message: self.sent.append((peer, message)), lambda: self.keeper)

    def numbers(self) -> list[tuple[str, list[int]]]:
        return [(peer, [line.number for line in message.lines]) for peer, message in self.sent]


def test_one_batch_is_under_way_and_the_rest_gathers() -> None:
    here = Sending()
    here.copies.add([shared(1)])
    here.copies.pump(0.0)
    here.copies.add([shared(2)])
    here.copies.add([shared(3)])
    here.copies.pump(0.1)
    assert here.numbers() == [("n2", [1])]
    here.copies.taken("n2", 1)
    here.copies.pump(0.2)
    assert here.numbers() == [("n2", [1]), ("n2", [2, 3])]
    here.copies.taken("n2", 1)
    here.copies.taken("n3", 2)
    assert len(here.copies) == 2, "that was another batch"
    here.copies.taken("n2", 2)
    assert not len(here.copies)


def test_what_is_not_taken_goes_again_in_order_perhaps_to_another() -> None:
    here = Sending()
    here.copies.add([shared(1), shared(2)])
    here.copies.pump(0.0)
    here.copies.add([shared(3)])
    here.copies.pump(AGAIN_S - 0.1)
    assert len(here.sent) == 1
    here.keeper = "n3"
    here.copies.pump(AGAIN_S)
    assert here.numbers()[1:] == [("n3", [1, 2, 3])]
    here.copies.lost("n2")
    assert len(here.sent) == 2
    here.copies.lost("n3")
    here.keeper = ""
    here.copies.pump(4.0)
    assert len(here.sent) == 2, "nobody is there"
    here.keeper = "n2"
    here.copies.pump(4.1)
    assert here.numbers()[2:] == [("n2", [1, 2, 3])]


def test_what_waits_for_a_keeper_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_copies, "WAITING_BYTES", 1_000)
    here = Sending()
    here.keeper = ""
    here.copies.add(shared(n, "x" * 100) for n in range(1, 11))
    assert (len(here.copies), here.copies.dropped) == (6, 4)
    here.keeper = "n2"
    here.copies.pump(0.0)
    assert here.numbers() == [("n2", [5, 6, 7, 8, 9, 10])], "the newest"


def test_batches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_copies, "BATCH_BYTES", 300)
    here = Sending()
    here.copies.add(shared(n, "x" * 100) for n in range(1, 5))
    here.copies.pump(0.0)
    assert here.numbers() == [("n2", [1, 2])]


# ---- reading


def test_parts_are_merged_in_order_each_line_once() -> None:
    parts = [Part([kept(1), kept(3)], False), Part([kept(1), kept(2)], False), Part([kept(1, 2)], False)]
    assert merged(parts, 10) == Part([kept(1), kept(2), kept(3), kept(1, 2)], False)
    assert merged(parts, 2) == Part([kept(1), kept(2)], True)


def test_nothing_behind_the_end_of_a_part_that_has_more() -> None:
    """Another keeper's page ended at 2: its line 3 is still to be seen."""
    parts = [Part([kept(1), kept(2)], True), Part([kept(4), kept(5)], False)]
    assert merged(parts, 10) == Part([kept(1), kept(2)], True)


def test_a_late_member_is_named_and_its_answer_ignored() -> None:
    sent: list[tuple[str, LinesRequest]] = []
    told: list[LogPage] = []
    reader = LineReader(lambda peer, message: sent.append((peer, message)))
    reader.ask(Part([], False), key("a"), (1, 4), 10, ("n2", "n3"), frozenset({"n2", "n3"}), 5.0, told.append)
    assert [(peer, message.after_token, message.after_number) for peer, message in sent] == [
        ("n2", 1, 4),
        ("n3", 1, 4),
    ]
    number = sent[0][1].number
    reader.answered("n2", LinesAnswer(number, ((1, 5, 5, "info", "5", 1),), False))
    reader.answered("n2", LinesAnswer(number, ((1, 6, 5, "info", "6", 1),), False))
    reader.answered("n9", LinesAnswer(number, (), False))
    reader.expire(5.0 + ANSWER_S - 0.1)
    assert told == []
    reader.expire(5.0 + ANSWER_S)
    assert told == [LogPage([kept(5)], ("n3",), False)]
    reader.answered("n3", LinesAnswer(number, (), False))
    assert (len(told), len(reader)) == (1, 0)


def test_alone_it_answers_at_once() -> None:
    told: list[LogPage] = []
    LineReader(lambda *_: None).ask(
        Part([kept(1)], False), key("a"), START, 10, (), frozenset(), 5.0, told.append
    )
    assert told == [LogPage([kept(1)])]


def test_a_full_disk_costs_one_copy() -> None:
    logging = Logging()
    disk = logging.cores.disks["n1"]
    assert isinstance(disk, MemoryDisk)
    disk.full = True
    logging.log(1)
    assert logging.keepers() == {"n1": [], "n2": [1], "n3": []}
    disk.full = False
