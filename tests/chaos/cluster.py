"""The cluster under chaos: nodes and workers behind the link, each of which can be started again at any time
without waiting for it."""

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from orchestrix_raft.client.model import ClusterStatus
from orchestrix_raft.recording.writing import VARIABLE
from orchestrix_raft.testing.cluster import LocalCluster, ask_status
from orchestrix_raft.testing.handlers import LEDGER_VARIABLE
from orchestrix_raft.testing.processes import Process
from tests.chaos.child import NO_CLOCK, set_clock
from tests.chaos.places import Place, node_name, worker_name
from tests.chaos.story import Story
from tests.cluster.small_disk import SmallDisk

ROOT: Final = Path(__file__).resolve().parent.parent.parent
WORKER: Final = "orchestrix_raft.testing.handlers:worker"
QUEUES: Final = ("default", "limited")
CONCURRENCY: Final = 40
LOOK_S: Final = 0.5
ANSWER_S: Final = 1.0
QUICK: Final = {
    **{"--worker-heartbeat": "2s", "--worker-fence": "6s", "--worker-silent": "8s"},
    **{"--node-heartbeat": "2s", "--node-suspect": "4s", "--node-dead": "6s", "--minority-close": "3s"},
    **{"--rebalance-after": "5s", "--handoff-ack": "2s", "--checkpoint-interval": "2s"},
    **{"--log-tail-entries": "3000", "--log-level": "info"},
}
"""The defaults divided by about four, so that a fault of some seconds is felt; and a log that is short enough
for snapshots."""


class ChaosCluster(LocalCluster):
    """Three nodes and some workers.  small_disk: for the last node, if there is one."""

    def __init__(self, place: Place, data_dir: Path, workers: int, small_disk: SmallDisk | None) -> None:
        nodes = len(place.addresses)
        super().__init__(nodes, data_dir, options=QUICK, environment={"PYTHONPATH": str(ROOT)})
        self.place = place
        self.small_disk = small_disk
        self.addresses = list(place.addresses)
        self._founders = list(self.addresses)
        self.crew: list[Process | None] = [None] * workers
        self.history = data_dir / "history"
        self.history.mkdir()
        for number in range(nodes):
            set_clock(self.clock(number), 0)

    def clock(self, number: int) -> Path:
        """The file with the offset of that node's wall clock."""
        return self.data_dir / f"{node_name(number)}.clock"

    def node_command(self, number: int) -> list[str]:
        """Behind the link, with its own clock."""
        command = [
            *(sys.executable, "-m", "tests.chaos.child", str(self.clock(number)), "node"),
            *("--node-id", self.node_id(number), "--data-dir", str(self.node_dir(number))),
            *("--listen", self.place.listens[number], "--advertise", self.addresses[number]),
            *("--peers", ",".join(self._founders)),
        ]
        for option, value in self.options.items():
            command += [option, value]
        if self.small_disk is not None and self.node_dir(number) == self.small_disk.path:
            command = self.small_disk.inside(command)
        return self.place.at_node(number, command)

    @property
    def ledger(self) -> Path:
        """Where handlers write what they did."""
        return self.data_dir / "ledger"

    def start_worker(self, number: int) -> Process:
        """Start it (again); answers at once."""
        name = worker_name(number)
        command = [
            *(sys.executable, "-m", "tests.chaos.child", NO_CLOCK, "worker", WORKER),
            *("--servers", self.servers, "--queues", ",".join(QUEUES), "--concurrency", str(CONCURRENCY)),
        ]
        environment = {
            **self.environment,
            **{LEDGER_VARIABLE: str(self.ledger), VARIABLE: str(self.history / f"{name}.jsonl")},
        }
        process = Process(
            name, self.place.at_worker(number, command), self.data_dir / f"{name}.log", environment
        )
        self.crew[number] = process
        self.workers = [one for one in self.crew if one is not None]
        return process

    def process(self, name: str) -> Process:
        """The newest process of a node or worker."""
        number = int(name[1:]) - 1
        found = self.crew[number] if name.startswith("w") else self.node(number)
        assert found is not None
        return found

    def pids(self) -> dict[str, int]:
        """Of all that were started, by name."""
        nodes = [node for node in self._nodes if node is not None]
        return {process.name: process.pid for process in [*nodes, *self.workers]}

    def names(self) -> tuple[list[str], list[str]]:
        """Of the nodes, and of the workers."""
        return [node_name(number) for number in range(len(self))], [
            worker_name(number) for number in range(len(self.crew))
        ]


class Seen(NamedTuple):
    """What a node answered last."""

    at_s: float
    status: ClusterStatus


class Observer:
    """Asks every node for its status, again and again, in a thread."""

    def __init__(self, addresses: Mapping[str, str], story: Story) -> None:
        self._addresses = dict(addresses)
        self.story = story
        self._seen: dict[str, Seen] = {}
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, args=(name,), name=f"observer of {name}", daemon=True)
            for name in addresses
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | Any) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _look(self, name: str) -> None:
        while not self._stopping.wait(LOOK_S):
            answer = ask_status(self._addresses[name], ANSWER_S)
            if answer is not None:
                self._seen[name] = Seen(self.story.now_s(), answer)

    def seen(self, name: str) -> Seen | None:
        """The last answer of a node; None: it has never given one."""
        return self._seen.get(name)

    def leader(self) -> str:
        """Who led when it was last heard of; empty: nobody is known to have."""
        led = [
            (seen.status.term, seen.at_s, name)
            for name, seen in list(self._seen.items())
            if seen.status.leader == name
        ]
        return max(led)[2] if led else ""
