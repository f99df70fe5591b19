"""The client when servers fail, refuse or do not lead: what is sent again, and what its caller is told."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import grpc.aio
import pytest

from orchestrix_raft import (
    AsyncClient,
    InvalidArgument,
    OrchestrixError,
    OutcomeUnknown,
    QuotaExceeded,
    Unavailable,
)
from orchestrix_raft.client import calls, lane
from orchestrix_raft.client.model import Enqueued
from orchestrix_raft.coordinator.port import Done, NotApplied, Unknown
from orchestrix_raft.domain.errors import Code, Rejected
from orchestrix_raft.domain.ids import format_job_id
from orchestrix_raft.machine.commands import CancelJobs, Command, Enqueue, EnqueueResult
from orchestrix_raft.wire.transport import EOF
from tests.unit.api.fake_node import NO_LEADER, FakeNode
from tests.unit.client.nodes import NOBODY, Cluster, closed_port


async def test_a_dead_server_is_passed_over(cluster: Cluster) -> None:
    for servers in ([closed_port(), cluster.addresses[0]], [cluster.addresses[0], closed_port()]):
        async with AsyncClient(servers, deadline=5.0) as client:
            job_id = await client.enqueue("t")
            assert (await client.get(job_id)).id == job_id


@pytest.mark.parametrize("outcome", [NotApplied(NO_LEADER), Unknown("the leader is gone")])
@pytest.mark.parametrize("many", [False, True])
async def test_a_node_without_leader_is_left_for_another(
    cluster: Cluster, outcome: NotApplied | Unknown, many: bool
) -> None:
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        first = cluster.of(client._caller.servers.current)
        first.answer = lambda command: outcome
        job_id = (await client.enqueue_many([("t", None)]))[0] if many else await client.enqueue("t")
        assert (await client.get(job_id)).id == job_id
    sent = [command for node in cluster.nodes for command in node.submitted if isinstance(command, Enqueue)]
    assert len({command.jobs[0].job_id for command in sent}) == 1, "sent again under the same id"


async def test_a_batch_whose_answer_was_lost_is_sent_again_under_the_same_ids(cluster: Cluster) -> None:
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        first = cluster.of(client._caller.servers.current)
        first.gate = asyncio.Event()
        waiting = []
        for number in range(lane.WINDOW):
            waiting.append(asyncio.ensure_future(client.enqueue("t")))
            while first.gates_entered <= number:
                await asyncio.sleep(0)
        client._lane._broken.set()  # what a lost connection or a silent server comes down to
        ids = await asyncio.gather(*waiting)
    assert cluster.nodes[0].submitted == cluster.nodes[1].submitted
    assert [*cluster.nodes[0].jobs] == [bytes.fromhex(job_id.replace("-", "")) for job_id in ids]


async def test_a_batch_whose_answer_was_lost_is_in_doubt(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncClient(cluster.addresses[0], deadline=0.4) as client:

        async def gone() -> calls.Channel:
            raise calls.Failed("gone", in_doubt=False)

        node = cluster.nodes[0]
        node.gate = asyncio.Event()
        waiting = asyncio.ensure_future(client.enqueue("t"))
        while not node.gates_entered:
            await asyncio.sleep(0)
        monkeypatch.setattr(client._caller, "channel", gone)
        client._lane._broken.set()
        with pytest.raises(OutcomeUnknown, match="may have been enqueued"):
            await waiting


async def test_a_job_found_after_a_lost_answer_may_have_been_made_by_this_call(cluster: Cluster) -> None:
    """With an id made here it was; with the caller's nobody knows.  Another id is the holder of its key: when
    that ends, the first sending may still make the job."""

    def lost(command: Command) -> Unknown:
        for node in cluster.nodes:
            node.answer = found
        return Unknown("the leader is gone")

    def found(command: Command) -> Done:
        assert isinstance(command, Enqueue)
        spec = command.jobs[0]
        return Done(9, EnqueueResult({0: bytes(16) if spec.unique_key else spec.job_id}, {}))

    async def told(**options: Any) -> Enqueued:
        for node in cluster.nodes:
            node.answer = lost
        return await client.enqueue_told("t", **options)

    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        assert (await told()).created is True
        assert await told(job_id=NOBODY) == Enqueued(id=NOBODY, created=None)
        for options in ({"job_id": NOBODY}, {}):
            with pytest.raises(OutcomeUnknown, match="which has its unique key; the first sending may still"):
                await told(unique_key="k", **options)
        assert await client.enqueue_told("t", job_id=NOBODY) == Enqueued(id=NOBODY, created=False)
        held = await client.enqueue_told("t", unique_key="k")
        assert (held.id, held.created) == (str(uuid.UUID(int=0)), False)


@pytest.mark.parametrize("many", [False, True], ids=["enqueue", "enqueue_many"])
@pytest.mark.parametrize("whole", [False, True], ids=["one of them", "all"])
async def test_a_refusal_after_a_lost_answer_settles_nothing(
    cluster: Cluster, many: bool, whole: bool
) -> None:
    """What was full, or taken, may not be so when the first sending is applied."""
    full = Rejected(Code.RESOURCE_EXHAUSTED, "TOO_MANY_JOBS", "too many jobs")

    def lost(command: Command) -> Unknown:
        for node in cluster.nodes:
            node.answer = refused
        return Unknown("the leader is gone")

    def refused(command: Command) -> Done | NotApplied:
        return NotApplied(full) if whole else Done(9, EnqueueResult({}, {0: full}))

    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        for answer, expected in ((lost, OutcomeUnknown), (refused, QuotaExceeded)):
            for node in cluster.nodes:
                node.answer = answer
            with pytest.raises(expected) as told:
                await (client.enqueue_many([("t", None), ("t", None)]) if many else client.enqueue("t"))
            assert "too many jobs" in str(told.value)
            assert told.value.job_ids


@pytest.mark.parametrize("whole", [False, True], ids=["one of them", "all"])
@pytest.mark.parametrize("many", [False, True], ids=["enqueue", "enqueue_many"])
async def test_what_every_sending_would_be_told_is_certain(cluster: Cluster, many: bool, whole: bool) -> None:
    invalid = Rejected(Code.INVALID_ARGUMENT, "JOB_INVALID", "no such thing")

    def lost(command: Command) -> Unknown:
        for node in cluster.nodes:
            node.answer = wrong
        return Unknown("the leader is gone")

    def wrong(command: Command) -> Done | NotApplied:
        return NotApplied(invalid) if whole else Done(9, EnqueueResult({}, {0: invalid}))

    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        for node in cluster.nodes:
            node.answer = lost
        with pytest.raises(InvalidArgument):
            await (client.enqueue_many([("t", None), ("t", None)]) if many else client.enqueue("t"))


async def test_a_stream_that_is_refused_settles_nothing_of_what_was_sent_before(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = OrchestrixError("cannot be done")
    async with AsyncClient(cluster.addresses[0], deadline=5.0) as client:
        node = cluster.nodes[0]
        node.gate = asyncio.Event()
        sent = asyncio.ensure_future(client.enqueue("t"))
        while not node.gates_entered:
            await asyncio.sleep(0)
        nothing = grpc.aio.Metadata()
        broken = grpc.aio.AioRpcError(grpc.StatusCode.UNIMPLEMENTED, nothing, nothing, "", "")

        async def converse(call: Any, *work: Coroutine[Any, Any, Any]) -> list[Exception]:
            call.cancel()
            for part in work:
                part.close()
            return [broken]

        monkeypatch.setattr(lane, "converse", converse)
        monkeypatch.setattr(client._caller, "judge", lambda error, channel: refusal)
        client._lane._broken.set()
        new = asyncio.ensure_future(client.enqueue("t"))
        with pytest.raises(OutcomeUnknown, match=r"cannot be done.*may still be applied"):
            await sent
        with pytest.raises(OrchestrixError, match=r"^cannot be done") as certain:
            await new
        assert not isinstance(certain.value, OutcomeUnknown)


async def test_steering_is_repeated_under_its_request_id(cluster: Cluster) -> None:
    async with AsyncClient(cluster.addresses, deadline=5.0) as client:
        job_id = await client.enqueue("t")
        first = cluster.of(client._caller.servers.current)
        first.answer = lambda command: Unknown("the leader is gone")
        assert await client.cancel(job_id, "why") == "cancelled"
    sent = [
        command for node in cluster.nodes for command in node.submitted if isinstance(command, CancelJobs)
    ]
    assert len(sent) == 2
    assert sent[0] == sent[1]


async def test_members_of_the_cluster_are_learned(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are added later, too."""
    monkeypatch.setattr(calls, "LEARN_AFTER_S", 0.0)
    monkeypatch.setattr(calls, "LEARN_EVERY_S", 0.001)
    async with AsyncClient(cluster.addresses[0], deadline=5.0) as client:
        await client.enqueue("t")
        await client.status()
        cluster.nodes[0].members = cluster.addresses
        async with asyncio.timeout(10):
            while len(client._caller.servers) < 2:
                await asyncio.sleep(0)
        cluster.nodes[0].answer = lambda command: NotApplied(NO_LEADER)
        await client.enqueue("t")
    assert cluster.nodes[1].submitted


async def test_nobody_there_is_unavailable_in_one_line() -> None:
    async with AsyncClient(closed_port(), deadline=0.3) as client:
        with pytest.raises(
            Unavailable, match=r"no server answered the request for a job within 0\.3 s.*cannot connect"
        ):
            await client.get(NOBODY)
        with pytest.raises(Unavailable, match=r"could take job.*cannot connect") as caught:
            await client.enqueue("t", job_id=NOBODY)
        assert caught.value.job_ids == (NOBODY,)


async def test_a_write_that_may_have_happened_is_not_called_failed(cluster: Cluster) -> None:
    cluster.nodes[0].answer = lambda command: Unknown("the leader is gone")
    async with AsyncClient(cluster.addresses[0], deadline=0.4) as client:
        with pytest.raises(OutcomeUnknown, match="may have been enqueued") as caught:
            await client.enqueue("t", job_id=NOBODY)
        assert caught.value.job_ids == (NOBODY,)
        with pytest.raises(OutcomeUnknown, match="may have been applied"):
            await client.cancel(NOBODY)
        with pytest.raises(OutcomeUnknown) as many:
            await client.enqueue_many([("t", None)])
        assert len(many.value.job_ids) == 1


@pytest.mark.parametrize("method", ["enqueue", "cancel"])
async def test_a_write_that_no_node_applied_is_unavailable(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async with AsyncClient(cluster.addresses[0], deadline=0.4) as client:

        async def gone() -> calls.Channel:
            raise calls.Failed("gone", in_doubt=False)

        def refuse(command: object) -> NotApplied:
            monkeypatch.setattr(client._caller, "channel", gone)
            return NotApplied(NO_LEADER)

        cluster.nodes[0].answer = refuse
        call = client.enqueue("t") if method == "enqueue" else client.cancel(NOBODY)
        with pytest.raises(
            Unavailable, match=r"could take job|no server answered the request to cancel jobs"
        ):
            await call


@pytest.mark.parametrize("method", ["enqueue", "enqueue_many", "cancel"])
async def test_a_refusal_that_came_late_is_the_last_word(cluster: Cluster, method: str) -> None:
    """Sent again with less time left than the refusal took, the write would end in doubt."""
    node = cluster.nodes[0]

    async def hold(command: Command) -> NotApplied:
        node.submitted.append(command)
        held = asyncio.Event()
        asyncio.get_running_loop().call_later(0.6, held.set)  # as a node does that has no leader
        await held.wait()
        return NotApplied(NO_LEADER)

    node.submit = hold  # type: ignore[method-assign]
    async with AsyncClient(cluster.addresses[0], deadline=1.1) as client:
        calls_of: dict[str, Callable[[], Awaitable[object]]] = {
            "enqueue": lambda: client.enqueue("t"),
            "enqueue_many": lambda: client.enqueue_many([("t", None)]),
            "cancel": lambda: client.cancel(NOBODY),
        }
        with pytest.raises(Unavailable, match=r"there is no leader.*(was not enqueued|nothing was changed)"):
            await calls_of[method]()
    assert len(node.submitted) == 1


async def test_batches_refused_one_after_the_other_are_none_of_them_in_doubt(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    refusals = [asyncio.Event() for _ in range(lane.WINDOW)]

    async def hold(command: Command) -> NotApplied:
        node.submitted.append(command)
        await refusals[len(node.submitted) - 1].wait()
        return NotApplied(NO_LEADER)

    node.submit = hold  # type: ignore[method-assign]
    async with AsyncClient(cluster.addresses[0], deadline=5.0) as client:
        waiting = []
        for number in range(lane.WINDOW):
            waiting.append(asyncio.ensure_future(client.enqueue("t")))
            while len(node.submitted) <= number:
                await asyncio.sleep(0)
        refusals[0].set()
        while not client._lane._again:
            await asyncio.sleep(0)
        for later in refusals[1:]:
            later.set()
        while len(client._lane._again) < lane.WINDOW:
            await asyncio.sleep(0)
        assert not any(batch.in_doubt for batch in client._lane._again)
        for one in waiting:
            one.cancel()


async def test_a_job_that_was_given_up_is_not_sent_again_with_the_others_of_its_batch(
    cluster: Cluster,
) -> None:
    """Whoever was told that it was not enqueued may enqueue it under another id."""
    node, applied = cluster.nodes[0], cluster.nodes[0].answer
    node.answer = lambda command: NotApplied(NO_LEADER)
    async with AsyncClient(cluster.addresses[0], deadline=10.0) as client:
        given_up, other = (asyncio.ensure_future(client.enqueue("t")) for _ in range(2))
        while not client._lane._again:
            await asyncio.sleep(0)
        client._lane._again[0].items[0].expires = 0.0  # it was asked for a little earlier
        with pytest.raises(Unavailable, match="was not enqueued") as told:
            await given_up
        node.answer = applied
        job_id = await other
        assert told.value.job_ids != (job_id,)
        assert [format_job_id(raw) for raw in node.jobs] == [job_id]


async def test_a_batch_that_was_never_written_is_not_in_doubt(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Over:
        """A stream that ended before anything was written."""

        async def write(self, message: object) -> None:
            raise asyncio.InvalidStateError("RPC already finished.")

        async def read(self) -> object:
            return EOF

        def cancel(self) -> None:
            """It is over."""

    async with AsyncClient(cluster.addresses[0], deadline=0.4) as client:
        monkeypatch.setattr(calls.Channel, "stub", lambda self, method: Over)
        with pytest.raises(Unavailable, match="was not enqueued"):
            await client.enqueue("t")


@pytest.mark.parametrize("method", ["enqueue", "cancel"])
async def test_giving_up_tells_what_a_node_said_rather_than_who_was_not_there(
    cluster: Cluster, method: str
) -> None:
    cluster.nodes[0].answer = lambda command: NotApplied(NO_LEADER)
    for deadline_s in (0.5, 10.0):
        async with AsyncClient([cluster.addresses[0], closed_port()], deadline=deadline_s) as client:
            call = client.enqueue("t") if method == "enqueue" else client.cancel(NOBODY)
            with pytest.raises((Unavailable, OutcomeUnknown)) as told:
                await call
        if NO_LEADER.message in str(told.value):
            return  # else the machine was too busy for an answer in that time
    pytest.fail(str(told.value))


# ---- leadership


def introduce(cluster: Cluster) -> tuple[FakeNode, FakeNode]:
    """Both nodes know each other; the second one leads."""
    first, second = cluster.nodes
    names = dict(zip(cluster.addresses, ("n1", "n2"), strict=True))
    for one in cluster.nodes:
        one.members, one.names, one.leader = cluster.addresses, names, "n2"
    return first, second


async def refuse_to_transfer(node_id: str) -> Rejected:
    return Rejected(Code.FAILED_PRECONDITION, "TRANSFER_REFUSED", "no voter is connected")


async def test_leadership_is_handed_over_by_the_leader_whoever_is_asked(
    cluster: Cluster, client: AsyncClient
) -> None:
    introduce(cluster)
    assert await client.transfer_leadership("n1") == "n1"


@pytest.mark.parametrize("stale", [False, True])
async def test_a_node_that_knows_no_leader_is_not_the_last_to_be_asked(
    cluster: Cluster, client: AsyncClient, stale: bool
) -> None:
    first, _ = introduce(cluster)
    first.leader, first.stale = ("n1" if stale else ""), stale
    first.transfer_leadership = refuse_to_transfer  # type: ignore[method-assign]
    assert await client.transfer_leadership("n1") == "n1"


async def test_a_leader_that_has_just_changed_is_found_again(cluster: Cluster, client: AsyncClient) -> None:
    first, second = introduce(cluster)
    second.leader = "n1"  # the first node has not heard of it yet

    async def refuse(node_id: str) -> Rejected:
        first.leader = "n1"
        return Rejected(Code.FAILED_PRECONDITION, "TRANSFER_REFUSED", "this node is not the leader")

    second.transfer_leadership = refuse  # type: ignore[method-assign]
    assert await client.transfer_leadership("n2") == "n2"


async def test_what_the_leader_refuses_is_refused(cluster: Cluster, client: AsyncClient) -> None:
    _, second = introduce(cluster)

    second.transfer_leadership = refuse_to_transfer  # type: ignore[method-assign]
    with pytest.raises(OrchestrixError, match="no voter is connected"):
        await client.transfer_leadership("n3")


async def test_without_a_leader_nothing_is_handed_over(cluster: Cluster) -> None:
    for one in introduce(cluster):
        one.leader = ""
    async with AsyncClient(cluster.addresses, deadline=0.3) as client:
        with pytest.raises(Unavailable, match="no leader to hand over") as caught:
            await client.transfer_leadership()
    assert caught.value.reason == "NO_LEADER"
