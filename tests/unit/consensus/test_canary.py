"""Fails loudly when another version of PySyncObj moves anything the engine touches.

What is listed was read and judged for exactly this version.  Before a digest here is changed, the new
source has to be read again with the same eyes, and every test of this package run.
"""

import hashlib
import importlib.metadata
import inspect
import io
import textwrap
import tokenize

import pytest
from pysyncobj import SyncObj, SyncObjConf  # type: ignore[import-untyped]
from pysyncobj.journal import Journal  # type: ignore[import-untyped]
from pysyncobj.node import Node  # type: ignore[import-untyped]
from pysyncobj.transport import Transport  # type: ignore[import-untyped]

from orchestrix_raft.consensus import bridge
from orchestrix_raft.consensus.bridge import Raft
from orchestrix_raft.consensus.port import SafetyFault
from tests.simulation.raft.scripted import Scripted


def digest(item: object) -> str:
    """Of the code without comments and layout, the same under every version of Python."""
    source = textwrap.dedent(inspect.getsource(item))  # type: ignore[arg-type]
    code = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
    ]
    return hashlib.sha256(" ".join(code).encode()).hexdigest()[:16]


RUNNING = {
    "SyncObj.__init__": "a73dd5deff279316",
    "SyncObj._SyncObj__generateRaftTimeout": "990dd84aa50387b7",
    "SyncObj._SyncObj__onBecomeLeader": "d624817b27daa93e",
    "SyncObj._SyncObj__onMessageReceived": "e48d3cacdc33fc66",
    "SyncObj._SyncObj__onNodeConnected": "8974d90f1e78e5af",
    "SyncObj._SyncObj__onNodeDisconnected": "8de7ce5b41613025",
    "SyncObj._SyncObj__setCurrentTerm": "5ca7fb4c4c84a900",
    "SyncObj._SyncObj__setState": "666dcdd8b1b7b5c9",
    "SyncObj._SyncObj__sendAppendEntries": "ca32cb2e68beffe5",
    "SyncObj._SyncObj__getCurrentLogIndex": "0c043184745aadb1",
    "SyncObj._SyncObj__getCurrentLogTerm": "aa8e58d89c89f5bd",
    "SyncObj._SyncObj__callErrCallback": "1dfcfb17d113204c",
    "SyncObj.transferLeadership": "e095ee15980381ee",
    "SyncObj._doDestroy": "7624df12450161bb",
    "Node": "953ed7494c551fe3",
    "Transport": "27769b665acbb3fd",
    "Journal": "b603db02e0fcefcf",
    "SyncObjConf": "7f3b018f20238fd3",
}
"""Code of PySyncObj that runs inside the engine, or that one of ours takes the place of."""


def test_the_version_is_the_one_that_was_audited() -> None:
    assert importlib.metadata.version("pysyncobj") == "0.3.17"


@pytest.mark.parametrize("name", bridge.RELIED_ON)
def test_the_code_relied_on_is_the_code_that_was_read(name: str) -> None:
    assert digest(getattr(SyncObj, name)) == RUNNING[f"SyncObj.{name}"], f"{name} changed: read it again"


@pytest.mark.parametrize("item", [Node, Transport, Journal, SyncObjConf])
def test_the_classes_built_upon_are_those_that_were_read(item: type) -> None:
    assert digest(item) == RUNNING[item.__name__]


@pytest.mark.parametrize("name", bridge.REFUSED)
def test_what_is_refused_still_exists_under_that_name(name: str) -> None:
    assert callable(getattr(SyncObj, name)), f"{name} moved: what does its work now?"


@pytest.mark.parametrize("name", bridge.REFUSED)
def test_the_paths_found_unsafe_refuse_to_run(name: str) -> None:
    raft = Scripted(1)["n1"]._raft
    with pytest.raises(SafetyFault):
        getattr(raft, name)()


@pytest.mark.parametrize("name", sorted(Raft.__annotations__))
def test_the_state_of_raft_is_where_it_was(name: str) -> None:
    assert f"self.{name.removeprefix('_SyncObj')}" in inspect.getsource(SyncObj.__init__)
    assert hasattr(Scripted(1)["n1"]._raft, name)


def test_the_log_cannot_be_cleared_and_messages_cannot_be_sent_behind_the_engine() -> None:
    raft = Scripted(1)["n1"]._raft
    journal, transport = raft._SyncObj__raftLog, raft._SyncObj__transport
    with pytest.raises(SafetyFault):
        journal.clear()
    with pytest.raises(SafetyFault):
        journal.deleteEntriesFrom(1)
    with pytest.raises(SafetyFault):
        transport.send(bridge.PeerNode("n2"), {"type": "append_entries"})
    with pytest.raises(SafetyFault):
        transport._onMessageReceived(bridge.PeerNode("n2"), {"type": "append_entries"})


def test_no_thread_and_no_file_is_opened() -> None:
    raft = Scripted(1)["n1"]._raft
    assert raft._SyncObj__thread is None
    assert not hasattr(raft, "_SyncObj__pipeNotifier")
    assert raft.conf.fullDumpFile is None
    assert raft.conf.journalFile is None
    assert raft.conf.dynamicMembershipChange is False
