"""WorkerService over a real gRPC connection, with a node in memory."""

import asyncio
from typing import Any

import grpc.aio
import pytest

from orchestrix_raft.api.workers import LAST_WORDS_S, listed
from orchestrix_raft.domain.job import Job, JobSpec, JobState
from orchestrix_raft.domain.report import Completed, Released
from orchestrix_raft.domain.session import (
    Assignment,
    Assignments,
    CoordinatorMessage,
    Farewell,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Refused,
    ReportAck,
    ReportMessage,
    Welcome,
    WorkerMessage,
)
from orchestrix_raft.domain.worker import Session
from orchestrix_raft.wire import workers as wire
from orchestrix_raft.wire.services import CLUSTER, WORKERS
from orchestrix_raft.wire.transport import EOF
from tests.unit.api.fake_node import FakeNode, FakeSession, refuse

ID = bytes(range(16))
HELLO = Hello(ID, "w", ("default",), 4, (), 0, ())


class Worker:
    """A worker's end of a stream, message by message."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        method = WORKERS.methods["Session"]
        read: Any = method.response.FromString
        write: Any = method.request.SerializeToString
        make: Any = channel.stream_stream(method.path, write, read)
        self.call = make()

    async def say(self, *messages: WorkerMessage) -> None:
        for message in messages:
            await self.call.write(wire.write_worker_message(message))

    async def hear(self) -> CoordinatorMessage:
        raw = await self.call.read()
        assert raw is not EOF, "the stream has ended"
        return wire.read_coordinator_message(raw)

    async def how_it_ends(self) -> grpc.StatusCode:
        """Read on to the status."""
        try:
            while await self.call.read() is not EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    async def ended(self) -> bool:
        return await self.call.read() is EOF


async def opened(node: FakeNode, channel: grpc.aio.Channel) -> tuple[Worker, FakeSession]:
    worker = Worker(channel)
    await worker.say(HELLO)
    assert isinstance(await worker.hear(), Welcome)
    return worker, node.opened[-1]


def assignment(token: int) -> Assignment:
    return Assignment(ID, token, "t", "q", b"{}", 1, 0, "", 0)


async def test_messages_pass_in_both_directions(node: FakeNode, channel: grpc.aio.Channel) -> None:
    worker, session = await opened(node, channel)
    assert session.hello == HELLO
    await worker.say(Heartbeat(3), ReportMessage((Released(ID, 1),)))
    assert await worker.hear() == HeartbeatAck(3)
    assert await worker.hear() == ReportAck((1,), ())


async def test_a_worker_whose_reports_find_no_room_is_not_read_on(
    node: FakeNode, channel: grpc.aio.Channel
) -> None:
    worker, session = await opened(node, channel)
    session.free_room.clear()
    await worker.say(ReportMessage((Released(ID, 1),)), Heartbeat(3))
    await session.asked.wait()
    assert session.received == []
    session.deliver(Assignments((assignment(7),)))
    assert isinstance(await worker.hear(), Assignments), "what the node says goes on"
    session.free_room.set()
    assert await worker.hear() == ReportAck((1,), ())
    assert [type(message) for message in session.received] == [ReportMessage, Heartbeat]


async def test_what_is_delivered_together_travels_together(node: FakeNode, channel: grpc.aio.Channel) -> None:
    worker, session = await opened(node, channel)
    for token in range(1, 101):
        session.deliver(Assignments((assignment(token),)))
        session.deliver(ReportAck((token,), ()))
    acknowledged = await worker.hear()
    assigned = await worker.hear()
    assert isinstance(acknowledged, ReportAck)
    assert isinstance(assigned, Assignments)
    assert (len(acknowledged.tokens), len(assigned.jobs)) == (100, 100)


@pytest.mark.parametrize(
    ("hello", "words"),
    [
        (Hello(b"x", "w", ("q",), 1, (), 0, ()), "session_id has 1 bytes"),
        (Hello(ID, "w" * 201, ("q",), 1, (), 0, ()), "at most 200"),
        (Hello(ID, "w", (), 1, (), 0, ()), "0 queues"),
        (Hello(ID, "w", tuple(f"q{n}" for n in range(65)), 1, (), 0, ()), "65 queues"),
        (Hello(ID, "w", ("a b",), 1, (), 0, ()), "'a b'"),
        (Hello(ID, "w", ("q",), 0, (), 0, ()), "capacity 0"),
        (Hello(ID, "w", ("q",), 10_001, (), 0, ()), "capacity 10001"),
        (Hello(ID, "w", ("q",), 1, ("a b",), 0, ()), "'a b'"),
        (Hello(ID, "w", ("q",), 1, tuple(f"l{n}" for n in range(17)), 0, ()), "17 labels"),
        (Hello(ID, "w", ("q",), 1, (), 0, ((b"x", 1),)), "held"),
        (Hello(ID, "w", ("q",), 1, (), 0, ((ID, 1),) * 20_001), "20001 held"),
        (Heartbeat(1), "must be Hello"),
    ],
)
async def test_a_wrong_hello_is_refused_with_a_last_word(
    node: FakeNode, channel: grpc.aio.Channel, hello: WorkerMessage, words: str
) -> None:
    worker = Worker(channel)
    await worker.say(hello)
    answer = await worker.hear()
    assert isinstance(answer, Refused)
    assert answer.reason == "INVALID_ARGUMENT"
    assert words in answer.message
    assert await worker.ended()
    assert not node.opened


@pytest.mark.parametrize(
    "message",
    [
        wire.write_worker_message(HELLO),
        wire.WorkerMessage(),
        wire.write_worker_message(ReportMessage((Released(b"short", 1),))),
    ],
    ids=["second Hello", "unknown kind", "bad id"],
)
async def test_a_breach_of_the_protocol_ends_the_session_with_a_last_word(
    node: FakeNode, channel: grpc.aio.Channel, message: wire.WorkerMessage
) -> None:
    worker, session = await opened(node, channel)
    await worker.call.write(message)
    answer = await worker.hear()
    assert isinstance(answer, Refused)
    assert answer.reason == "INVALID_ARGUMENT"
    async with asyncio.timeout(LAST_WORDS_S / 2):  # nobody else can speak for the session meanwhile
        assert await worker.ended()
    assert session.over


async def test_a_refusal_by_the_node_is_the_last_message(node: FakeNode, channel: grpc.aio.Channel) -> None:
    node.on_open = refuse("NODE_STOPPING")
    worker = Worker(channel)
    await worker.say(HELLO)
    assert await worker.hear() == Refused("NODE_STOPPING", "refused by the test")
    assert await worker.ended()


async def test_goodbye_is_answered_also_when_the_worker_stops_writing(
    node: FakeNode, channel: grpc.aio.Channel
) -> None:
    worker, session = await opened(node, channel)
    await worker.say(Goodbye())
    await worker.call.done_writing()
    assert await worker.hear() == Farewell()
    assert await worker.ended()
    assert session.over


@pytest.mark.parametrize("politely", [True, False])
async def test_a_worker_that_goes_away_is_noticed(
    node: FakeNode, channel: grpc.aio.Channel, politely: bool
) -> None:
    worker, session = await opened(node, channel)
    if politely:
        await worker.call.done_writing()
    else:
        worker.call.cancel()
    while not session.over:
        session.arrived.clear()
        await session.arrived.wait()


async def test_a_result_that_is_not_json_reaches_the_node_as_a_failure(
    node: FakeNode, channel: grpc.aio.Channel
) -> None:
    worker, session = await opened(node, channel)
    await worker.say(ReportMessage((Completed(ID, 1, b"{", 1, 2),)))
    (message,) = await session.until(ReportMessage)
    assert isinstance(message, ReportMessage)
    assert type(message.outcomes[0]).__name__ == "Failed"


async def test_a_reader_that_does_not_keep_up_is_closed(
    node: FakeNode, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrix_raft.api.outbox.STALL_S", -1.0)
    monkeypatch.setattr("orchestrix_raft.api.outbox.WAITING_ITEMS", 10)
    worker, session = await opened(node, channel)
    session.deliver(Assignments(tuple(assignment(token) for token in range(11))))
    assert await worker.how_it_ends() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert session.over


async def test_workers_are_listed_with_their_stuck_slots(node: FakeNode, channel: grpc.aio.Channel) -> None:
    running = Job(JobSpec(ID, "t", "q", b""), JobState.RUNNING, 1, 1, token=7)
    node.jobs = {ID: running}
    slots = {7: ID, 5: ID, 6: bytes(16)}
    session = Session(ID, "w", ("a", "b"), 4, ("gpu",), "n1", 2, slots, 0, 9)
    node.sessions = lambda: [session]  # type: ignore[method-assign]
    method = WORKERS.methods["ListWorkers"]
    read: Any = method.response.FromString
    write: Any = method.request.SerializeToString
    list_workers: Any = channel.unary_unary(method.path, write, read)
    (worker,) = (await list_workers(wire.ListWorkersRequest())).workers
    assert (worker.name, list(worker.queues), list(worker.labels)) == ("w", ["a", "b"], ["gpu"])
    assert (worker.capacity, worker.used, worker.stuck) == (4, 3, 2)


async def test_nothing_that_is_shown_lets_anybody_resume_a_session(
    node: FakeNode, channel: grpc.aio.Channel
) -> None:
    secret = bytes(range(16))
    session = Session(secret, "w", ("q",), 4, (), "n1", 2, {}, 0, 9)
    node.sessions = lambda: [session]  # type: ignore[method-assign]
    view = node.status()._replace(sessions=[session])
    node.status = lambda: view  # type: ignore[method-assign]
    answers: list[bytes] = []
    for service, name in ((WORKERS, "ListWorkers"), (CLUSTER, "Status")):
        method = service.methods[name]
        write: Any = method.request.SerializeToString
        ask: Any = channel.unary_unary(method.path, write, None)
        answers.append(await ask(method.request()))
    for answer in answers:
        assert session.worker_id in answer
        assert secret not in answer
        assert secret.hex().encode() not in answer


async def test_the_node_hears_nothing_after_the_end(node: FakeNode, channel: grpc.aio.Channel) -> None:
    worker, session = await opened(node, channel)
    worker.call.cancel()
    while not session.over:
        session.arrived.clear()
        await session.arrived.wait()
    session.deliver(Assignments((assignment(1),)))  # into a closed stream: no error
    await asyncio.sleep(0)


# ---- workers, one row each


def session(name: str, node_id: str, held: int = 0) -> Session:
    slots = {number: bytes(16) for number in range(held)}
    return Session(name.encode().ljust(16), name.partition("-")[0], ("q",), 4, (), node_id, 1, slots, 0, 0)


def test_a_worker_that_woke_up_is_listed_once() -> None:
    old, new = session("a-old", ""), session("a-new", "n1")
    away, holding = session("b", ""), session("c-old", "", held=2)
    assert listed([old, new, away, holding, session("c-new", "n2")]) == [
        new,
        away,
        holding,
        session("c-new", "n2"),
    ]
