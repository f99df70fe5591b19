"""Hosts on one machine: network namespaces with a switch between them, and wires that can be cut in one
direction or both.

Everything is made inside the network namespace of the calling process, which must be one of its own
(`entered`, Linux): the machine's own network is never touched, and all
of it is gone with the processes that hold the hosts.

A cut wire loses packets without a word to either end, as a failing switch does: the sender is given a
hardware address that nobody has.  Nothing is refused, and connections stay open until somebody gives up.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from orchestrix_raft.testing.cluster import LocalCluster
from orchestrix_raft.testing.processes import Process
from orchestrix_raft.testing.waiting import eventually

SWITCH: Final = "switch"
NOBODY: Final = "02:00:00:00:00:de"
"""A hardware address (locally administered) that no host has."""
PREFIX: Final = "10.77.0"
OURS: Final = f"{PREFIX}.254"
PORT: Final = 7400
ENTERED: Final = "ORCHESTRIX_TEST_NETWORK"
"""Set in the environment of a process that `entered` started."""
CLONE_NEWNET: Final = 0x40000000

Made = TypeVar("Made")


def entered(command: Iterable[str]) -> list[str]:
    """`command` inside a network namespace, and as root of a user namespace, of its own; when it ends,
    however it does, the processes that it has started are ended too."""
    return [
        *("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("env", f"{ENTERED}=1", *command),
    ]


def why_impossible() -> str:
    """Why this machine cannot do it, in one line; empty if it can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are a thing of Linux"
    try:
        done = subprocess.run(
            entered(["ip", "link", "add", SWITCH, "type", "bridge"]), capture_output=True, text=True
        )
    except FileNotFoundError as error:
        return f"{error.filename} is not installed"
    return done.stderr.strip() if done.returncode else ""


class Network:
    """`hosts` hosts, numbered from 0, each with one address; this process reaches all of them."""

    def __init__(self, hosts: int) -> None:
        if ENTERED not in os.environ:
            raise RuntimeError("this process is in the machine's own network: see network.entered")
        self.addresses = [f"{PREFIX}.{number + 1}" for number in range(hosts)]
        self._holders: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", SWITCH, "type", "bridge")
        _run("ip", "address", "add", f"{OURS}/24", "dev", SWITCH)
        _run("ip", "link", "set", SWITCH, "up")
        try:
            for number in range(len(self.addresses)):
                self._add_host(number)
        except BaseException:  # raised again; no half of a network is left behind
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes that hold the hosts; their wires go with them."""
        for holder in self._holders:
            holder.kill()
            holder.wait()
        self._holders.clear()
        _run("ip", "link", "delete", SWITCH)

    def _add_host(self, number: int) -> None:
        holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._holders.append(holder)
        ours = os.readlink("/proc/self/ns/net")
        eventually(
            lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != ours, f"host {number} has its own network"
        )
        wire = f"wire{number}"
        _run("ip", "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        _run("ip", "link", "set", wire, "master", SWITCH, "up")
        self.run(number, "ip", "link", "set", "lo", "up")
        self.run(number, "ip", "address", "add", f"{self.addresses[number]}/24", "dev", "eth0")
        self.run(number, "ip", "link", "set", "eth0", "up")

    def on(self, number: int, command: Iterable[str]) -> list[str]:
        """`command` as a process of that host; it has the id of the process that is started."""
        return ["nsenter", f"--net=/proc/{self._holders[number].pid}/ns/net", *command]

    def made_on(self, number: int, make: Callable[[], Made]) -> Made:
        """What `make` gives when it is called on that host: a socket belongs to the network that it was made
        in, whoever uses it then."""

        def enter() -> Made:
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/proc/{self._holders[number].pid}/ns/net") as network:
                if libc.setns(network.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"host {number} cannot be entered")
            return make()

        # A thread of its own is the only thing that goes there.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(enter).result()

    def run(self, number: int, *command: str) -> None:
        """Run to its end on that host."""
        _run(*self.on(number, command))

    def silence(self, source: int, target: int) -> None:
        """What host `source` sends to host `target` is lost from now on; nothing else is."""
        self.run(
            source,
            *("ip", "neighbour", "replace", self.addresses[target], "lladdr", NOBODY),
            *("dev", "eth0", "nud", "permanent"),
        )

    def restore(self, source: int, target: int) -> None:
        """Undo `silence`."""
        self.run(source, "ip", "neighbour", "delete", self.addresses[target], "dev", "eth0")

    def cut(self, side: Iterable[int], other: Iterable[int]) -> None:
        """No host of one side reaches one of the other any more; this process still reaches all."""
        for source, target in _both_ways(side, other):
            self.silence(source, target)

    def join(self, side: Iterable[int], other: Iterable[int]) -> None:
        """Undo `cut`."""
        for source, target in _both_ways(side, other):
            self.restore(source, target)


def _both_ways(side: Iterable[int], other: Iterable[int]) -> list[tuple[int, int]]:
    pairs = [(one, two) for one in side for two in other]
    return pairs + [(two, one) for one, two in pairs]


def _run(*command: str) -> None:
    """OSError with what the command said, if it failed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


class NetworkCluster(LocalCluster):
    """A cluster of which every node has a host of its own, numbered like it; further hosts of `network`
    are for workers.  Made inside a network of its own; see `Network`."""

    def __init__(
        self, network: Network, nodes: int, data_dir: Path, options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(nodes, data_dir, options=options)
        self.network = network
        self.addresses = [f"{host}:{PORT}" for host in network.addresses[:nodes]]
        self._founders = list(self.addresses)

    def node_command(self, number: int) -> list[str]:
        """As on loopback, on its host; nobody else is on that network, so it needs no TLS."""
        return self.network.on(number, [*super().node_command(number), "--insecure"])

    def worker_on(self, host: int, target: str, environment: Mapping[str, str] | None = None) -> Process:
        """Start `orchestrix-raft worker TARGET` on that host and wait until it has a session."""
        command = [sys.executable, "-m", "orchestrix_raft", "worker", target, "--servers", self.servers]
        return self.worker_program(self.network.on(host, command), environment)
