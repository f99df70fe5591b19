"""One run from its beginning to its accounts: a cluster, a load, a plan of faults, rest, and the comparison.

Whatever happens, everything that was started is ended, and everything that was made is removed, unless the
run failed: then logs and data stay, and it is said where.
"""

import asyncio
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from orchestrix_raft.client.aio import AsyncClient
from orchestrix_raft.client.sync import Client
from orchestrix_raft.history.watched import named_jobs
from orchestrix_raft.recording.reading import read_history
from orchestrix_raft.testing import Ledger, TookTooLong, eventually, observe
from orchestrix_raft.testing.link import Link
from orchestrix_raft.testing.network import Network
from orchestrix_raft.wire.errors import OrchestrixError
from tests.chaos.cluster import ROOT, ChaosCluster, Observer
from tests.chaos.faults import WIDE, Faults
from tests.chaos.load import SCHEDULES, Load
from tests.chaos.pauses import pauses
from tests.chaos.places import Hosts, Loopback, Place, node_name
from tests.chaos.plan import CALM_S, KINDS, Shape, make_plan
from tests.chaos.report import Result
from tests.chaos.settling import Settled, settle
from tests.chaos.story import Story
from tests.chaos.watch import Watch
from tests.cluster import small_disk
from tests.cluster.small_disk import SmallDisk

NODES: Final = 3
TICK_S: Final = 0.1
START_S: Final = 60.0
REST_S: Final = 180.0
"""For all jobs to be over: sessions of lost workers expire after some 40 s, and what waited behind limits
comes after that."""
UNEXPLAINED_S: Final = 10.0
"""The most that may pass without a start while a majority and a worker are well."""


class Settings(NamedTuple):
    """Of one run."""

    seed: int
    length_s: float
    hosts: bool  # in network namespaces, not on loopback
    workers: int
    scale: float  # of the load
    kinds: tuple[str, ...]
    every_s: float  # a fault, on the average
    commit: str


class Run:
    """The parts of one run, made by `carried_out`."""

    def __init__(self, settings: Settings, directory: Path, stack: ExitStack) -> None:
        self.settings = settings
        self.story = Story(directory / "story.log")
        self.result = Result(
            commit=settings.commit,
            seed=settings.seed,
            minutes=round(settings.length_s / 60, 2),
            network="network namespaces" if settings.hosts else "loopback",
        )
        self.disk = self._small_disk(directory, stack)
        place = self._place(stack)
        self.link = stack.enter_context(Link(settings.seed))
        self.cluster = ChaosCluster(place, directory, settings.workers, self.disk)
        place.open(self.link, self.cluster.pids)
        stack.callback(self.cluster.kill_everything)
        self.ledger = Ledger(self.cluster.ledger)
        self._clients = self.cluster.history / "clients.jsonl"

    def _place(self, stack: ExitStack) -> Place:
        if not self.settings.hosts:
            return Loopback(NODES)
        network = stack.enter_context(Network(NODES + self.settings.workers))
        return Hosts(network, NODES)

    def _small_disk(self, directory: Path, stack: ExitStack) -> SmallDisk | None:
        if "full-disk" not in self.settings.kinds:
            return None
        why = small_disk.why_impossible()
        if why:
            self.story.tell(f"no disk is filled: {why}")
            return None
        path = directory / node_name(NODES - 1)
        path.mkdir()
        return stack.enter_context(SmallDisk(path, WIDE.partition("=")[2]))

    def _kinds(self) -> list[str]:
        """Those that are possible here."""
        impossible = set() if self.settings.hosts else {"lose-packets"}
        if not self.settings.hosts and "lose-packets" in self.settings.kinds:
            self.story.tell("no packets are lost: that needs network namespaces; the link holds them instead")
        if self.disk is None:
            impossible.add("full-disk")
        return [kind for kind in KINDS if kind in self.settings.kinds and kind not in impossible]

    # ---- the story -------------------------------------------------------------------------------------

    def carry_out(self, stopping: threading.Event) -> None:
        """All of it; what is found is in `result`."""
        settings = self.settings
        shape = Shape(NODES, settings.workers, node_name(NODES - 1) if self.disk else "")
        plan = make_plan(settings.seed, settings.length_s, shape, self._kinds(), settings.every_s)
        for step in plan:
            self.story.tell(f"plan: {step}")
        self.cluster.start()
        for number in range(settings.workers):
            self.cluster.start_worker(number)
        addresses = {node_name(n): address for n, address in enumerate(self.cluster.addresses)}
        with ExitStack() as stack:
            observer = stack.enter_context(Observer(addresses, self.story))
            watch = stack.enter_context(Watch(self.cluster.servers))
            load = stack.enter_context(
                Load(self.cluster.servers, self._clients, settings.seed, settings.scale)
            )
            eventually(lambda: self.ledger.count("start") > 50, "jobs start", START_S)
            faults = Faults(plan, self.cluster, self.link, observer)
            stack.callback(self._count, faults, load)
            stack.callback(faults.close)
            begun_s = time.monotonic()
            self._inflict(faults, stopping)
            self.story.tell("no more faults; everything is healed")
            self._go_on(faults, stopping, min(CALM_S, settings.length_s))
            ended_s = time.monotonic()
            self._come_to_rest(faults, load, watch)
            self._close_books(faults, load, watch, (begun_s, ended_s))

    def _count(self, faults: Faults, load: Load) -> None:
        """Also of a run that does not come to its end."""
        self.result.faults = dict(sorted(faults.inflicted.items()))
        self.result.missed = faults.missed.total()
        self.result.calls = load.books.calls.total()

    def _inflict(self, faults: Faults, stopping: threading.Event) -> None:
        for name in (*faults.cluster.names()[0], *faults.cluster.names()[1]):
            faults.started(name)
        self._go_on(faults, stopping, self.settings.length_s)
        faults.stop()

    def _go_on(self, faults: Faults, stopping: threading.Event, for_s: float) -> None:
        """Let things happen."""
        until_s = self.story.now_s() + for_s
        while self.story.now_s() < until_s:
            faults.tend()
            if stopping.wait(TICK_S):
                raise KeyboardInterrupt

    def _tended(self, faults: Faults, look: Callable[[], object], what: str, timeout_s: float) -> None:
        """Wait for `look` while everything is kept running; a problem if it does not come."""

        def look_again() -> object:
            faults.tend()
            try:
                return look()
            except OrchestrixError:  # asked again until the time is over
                return None

        try:
            eventually(look_again, what, timeout_s, TICK_S)
        except TookTooLong as error:
            self.story.trouble(str(error))

    def _come_to_rest(self, faults: Faults, load: Load, watch: Watch) -> None:
        self._tended(faults, lambda: faults.calm, "every process runs", START_S + 30.0)
        self._tended(faults, faults.undrained, "no node drains", START_S)
        load.stop()
        self._tended(faults, lambda: load.over, "all calls are over", START_S)
        with Client(self.cluster.servers, deadline=10.0, history=self._clients) as client:
            for name in SCHEDULES:
                self._tended(faults, lambda name=name: client.schedules.pause(name), "pause", START_S)  # type: ignore[misc]

            def at_rest() -> bool:
                jobs = client.status().jobs
                return not any(jobs.get(state) for state in ("scheduled", "pending", "dispatched", "running"))

            self._tended(faults, at_rest, "all jobs are over", REST_S)
            self._tended(faults, lambda: self._last_job(client, watch), "the watcher is up to date", START_S)

    def _last_job(self, client: Client, watch: Watch) -> bool:
        last = client.enqueue("noop", job_id=LAST_JOB)
        return watch.completions[last] > 0 or bool(watch.error)

    def _close_books(self, faults: Faults, load: Load, watch: Watch, span_s: tuple[float, float]) -> None:
        result, story = self.result, self.story
        load.books.acknowledged[LAST_JOB] = "last"
        longest = min(self.cluster.addresses, key=watch.beginning)
        result.settled = asyncio.run(self._settled(load, watch, longest))
        offset_s = story.begun_s
        works = [(at_s + offset_s, good) for at_s, good in faults.working]
        starts = [line.at_s for line in self.ledger.lines() if line.what == "start"]
        result.pauses = pauses(starts, *span_s, works)
        for problem in result.settled.problems:
            story.trouble(problem)
        if result.pauses.unexplained_s > UNEXPLAINED_S:
            story.trouble(f"no job was started for {result.pauses.unexplained_s:.1f} s without a reason")
        if watch.error:
            story.trouble(f"the event feed could not be followed: {watch.error}")
        self._compare_nodes(watch)
        self._check_history()
        for what, count in sorted(load.books.failures.items()):
            story.tell(f"  {count} calls failed: {what}")
        if load.books.left_out:
            story.tell(f"  {load.books.left_out} calls were left out: too many waited")

    async def _settled(self, load: Load, watch: Watch, longest: str) -> Settled:
        """longest: address of the node whose event feed goes back furthest, for the history."""
        async with AsyncClient(longest) as client:
            named = sorted(named_jobs(read_history([self.cluster.history])))
            told = await settle(client, load.books, self.ledger, watch)
            told.events = len(watch.cursors)
            await observe(client, self.cluster.history / "end.jsonl", named)
            verified = await client.verify(timeout=60.0)
            if not verified.whole:
                told.problems.append(f"the contents of the nodes differ: {verified.nodes}")
            return told

    def _check_history(self) -> None:
        """As users do, on everything that clients and workers have recorded."""
        command = [sys.executable, "-m", "orchestrix_raft", "check-history", str(self.cluster.history)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        table, _, found = done.stdout.partition("\n\n")
        for line in table.splitlines():
            self.story.tell(f"  {line}")
        if done.returncode:
            self.story.trouble(f"check-history: {found or done.stdout + done.stderr}")

    def _compare_nodes(self, watch: Watch) -> None:
        try:
            self.cluster.await_same_digest()
        except AssertionError as error:
            self.story.trouble(str(error))
        for number, address in enumerate(self.cluster.addresses):
            difference = watch.differences(node_name(number), address)
            if difference:
                self.story.trouble(f"event feed: {difference}")


LAST_JOB: Final = "00000000-0000-7000-8000-00000000c4a0"
"""Enqueued when all others are over: who has heard of its end has heard of everything."""


@contextmanager
def carried_out(settings: Settings, stopping: threading.Event) -> Iterator[tuple[Result, Path]]:
    """Carry one run out: its result, and where its directory is, which is gone if the run was clean."""
    directory = Path(tempfile.mkdtemp(prefix="orchestrix-chaos-"))
    result: Result | None = None
    try:
        with ExitStack() as stack:
            run = Run(settings, directory, stack)
            result = run.result
            try:
                run.carry_out(stopping)
            except KeyboardInterrupt:
                result.interrupted = True
            except BaseException as error:  # the run failed, for whatever reason: it is told with the others
                run.story.trouble(f"{type(error).__name__}: {error}")
                run.story.tell(run.cluster.tails())
            result.problems = run.story.problems
            run.cluster.kill_everything()
            if result.problems and run.disk is not None:
                run.disk.copy_to(directory / f"{run.disk.path.name}.on-its-disk")
        yield result, directory
    finally:
        if result is None or not result.problems:
            shutil.rmtree(directory, ignore_errors=True)
