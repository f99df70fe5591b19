"""Carries out a plan: inflicts each fault when its time has come, heals it, and keeps the rest running.

Faults only say what is broken (`claims`); `tend`, called ten times a second, makes it so: what nobody holds
down is started, what nobody holds still goes on.  All processes are started by the thread that calls `tend`:
they end with it.
"""

import heapq
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from orchestrix_raft.client.sync import Client
from orchestrix_raft.testing.link import Link
from orchestrix_raft.testing.processes import Process
from orchestrix_raft.wire.errors import OrchestrixError
from tests.chaos import claims as claim
from tests.chaos.child import set_clock
from tests.chaos.claims import Claims
from tests.chaos.cluster import ChaosCluster, Observer
from tests.chaos.places import OUTSIDE
from tests.chaos.plan import FOLLOWER, LEADER, Step

END_S: Final = 75.0  # a node hands over for at most 60 s, a worker drains for 30
ROLL_S: Final = 20.0  # for one node of a rolling restart to follow a leader again
ROOM_BYTES: Final = 32 << 10  # that a full disk has left
WIDE: Final = "size=256m"
COMMAND_S: Final = 8.0  # for an operator's command
AGAIN_S: Final = 0.3  # until a lost piece is sent again


class Due(NamedTuple):
    """In order of time."""

    at_s: float
    number: int
    step: Step
    begins: bool


class Faults:
    """Of one run, which begins now."""

    def __init__(self, plan: Iterable[Step], cluster: ChaosCluster, link: Link, observer: Observer) -> None:
        self.cluster, self.link, self.observer, self.story = cluster, link, observer, observer.story
        begun_s = self.story.now_s()
        self._due = [Due(begun_s + step.at_s, number, step, True) for number, step in enumerate(plan)]
        heapq.heapify(self._due)
        self.claims = Claims()
        self.inflicted: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.working: list[tuple[float, bool]] = []
        """(when, whether jobs must be started from then on), of every change."""
        self._ending: dict[str, tuple[float, Process]] = {}
        self._started_s: dict[str, float] = {}
        self._excused: set[int] = set()  # processes that may end by themselves, by pid
        self._rolling: dict[int, list[str]] = {}
        self._commands: list[tuple[str, Future[str]]] = []
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="operator")
        self._client = Client(cluster.servers, deadline=COMMAND_S)
        self._names = cluster.names()
        self._kinds: dict[str, Callable[[int, Step, tuple[str, ...]], bool]] = {
            "kill-node": self._kill,
            "kill-all-nodes": self._kill,
            "kill-worker": self._kill,
            "pause-node": self._pause,
            "pause-worker": self._pause,
            "end-node": self._end,
            "end-worker": self._end,
            "rolling-restart": self._roll,
            "drain-node": self._drain_node,
            "drain-worker": self._drain_worker,
            "move-leader": self._move_leader,
            "partition": self._partition,
            "lose-packets": self._lose_packets,
            "one-way": self._one_way,
            "cut-worker": self._cut_worker,
            "delay": self._delay,
            "loss": self._loss,
            "break-connections": self._break,
            "full-disk": self._fill,
            "step-clock": self._step_clock,
        }

    def close(self) -> None:
        """Wait for commands that are under way."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    # ---- the course of time ----------------------------------------------------------------------------

    def tend(self) -> None:
        """Do what is due now, and keep the rest running."""
        now_s = self.story.now_s()
        while self._due and self._due[0].at_s <= now_s:
            due = heapq.heappop(self._due)
            if due.begins:
                self._begin(due)
            else:
                self.heal(due.number)
        for number in list(self._rolling):
            self._roll_on(number)
        for name in (*self._names[0], *self._names[1]):
            self._look_after(name)
        self._hear_commands()
        self._note_whether_it_works()

    def stop(self) -> None:
        """No further fault, and everything that is broken is healed."""
        numbers = {due.number for due in self._due if not due.begins} | set(self._rolling)
        self._due.clear()
        for number in sorted(numbers):
            self.heal(number)
        self.tend()

    @property
    def calm(self) -> bool:
        """All processes run, and nothing is under way."""
        names = (*self._names[0], *self._names[1])
        return not self._ending and all(self.cluster.process(name).running for name in names)

    def _begin(self, due: Due) -> None:
        who = tuple(self._resolved(name) for name in due.step.who)
        if len(set(who)) < len(who):  # the leader is the one that was drawn beside it
            who = (who[0], *(name for name in self._names[0] if name != who[0]))[: len(who)]
        if not self._kinds[due.step.kind](due.number, due.step, who):
            self.missed[due.step.kind] += 1
            return
        self.inflicted[due.step.kind] += 1
        amount = f" {due.step.amount:g}" if due.step.amount else ""
        self.story.tell(f"{due.step.kind}{amount} {' '.join(who)}")
        heapq.heappush(self._due, Due(self.story.now_s() + due.step.lasts_s, due.number, due.step, False))

    def _resolved(self, name: str) -> str:
        nodes = self._names[0]
        if name not in (LEADER, FOLLOWER):
            return name
        running = [node for node in nodes if self.cluster.process(node).running] or nodes
        leader = self.observer.leader()
        leader = leader if leader in running else running[0]
        return leader if name == LEADER else nodes[(nodes.index(leader) + 1) % len(nodes)]

    # ---- processes -------------------------------------------------------------------------------------

    def started(self, name: str) -> None:
        """Its process began just now."""
        self._started_s[name] = self.story.now_s()

    def _look_after(self, name: str) -> None:
        process = self.cluster.process(name)
        if process.running:
            self._watch_its_end(name, process)
            return
        ending = self._ending.pop(name, None)
        expected = ending is not None or process.pid in self._excused or process.exit_code == -signal.SIGKILL
        full = self.claims.held(claim.FULL, name) and process.exit_code == 1
        if not expected and not full:
            self.story.trouble(
                f"{name} ended by itself with exit code {process.exit_code}\n{process.tail(3)}"
            )
        if ending is not None and not full and not self._ended_well(name, ending[0], process.exit_code):
            self.story.trouble(f"{name} ended with exit code {process.exit_code}, not 0\n{process.tail(3)}")
        self._excused.add(process.pid)
        if self.claims.held(claim.DOWN, name) or self.claims.held(claim.FULL, name):
            return
        if name.startswith("w"):
            self.cluster.start_worker(int(name[1:]) - 1)
        else:
            self.cluster.start_node(int(name[1:]) - 1)
        self.started(name)

    def _ended_well(self, name: str, told_s: float, exit_code: int | None) -> bool:
        """In order, or killed; a process that has just been started does not know what SIGTERM means yet."""
        young = told_s - self._started_s[name] < claim.STARTING_S
        return exit_code in (0, -signal.SIGKILL) or (young and exit_code == -signal.SIGTERM)

    def _watch_its_end(self, name: str, process: Process) -> None:
        """A process that was told to end has a minute for it, not counting the time that it stands still."""
        if name not in self._ending or self._ending[name][1] is not process:
            return
        if self.claims.held(claim.PAUSED, name):
            self._ending[name] = (self.story.now_s(), process)
        elif self.story.now_s() - self._ending[name][0] > END_S:
            self.story.trouble(f"{name} did not end within {END_S:g} s of SIGTERM\n{process.tail(3)}")
            process.kill()

    def _kill(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        running = [name for name in who if self.cluster.process(name).running]
        for name in running:
            self.claims.take(number, claim.DOWN, name)
            self.cluster.process(name).send(signal.SIGKILL)
        for name in running:
            self.cluster.process(name).kill()
        return bool(running)

    def _pause(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        (name,) = who
        process = self.cluster.process(name)
        if not process.running:
            return False
        self.claims.take(number, claim.PAUSED, name)
        process.suspend()
        return True

    def _end(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        (name,) = who
        process = self.cluster.process(name)
        if not process.running or name in self._ending:
            return False
        self.claims.take(number, claim.DOWN, name)
        self._ending[name] = (self.story.now_s(), process)
        process.send(signal.SIGTERM)
        return True

    def _roll(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        self._rolling[number] = list(who)
        return True

    def _roll_on(self, number: int) -> None:
        """One node after the other, each when the one before follows a leader again."""
        left = self._rolling[number]
        held = [whom for what, whom in self.claims.of(number) if what == claim.DOWN]
        if held:
            name = str(held[0])
            if not self.cluster.process(name).running:
                self.claims.give_back(number, claim.DOWN, name)
            return
        if self.story.now_s() - max(self._started_s.values()) > ROLL_S or self._all_follow():
            if not left:
                del self._rolling[number]
            elif self._end(number, Step(0.0, "end-node", (), 0.0), (left.pop(0),)):
                self.inflicted["end-node"] += 1

    def _all_follow(self) -> bool:
        for name in self._names[0]:
            seen = self.observer.seen(name)
            if seen is None or seen.at_s < self._started_s[name] or seen.status.stale:
                return False
        return True

    # ---- networks --------------------------------------------------------------------------------------

    def _hold(self, number: int, what: str, pairs: Iterable[tuple[str, str]]) -> bool:
        for source, target in pairs:
            if self.claims.take(number, what, (source, target)):
                if what == claim.HELD:
                    self.link.hold(source, target)
                else:
                    self.cluster.place.lose(source, target)
        return True

    def _sides(self, inside: tuple[str, ...]) -> list[tuple[str, str]]:
        """Every pair of a node and another node or a worker of which one is inside."""
        nodes, workers = self._names
        others = [name for name in (*nodes, *workers) if name not in inside]
        pairs = [(a, b) for a in inside for b in others if a in nodes or b in nodes]
        return pairs + [(b, a) for a, b in pairs]

    def _partition(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        return self._hold(number, claim.HELD, self._sides(who))

    def _lose_packets(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        return self._hold(number, claim.LOST, self._sides(who))

    def _one_way(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        source, target = who
        return self._hold(number, claim.HELD, [(source, target)])

    def _cut_worker(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        worker, *nodes = who
        return self._hold(number, claim.HELD, [p for n in nodes for p in ((worker, n), (n, worker))])

    def _wires_of(self, place: str) -> list[tuple[str, str]]:
        nodes, workers = self._names
        others = [name for name in (*nodes, *workers, OUTSIDE) if name != place]
        pairs = [(place, name) for name in others if place in nodes or name in nodes]
        return pairs + [(name, place) for _, name in pairs]

    def _delay(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        for pair in self._wires_of(who[0]):
            self.claims.take(number, claim.WEATHER, pair)
            self.link.weather(*pair, delay_s=step.amount / 2, jitter_s=step.amount)
        return True

    def _loss(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        for pair in self._wires_of(who[0]):
            self.claims.take(number, claim.WEATHER, pair)
            self.claims.take(number, claim.LOSSY, pair)
            self.link.weather(*pair, lost=step.amount, again_s=AGAIN_S)
        return True

    def _break(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        return self.link.break_off(who[0]) > 0

    # ---- disks and clocks ------------------------------------------------------------------------------

    def _fill(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        assert self.cluster.small_disk is not None
        if self.claims.take(number, claim.FULL, who[0]):
            self.cluster.small_disk.fill(ROOM_BYTES)
        return True

    def _step_clock(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        self.claims.take(number, claim.CLOCK, who[0])
        set_clock(self.cluster.clock(int(who[0][1:]) - 1), round(step.amount * 1_000))
        return True

    # ---- commands of an operator -----------------------------------------------------------------------

    def _command(self, what: str, work: Callable[[], Any]) -> bool:
        def carried_out() -> str:
            try:
                return f"{what}: {work() or 'done'}"
            except OrchestrixError as error:  # in the middle of chaos a command may fail: it says so
                return f"{what}: {error}"

        self._commands.append((what, self._pool.submit(carried_out)))
        return True

    def _hear_commands(self) -> None:
        for entry in [entry for entry in self._commands if entry[1].done()]:
            self._commands.remove(entry)
            self.story.tell(f"  {entry[1].result()}")

    def _drain_node(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        (name,) = who
        self.claims.take(number, claim.DRAINED, name)

        def drain() -> str:
            progress = self._client.cluster.drain(name)
            return f"{progress.workers} workers, {progress.jobs} jobs"

        return self._command(f"drain {name}", drain)

    def _undrain(self, name: str) -> None:
        def undrain() -> None:
            self._client.cluster.undrain(name)

        self._command(f"undrain {name}", undrain)

    def _drain_worker(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        (name,) = who
        process = self.cluster.process(name)
        if not process.running:
            return False
        self._excused.add(process.pid)

        def drain() -> str:
            shown = [w for w in self._client.status().workers if w.name.endswith(f":{process.pid}")]
            for worker in shown:
                self._client.cluster.drain_worker(worker.id)
            return "told" if shown else "it has no session"

        return self._command(f"drain {name}", drain)

    def _move_leader(self, number: int, step: Step, who: tuple[str, ...]) -> bool:
        return self._command("move the leadership", lambda: f"to {self._client.transfer_leadership()}")

    def undrained(self) -> bool:
        """Whether no node drains; tells those that do to stop it.  For the end of a run."""
        drains = {node.node_id: node.drain for node in self._client.status().nodes if node.drain is not None}
        for node_id, drain in drains.items() if not self._commands else ():
            if not drain.leaving:  # one that leaves is back, and undrained, in a moment
                self._undrain(node_id)
        return not drains

    # ---- healing ---------------------------------------------------------------------------------------

    def heal(self, number: int) -> None:
        """Undo one fault, as far as no other one needs the same."""
        self._rolling.pop(number, None)
        for what, whom in self.claims.of(number):
            last = self.claims.give_back(number, what, whom)
            if last:
                self._undo(what, whom)

    def _undo(self, what: str, whom: Any) -> None:
        match what:
            case claim.PAUSED:
                self.cluster.process(whom).resume()
            case claim.HELD:
                self.link.release(*whom)
            case claim.LOST:
                self.cluster.place.find(*whom)
            case claim.WEATHER:
                self.link.weather(*whom)
            case claim.DRAINED:
                self._undrain(whom)
            case claim.FULL:
                assert self.cluster.small_disk is not None
                self.cluster.small_disk.remount(WIDE)
            case claim.CLOCK:
                set_clock(self.cluster.clock(int(whom[1:]) - 1), 0)
            case _:  # what is down is started by `tend`
                pass

    # ---- what must work --------------------------------------------------------------------------------

    def _note_whether_it_works(self) -> None:
        now_s = self.story.now_s()
        up = {
            name
            for name in (*self._names[0], *self._names[1])
            if self.cluster.process(name).running
            and name not in self._ending
            and now_s - self._started_s[name] > claim.STARTING_S
        }
        works = self.claims.can_work(*self._names, up)
        if not self.working or self.working[-1][1] != works:
            self.working.append((now_s, works))
