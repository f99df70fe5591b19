"""`status`: the best informed answer wins, silent servers are named, and keys are the promised ones."""

import json
from datetime import UTC, datetime
from typing import Any, Self

import msgspec
import pytest

from orchestrix_raft import ClusterStatus, OrchestrixError, Unavailable
from orchestrix_raft.cli import status
from orchestrix_raft.client.model import DrainProgress, NodeStatus, QueueStatus, WorkerStatus

AT = datetime(2026, 3, 1, tzinfo=UTC)


def _status(**changes: Any) -> ClusterStatus:
    node = NodeStatus(
        node_id="n1",
        address="a:1",
        role="leader",
        health="alive",
        applied_index=9,
        lag=0,
        owned_jobs=2,
        sessions=1,
        last_heartbeat=AT,
        version="1",
    )
    worker = WorkerStatus(
        id="ab" * 16,
        name="w",
        queues=["default", "mail"],
        labels=[],
        capacity=10,
        used=3,
        stuck=0,
        node_id="",
        draining=False,
        attached_at=AT,
    )
    values: dict[str, Any] = {
        "leader": "n1",
        "term": 4,
        "commit_index": 9,
        "applied_index": 9,
        "nodes": [node],
        "jobs": {"pending": 3, "completed": 1},
        "queues": [QueueStatus(name="default", scheduled=0, pending=3, dispatched=0, running=0)],
        "workers": [worker],
        "answered_by": "n1",
        "cluster_id": "c",
        "digest": "00",
        "problems": [],
        "stale": False,
        "time": AT,
    }
    return ClusterStatus(**(values | changes))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, ClusterStatus | Exception]:
    """Server -> what it answers."""
    answers: dict[str, ClusterStatus | Exception] = {}

    class _Client:
        def __init__(self, server: str, **_: object) -> None:
            self._server = server

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

        async def status(self) -> ClusterStatus:
            answer = answers[self._server]
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr(status, "AsyncClient", _Client)
    monkeypatch.delenv("ORCHESTRIX_SERVERS", raising=False)
    return answers


def test_json_has_exactly_the_promised_keys_at_least(cluster: dict[str, Any], run: Any) -> None:
    cluster["127.0.0.1:7400"] = _status()
    done = run("status", "--json")
    document = json.loads(done.out)
    promised = {"leader", "term", "commit_index", "applied_index", "nodes", "jobs", "queues", "workers"}
    assert promised <= document.keys()
    assert [state for state, count in document["jobs"].items() if count] == ["pending", "completed"]
    assert len(document["jobs"]) == 7
    of_a_node = {"node_id", "address", "role", "health", "applied_index", "owned_jobs", "last_heartbeat"}
    assert of_a_node | {"version"} <= document["nodes"][0].keys()
    assert document["nodes"][0]["last_heartbeat"] == "2026-03-01T00:00:00Z"
    assert document["unreachable"] == []


def test_an_upgrade_that_is_under_way_names_whom_it_waits_for(cluster: dict[str, Any], run: Any) -> None:
    node = msgspec.structs.replace(_status().nodes[0], machine_level=2)
    status = _status(nodes=[node], machine_level=1, level_waits_for=["n2", "n3"])
    cluster["127.0.0.1:7400"] = status
    assert "1 (a higher one waits for n2, n3)" in run("status").out
    document = json.loads(run("status", "--json").out)
    assert (document["machine_level"], document["level_waits_for"]) == (1, ["n2", "n3"])
    assert document["nodes"][0]["machine_level"] == 2


def test_a_node_in_touch_with_a_leader_is_believed_over_one_that_is_not(
    cluster: dict[str, Any], run: Any
) -> None:
    cluster |= {
        "a:1": _status(leader="", applied_index=99),
        "b:2": _status(stale=True),
        "c:3": _status(answered_by="n3", applied_index=2),
    }
    document = json.loads(run("status", "--json", "--servers", "a:1,b:2,c:3").out)
    assert document["answered_by"] == "n3"


def test_the_leader_is_believed_over_its_followers(cluster: dict[str, Any], run: Any) -> None:
    cluster |= {"a:1": _status(answered_by="n2", applied_index=99), "b:2": _status(answered_by="n1")}
    document = json.loads(run("status", "--json", "--servers", "a:1,b:2").out)
    assert document["answered_by"] == "n1"


def test_an_empty_node_to_lead_next_is_named_as_the_help_names_it(client: Any, run: Any) -> None:
    said = run("cluster", "transfer", "")
    assert (said.code, client.calls) == (2, [])
    assert said.err.startswith("orchestrix-raft: ID: it is empty")
    assert " [ID]\n" in run("cluster", "transfer", "--help").out


def test_transfer_says_who_leads_next(client: Any, run: Any) -> None:
    client.answers["transfer_leadership"] = "n2"
    assert run("cluster", "transfer", "--servers", "b:2").out == "leadership goes to n2\n"
    assert client.servers == ("b:2",)
    assert run("cluster", "transfer", "n2", "--json").out == '{\n  "target": "n2"\n}\n'
    assert [args for name, args, _ in client.calls if name == "transfer_leadership"] == [("",), ("n2",)]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("n1", "nothing to do: n1 is the leader already"),
        ("n9", "there is no node 'n9': the members are n1"),
    ],
)
def test_a_transfer_that_cannot_be_says_why(client: Any, run: Any, named: str, says: str) -> None:
    refused = OrchestrixError(f"no voter to take over is connected as {named}", "TRANSFER_REFUSED")
    client.answers |= {"transfer_leadership": refused, "status": _status()}
    done = run("cluster", "transfer", named)
    assert (done.code, done.out, done.err) == (1, "", f"orchestrix-raft: {says}\n")


def test_a_transfer_that_failed_for_another_reason_says_that(client: Any, run: Any) -> None:
    client.answers |= {
        "transfer_leadership": OrchestrixError("n2 does not have the last entry yet", "TRANSFER_REFUSED"),
        "status": _status(leader="n3"),
    }
    for arguments in ((), ("n1",)):
        assert "n2 does not have the last entry yet" in run("cluster", "transfer", *arguments).err


def test_a_cluster_of_one_has_nobody_to_hand_over_to(client: Any, run: Any) -> None:
    refused = OrchestrixError("no voter to take over is connected", "TRANSFER_REFUSED")
    client.answers |= {"transfer_leadership": refused, "status": _status()}
    assert "there is no other node to lead: n1 is the only member" in run("cluster", "transfer").err


def test_without_a_leader_there_is_nothing_to_transfer(client: Any, run: Any) -> None:
    client.answers["transfer_leadership"] = Unavailable("there is no leader to hand over")
    done = run("cluster", "transfer")
    assert (done.code, done.out) == (1, "")
    assert "there is no leader to hand over" in done.err


def test_without_a_leader_the_node_that_is_furthest_on_is_shown_and_the_lack_is_told(
    cluster: dict[str, Any], run: Any
) -> None:
    cluster |= {"a:1": _status(leader="", applied_index=3), "b:2": _status(leader="", applied_index=5)}
    done = run("status", "--servers", "a:1,b:2")
    assert done.code == 0
    assert "none: nothing new is accepted until a majority of the nodes can reach each other" in done.out
    assert "5 applied" in done.out


def test_silent_servers_and_problems_are_named(cluster: dict[str, Any], run: Any) -> None:
    cluster |= {"a:1": Unavailable("cannot connect to a:1"), "b:2": _status(problems=["n3 is silent"])}
    done = run("status", "--servers", "a:1,b:2")
    assert done.code == 0
    assert "! n3 is silent\n" in done.out
    assert "! a:1 did not answer: cannot connect to a:1\n" in done.out
    document = json.loads(run("status", "--servers", "a:1,b:2", "--json").out)
    assert document["unreachable"] == [{"server": "a:1", "error": "cannot connect to a:1"}]


def test_a_draining_node_is_one_word_in_the_table_and_two_keys_for_scripts(
    cluster: dict[str, Any], run: Any
) -> None:
    node = _status().nodes[0]
    drain = DrainProgress(
        leaving=False,
        since=AT,
        workers=1,
        jobs=1,
        asked=1,
        acknowledged=0,
        acknowledged_jobs=0,
        orphaned=0,
        orphaned_jobs=0,
    )
    cluster["127.0.0.1:7400"] = _status(nodes=[msgspec.structs.replace(node, drain=drain)])
    row = next(line for line in run("status").out.splitlines() if line.startswith("n1 "))
    assert row.split()[3] == "draining"
    (shown,) = json.loads(run("status", "--json").out)["nodes"]
    assert (shown["health"], shown["drain"]["workers"]) == ("alive", 1)


def test_nodes_of_two_clusters_are_a_problem(cluster: dict[str, Any], run: Any) -> None:
    cluster |= {
        "a:1": _status(applied_index=3, problems=["n3 is silent"]),
        "b:2": _status(cluster_id="d"),
        "c:3": _status(cluster_id="", leader=""),
        "e:5": _status(applied_index=2),
    }
    done = run("status", "--servers", "a:1,b:2,c:3,e:5")
    assert done.code == 0
    says = (
        "the servers belong to 2 clusters: a:1, e:5 to c; b:2 to d, which is the one shown: name servers of"
        " one cluster with --servers"
    )
    assert f"! {says}\n" in done.out
    document = json.loads(run("status", "--servers", "a:1,b:2,c:3,e:5", "--json").out)
    assert (document["problems"], document["cluster_id"]) == ([says], "d")
    document = json.loads(run("status", "--servers", "a:1,c:3,e:5", "--json").out)
    assert document["problems"] == ["n3 is silent"]


def test_when_nobody_answers_it_fails_with_what_each_server_did(cluster: dict[str, Any], run: Any) -> None:
    cluster |= {"a:1": Unavailable("refused"), "b:2": Unavailable("timed out")}
    done = run("status", "--json", "--servers", "a:1,b:2")
    assert (done.code, done.out) == (1, "")
    assert "a:1: refused; b:2: timed out" in done.err
    assert done.err.count("\n") == 1


def test_why_a_server_is_silent_is_told_without_detours(cluster: dict[str, Any], run: Any) -> None:
    nobody = "no server answered the request for the status within 2 s"
    told = f"{nobody}; one of those tried: cannot connect to a:1: refused"
    cluster["a:1"] = Unavailable(told, "NO_SERVER")
    assert "no node answered (a:1: cannot connect to a:1: refused): " in run("status", "--servers", "a:1").err


def test_the_page_shows_nodes_jobs_queues_and_workers(cluster: dict[str, Any], run: Any) -> None:
    cluster["127.0.0.1:7400"] = _status()
    out = run("status").out
    assert out.startswith("leader       n1\n")
    for word in ("nodes", "jobs", "queues", "workers", "default,mail", "3/10", "detached", "PENDING"):
        assert word in out
    assert "\x1b" not in out


def test_what_the_node_that_answers_does_not_know_is_not_shown_as_0(
    cluster: dict[str, Any], run: Any
) -> None:
    me = msgspec.structs.replace(_status().nodes[0], node_id="n2", role="follower", applied_index=0)
    leader = msgspec.structs.replace(me, node_id="n1", role="leader")
    cluster["127.0.0.1:7400"] = _status(answered_by="n2", nodes=[leader, me])
    rows = [line.split() for line in run("status").out.splitlines() if line.startswith(("n1 ", "n2 "))]
    assert [row[4:6] for row in rows] == [["-", "-"], ["0", "0"]]
    told = json.loads(run("status", "--json").out)["nodes"]
    assert [(one["applied_index"], one["lag"]) for one in told] == [(None, None), (0, 0)]


def test_watch_goes_on_until_interrupted_and_writes_one_document_a_line(
    cluster: dict[str, Any], run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster["127.0.0.1:7400"] = _status()
    pauses = iter([None, KeyboardInterrupt()])

    def pause(seconds: float) -> None:
        if (interrupt := next(pauses)) is not None:
            raise interrupt

    monkeypatch.setattr("orchestrix_raft.cli.status.time.sleep", pause)
    done = run("status", "--watch", "--json")
    assert done.code == 130
    assert [json.loads(line)["leader"] for line in done.out.splitlines()] == ["n1", "n1"]


def test_workers_list_shows_the_workers_only(client: Any, run: Any) -> None:
    client.answers["status"] = _status()
    assert json.loads(run("workers", "list", "--json").out)["workers"][0]["name"] == "w"
    assert run("workers", "list").out.splitlines()[1].startswith("abababababab  w")
