"""A cluster of real node processes on loopback, and workers for it, as a context manager.

    with LocalCluster(nodes=3) as cluster:
        cluster.worker("my_handlers:worker")
        with Client(cluster.servers) as client:
            job_id = client.enqueue("checksum", {"path": "a.txt"})
            cluster.kill(cluster.leader())
            client.wait(job_id, timeout=30.0)

Whatever happens inside, all processes it started are gone afterwards, and no others were touched.  When
the block ends with an exception, the last lines of every process are added to it.
"""

import random
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc

from orchestrix_raft.client.model import ClusterStatus, status_of
from orchestrix_raft.testing.processes import Process, stop_all
from orchestrix_raft.testing.waiting import eventually
from orchestrix_raft.wire import services
from orchestrix_raft.wire.cluster import StatusRequest, StatusResponse
from orchestrix_raft.wire.transport import CHANNEL_OPTIONS

HOST: Final = "127.0.0.1"
PEER_PORT_OFFSET: Final = 1_000
PORTS: Final = range(11_000, 30_000)  # below those that systems give to outgoing connections
START_S: Final = 30.0
ANSWER_S: Final = 2.0

_STATUS: Final = services.CLUSTER.methods["Status"]


class LocalCluster:
    """`nodes` node processes n1, n2, ... that found one cluster, with their data and logs in `data_dir` (a
    temporary directory by default, removed at the end).  `add_node` starts further ones that join it.

    options: further options of every node, as for the command line: `{"--log-tail-entries": "100"}`.
    environment: further variables of every process.  One that is started later has both as they are then.
    """

    def __init__(
        self,
        nodes: int = 3,
        data_dir: Path | str | None = None,
        *,
        options: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._made = data_dir is None
        self.data_dir = Path(data_dir or tempfile.mkdtemp(prefix="orchestrix-cluster-"))
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.addresses = [f"{HOST}:{port}" for port in free_ports(nodes)]
        self.options = dict(options or {})
        self._founders = list(self.addresses)
        self._joins: dict[int, str] = {}
        self.environment = dict(environment or {})
        self._nodes: list[Process | None] = [None] * nodes
        self.workers: list[Process] = []
        self._kept = False

    def __len__(self) -> int:
        return len(self.addresses)

    @property
    def servers(self) -> str:
        """For clients: all addresses, separated by commas."""
        return ",".join(self.addresses)

    # ---- life ------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException as error:  # also Ctrl-C: what was started so far must not stay
            self._leave(error)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)

    def keep(self) -> None:
        """Leave processes and data as they are at the end of the block: ending them is the user's task."""
        self._kept = True

    def _leave(self, error: BaseException | None) -> None:
        if self._kept and error is None:
            return
        if error is not None:
            error.add_note(self.tails())
            self.kill_everything()
        else:
            self.stop()
        if self._made:
            shutil.rmtree(self.data_dir)

    def start(self) -> None:
        """Start all nodes and wait until they agree on a leader and know each other."""
        for number in range(len(self)):
            self.start_node(number)
        self.await_healthy()

    def stop(self) -> None:
        """End workers, then nodes, in order; by force what does not end."""
        try:
            stop_all(self.workers)
            stop_all(self.running_nodes())
        finally:
            self.kill_everything()

    def kill_everything(self) -> None:
        """SIGKILL to all that is left."""
        for process in [*self.workers, *self.running_nodes()]:
            process.kill()

    def running_nodes(self) -> list[Process]:
        """Processes of the nodes that run."""
        return [node for node in self._nodes if node is not None and node.running]

    def tails(self, lines: int = 15) -> str:
        """The last lines of every process, for a failure's message."""
        processes = [process for process in self._nodes if process is not None] + self.workers
        return "\n".join(process.tail(lines) for process in processes)

    # ---- nodes -----------------------------------------------------------------------------------------

    def node_id(self, number: int) -> str:
        """Of node number 0, 1, ..."""
        return f"n{number + 1}"

    def node_dir(self, number: int) -> Path:
        """Its data directory."""
        return self.data_dir / self.node_id(number)

    def node(self, number: int) -> Process:
        """Its newest process."""
        process = self._nodes[number]
        if process is None:
            raise ValueError(f"node {number} was never started")
        return process

    def node_command(self, number: int) -> list[str]:
        """How it is started."""
        command = [
            *(sys.executable, "-m", "orchestrix_raft", "node"),
            *("--node-id", self.node_id(number), "--data-dir", str(self.node_dir(number))),
            *("--listen", self.addresses[number], "--peer-port-offset", str(PEER_PORT_OFFSET)),
        ]
        if number >= len(self._founders):
            command += ["--join", self._joins[number]]
        elif len(self._founders) > 1:
            command += ["--peers", ",".join(self._founders)]
        for option, value in self.options.items():
            command += [option, value]
        return command

    def start_node(self, number: int) -> Process:
        """Start it (again), with its data as it is; answers at once."""
        before = self._nodes[number]
        if before is not None and before.running:
            raise ValueError(f"node {number} runs")
        log = self.data_dir / f"{self.node_id(number)}.log"
        process = Process(self.node_id(number), self.node_command(number), log, self.environment)
        self._nodes[number] = process
        return process

    def add_node(self, join: int | None = None) -> int:
        """Start a new, empty node that asks the cluster to add it, through node `join` (the leader by
        default); its number.  Answers at once: see `await_voter`."""
        through = self.leader() if join is None else join
        number = len(self)
        self.addresses += [f"{HOST}:{port}" for port in free_ports(1)]
        self._joins[number] = self.addresses[through]
        self._nodes.append(None)
        self.start_node(number)
        return number

    def kill(self, number: int) -> None:
        """SIGKILL; answers when it is gone."""
        self.node(number).kill()

    def kill_nodes(self, numbers: Iterable[int]) -> None:
        """SIGKILL to several at once."""
        processes = [self.node(number) for number in numbers]
        for process in processes:
            process.send(signal.SIGKILL)
        for process in processes:
            process.kill()

    def restart(self, number: int) -> None:
        """Start it again (SIGKILL first if it runs) and wait until it answers and follows a leader."""
        self.kill(number)
        self.start_node(number)
        self.await_following(number)

    # ---- looking ---------------------------------------------------------------------------------------

    def status(self, number: int, timeout_s: float = ANSWER_S) -> ClusterStatus | None:
        """What that node, and no other, answers; None if it does not."""
        return ask_status(self.addresses[number], timeout_s)

    def find_leader(self) -> int | None:
        """The number of the node that says itself that it leads, with the highest term."""
        found: list[tuple[int, int]] = []
        for number, process in enumerate(self._nodes):
            if process is None or not process.running:
                continue
            answer = self.status(number)
            if answer is not None and answer.leader == self.node_id(number):
                found.append((answer.term, number))
        return max(found)[1] if found else None

    def leader(self, timeout_s: float = START_S) -> int:
        """The number of the node that leads; waits for one."""
        return eventually(lambda: [n for n in [self.find_leader()] if n is not None], "a leader", timeout_s)[
            0
        ]

    def await_following(self, number: int, timeout_s: float = START_S) -> None:
        """Wait until that node answers and is in touch with a leader."""

        def follows() -> bool:
            self._check(number)
            answer = self.status(number)
            return answer is not None and bool(answer.leader) and not answer.stale

        eventually(follows, f"node {self.node_id(number)} follows a leader", timeout_s)

    def await_voter(self, number: int, timeout_s: float = START_S) -> None:
        """Wait until the leader counts that node as a voter that is alive."""

        def votes() -> bool:
            self._check(number)
            leader = self.find_leader()
            answer = None if leader is None else self.status(leader)
            found = [node for node in answer.nodes if node.node_id == self.node_id(number)] if answer else []
            return any(node.role in ("leader", "follower") and node.health == "alive" for node in found)

        eventually(votes, f"node {self.node_id(number)} is a voter", timeout_s)

    def await_healthy(self, timeout_s: float = START_S) -> None:
        """Wait until every running node names the same leader, and the leader hears of all of them."""
        numbers = [n for n, process in enumerate(self._nodes) if process is not None and process.running]

        def healthy() -> bool:
            for number in numbers:
                self._check(number)
            answers = [self.status(number) for number in numbers]
            leaders = {answer.leader if answer else "" for answer in answers}
            if len(leaders) != 1 or "" in leaders:
                return False
            alive = {
                node.node_id
                for answer in answers
                if answer
                for node in answer.nodes
                if node.health == "alive"
            }
            return alive >= {self.node_id(number) for number in numbers}

        eventually(healthy, f"{len(numbers)} nodes agree on a leader", timeout_s)

    def await_same_digest(self, timeout_s: float = START_S) -> int:
        """Wait until all running nodes stand at one log index and compare their digests there: AssertionError
        if they differ.  The index.  To be called when nothing is being written."""

        def together() -> list[ClusterStatus]:
            answers = [self.status(n) for n, process in enumerate(self._nodes) if process and process.running]
            known = [answer for answer in answers if answer is not None]
            same = len(known) == len(answers) and len({answer.applied_index for answer in known}) == 1
            return known if same else []

        answers = eventually(together, "all nodes have applied the same entries", timeout_s)
        digests = {answer.answered_by: answer.digest for answer in answers}
        assert len(set(digests.values())) == 1, (
            f"at index {answers[0].applied_index} the states differ: {digests}"
        )
        return answers[0].applied_index

    def _check(self, number: int) -> None:
        process = self.node(number)
        if not process.running:
            raise AssertionError(f"node {self.node_id(number)} ended with exit code {process.exit_code}")

    # ---- workers ---------------------------------------------------------------------------------------

    def worker(
        self,
        target: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        servers: str | None = None,
    ) -> Process:
        """Start `orchestrix-raft worker TARGET ...` against this cluster and wait until it has a session.

        servers: where it connects, all nodes by default.
        """
        command = [
            *(sys.executable, "-m", "orchestrix_raft", "worker", target),
            *("--servers", servers or self.servers, *arguments),
        ]
        return self.worker_program(command, environment)

    def worker_program(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
        """Start any program that is a worker, in whatever language, and wait until it has a session.

        The command must tell it where the cluster is.
        """
        name = f"w{len(self.workers) + 1}"
        before = len(self._sessions())
        merged = {**self.environment, **(environment or {})}
        process = Process(name, command, self.data_dir / f"{name}.log", merged)
        self.workers.append(process)

        def attached() -> bool:
            if not process.running:
                raise AssertionError(f"worker {name} ended with exit code {process.exit_code}")
            return len(self._sessions()) > before

        eventually(attached, f"worker {name} is attached", START_S)
        return process

    def _sessions(self) -> list[str]:
        """Sessions that some node holds."""
        answer = self.status(self.leader())
        return [worker.id for worker in answer.workers if worker.node_id] if answer else []


def ask_status(address: str, timeout_s: float = ANSWER_S) -> ClusterStatus | None:
    """What the node there answers to `status`, over a connection of its own; None if it does not."""
    write: Any = _STATUS.request.SerializeToString
    read: Any = _STATUS.response.FromString
    with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        try:
            response: StatusResponse = channel.unary_unary(_STATUS.path, write, read)(
                StatusRequest(), timeout=timeout_s
            )
        except grpc.RpcError:
            return None
    return status_of(response)


def free_ports(count: int, offsets: Sequence[int] = (0, PEER_PORT_OFFSET)) -> list[int]:
    """Ports on loopback that can be bound now, together with those `offsets` above them."""
    chosen: list[int] = []
    candidates = list(PORTS)
    random.SystemRandom().shuffle(candidates)
    for port in candidates:
        taken = {other + offset for other in chosen for offset in offsets}
        wanted = [port + offset for offset in offsets]
        if not taken & set(wanted) and all(_free(one) for one in wanted):
            chosen.append(port)
            if len(chosen) == count:
                return chosen
    raise OSError(f"no {count} free ports on {HOST}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
