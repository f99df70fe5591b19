"""`cluster add` and `cluster remove`."""

import json
from typing import Any

import pytest

from orchestrix_raft import OrchestrixError
from orchestrix_raft.client.cluster import AddedNode
from tests.unit.cli.conftest import RecordingClient


@pytest.mark.parametrize(
    ("already", "says"),
    [
        (
            False,
            "node n4 at h4:7400 is a learner: it receives the log, and gets a vote when it has caught up",
        ),
        (True, "node n4 at h4:7400 is a member already"),
    ],
)
def test_add_says_what_the_node_is_now(client: RecordingClient, run: Any, already: bool, says: str) -> None:
    client.answers["cluster.add"] = AddedNode("n4", already)
    done = run("cluster", "add", "h4:7400")
    assert done.code == 0
    assert done.out.startswith(says)
    assert done.out.count("\n") == 1
    assert client.calls == [("cluster.add", ("h4:7400",), {})]
    document = json.loads(run("cluster", "add", "h4:7400", "--json").out)
    assert document == {"node_id": "n4", "already": already}


def test_remove_says_that_it_is_done(client: RecordingClient, run: Any) -> None:
    client.answers["cluster.remove"] = None
    assert run("cluster", "remove", "n3").out == "node n3 is no member any more\n"
    assert json.loads(run("cluster", "remove", "n3", "--json").out) == {"removed": "n3"}
    assert client.calls == [("cluster.remove", ("n3",), {})] * 2


def test_a_refusal_is_one_line(client: RecordingClient, run: Any) -> None:
    client.answers["cluster.remove"] = OrchestrixError("n1 is the last voter: a cluster needs one", "X")
    done = run("cluster", "remove", "n1")
    assert (done.code, done.out) == (1, "")
    assert done.err == "orchestrix-raft: n1 is the last voter: a cluster needs one\n"
