"""`cluster drain / undrain`, `workers drain`: what is asked, what is waited for, what is said."""

import json
from typing import Any

import pytest

from orchestrix_raft import OrchestrixError
from orchestrix_raft.cli import draining
from orchestrix_raft.client.model import DrainProgress, NodeStatus, WorkerStatus
from tests.unit.cli.conftest import RecordingClient, Turns


def progress(**changes: Any) -> DrainProgress:
    values: dict[str, Any] = dict.fromkeys(DrainProgress.__struct_fields__, 0) | {"since": None}
    return DrainProgress(**(values | {"leaving": False, "workers": 4, "jobs": 50} | changes))


def node(sessions: int, drain: DrainProgress | None, **changes: Any) -> NodeStatus:
    values: dict[str, Any] = dict.fromkeys(NodeStatus.__struct_fields__, 0) | {"last_heartbeat": None}
    words = {"node_id": "n2", "address": "b:1", "role": "follower", "health": "alive", "version": "1"}
    return NodeStatus(**(values | words | {"sessions": sessions, "drain": drain} | changes))


def worker(number: int, **changes: Any) -> WorkerStatus:
    values: dict[str, Any] = dict.fromkeys(WorkerStatus.__struct_fields__, 0) | {"attached_at": None}
    words = {"id": f"{number:032x}", "name": f"w{number}", "queues": ["q"], "labels": [], "node_id": "n2"}
    return WorkerStatus(**(values | words | {"moving_to": "", "used": 7} | changes))


class Status:
    """What `status` answers, as far as these commands look."""

    def __init__(self, nodes: tuple[NodeStatus, ...] = (), workers: tuple[WorkerStatus, ...] = ()) -> None:
        self.nodes = list(nodes)
        self.workers = list(workers)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "LOOK_S", 0.0)


def test_a_drain_is_followed_until_no_worker_is_left(client: RecordingClient, run: Any) -> None:
    client.answers["cluster.drain"] = progress()
    done = progress(asked=4, acknowledged=4, acknowledged_jobs=50)
    client.answers["status"] = Turns(
        [Status((node(4, progress()),)), Status((node(1, progress()),)), Status((node(0, done),))]
    )
    said = run("cluster", "drain", "n2")
    assert said.code == 0
    assert said.out.splitlines()[-1] == "4 workers handed over, 4 acknowledged with 50 jobs, 0 orphaned"
    assert client.calls[0] == ("cluster.drain", ("n2",), {"force": False})


def test_orphans_and_those_who_stay_are_pointed_out(
    client: RecordingClient, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.answers["cluster.drain"] = progress()
    client.answers["status"] = Status((node(2, progress(asked=4, acknowledged=1, orphaned=1)),))
    monkeypatch.setattr(draining, "WAIT_S", 0.0)
    said = run("cluster", "drain", "n2", "--force")
    assert said.code == 1, "so that a script does not go on to the next node"
    assert "orphaned workers lose their jobs unless they come back" in said.out
    assert "still attached to node n2: 2 workers" in said.out
    assert client.calls[0][2] == {"force": True}


def test_json_stays_alone_on_stdout_when_workers_are_orphaned(
    client: RecordingClient, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.answers["cluster.drain"] = progress()
    orphans = progress(asked=4, acknowledged=1, orphaned=1, orphaned_jobs=3)
    client.answers["status"] = Status((node(2, orphans),))
    monkeypatch.setattr(draining, "WAIT_S", 0.0)
    said = run("cluster", "drain", "n2", "--json")
    assert (said.code, json.loads(said.out)["orphaned"]) == (1, 1)
    assert "1 worker orphaned with 3 jobs: orphaned workers lose their jobs unless" in said.err
    assert "still attached to it: 2 workers" in said.err
    assert said.err.count("\n") == 1


def test_a_drain_that_is_not_waited_for(client: RecordingClient, run: Any) -> None:
    client.answers["cluster.drain"] = progress()
    assert run("cluster", "drain", "n2", "--no-wait").out == "node n2 drains: it has 4 workers with 50 jobs\n"
    document = json.loads(run("cluster", "drain", "n2", "--no-wait", "--json").out)
    assert (document["node_id"], document["workers"], document["orphaned"]) == ("n2", 4, 0)


def test_a_drain_that_costs_too_much_names_the_way_out(client: RecordingClient, run: Any) -> None:
    cost = "without node n2 there is no majority"
    client.answers["cluster.drain"] = OrchestrixError(cost, "DRAIN_COSTS_TOO_MUCH")
    said = run("cluster", "drain", "n2")
    assert (said.code, said.err) == (1, f"orchestrix-raft: {cost}; --force drains it all the same\n")


def test_an_empty_worker_id_is_said_in_one_line(client: RecordingClient, run: Any) -> None:
    said = run("workers", "drain", "")
    assert (said.code, client.calls) == (2, [])
    assert "ID: it is empty: name one (see" in said.err


def test_a_drain_that_somebody_undoes_is_a_failure(client: RecordingClient, run: Any) -> None:
    client.answers["cluster.drain"] = progress()
    behind, drained = Status((node(4, None),)), Status((node(4, progress()),))
    client.answers["status"] = Turns([behind, Status(), drained, behind])
    said = run("cluster", "drain", "n2")
    assert said.code == 1
    assert "was undone meanwhile" in said.err
    assert len(client.calls) == 5, "a node that does not know of it yet is asked again"


def test_a_refused_drain_is_one_line(client: RecordingClient, run: Any) -> None:
    client.answers["cluster.drain"] = OrchestrixError("without node n2 there is no majority")
    said = run("cluster", "drain", "n2")
    assert (said.code, said.out) == (1, "")
    assert "no majority" in said.err


def test_undrain_says_so(client: RecordingClient, run: Any) -> None:
    client.answers["cluster.undrain"] = None
    assert run("cluster", "undrain", "n2").out == "node n2 takes workers again\n"
    assert json.loads(run("cluster", "undrain", "n2", "--json").out) == {"node_id": "n2"}


@pytest.mark.parametrize("named", [f"{2:032x}", "w2"])
def test_a_worker_is_drained_by_id_or_name(client: RecordingClient, run: Any, named: str) -> None:
    client.answers["status"] = Status(workers=(worker(1), worker(2)))
    client.answers["cluster.drain_worker"] = None
    said = run("workers", "drain", named)
    assert said.out == "worker w2 drains: it runs 7 jobs\n"
    assert client.calls[-1] == ("cluster.drain_worker", (f"{2:032x}",), {})


@pytest.mark.parametrize(
    ("named", "words"), [("0000", "2 workers are meant"), ("nobody", "no worker nobody")]
)
def test_a_worker_must_be_meant_clearly(client: RecordingClient, run: Any, named: str, words: str) -> None:
    client.answers["status"] = Status(workers=(worker(1), worker(2)))
    said = run("workers", "drain", named)
    assert said.code == 1
    assert words in said.err


def test_the_lists_show_who_drains_and_who_moves(client: RecordingClient, run: Any) -> None:
    client.answers["status"] = Status(
        workers=(worker(1, draining=True), worker(2, moving_to="n3"), worker(3), worker(4, node_id=""))
    )
    lines = run("workers", "list").out.splitlines()
    assert [line.split()[-2] for line in lines[1:]] == ["draining", "n3", "n2", "detached"]
    assert "n2 -> n3" in lines[2]


@pytest.mark.parametrize("named", [f"{2:032x}", "w2"])
def test_jobs_are_listed_by_owner_and_by_worker(client: RecordingClient, run: Any, named: str) -> None:
    client.answers |= {"status": Status(workers=(worker(1), worker(2))), "list_jobs": []}
    assert run("jobs", "list", "--owner", "n2", "--worker", named).code == 0
    asked = client.calls[-1][2]
    assert (asked["owner"], asked["worker"]) == ("n2", f"{2:032x}")
    said = run("jobs", "list", "--worker", "nobody")
    assert (said.code, "no worker nobody" in said.err) == (1, True)


@pytest.mark.parametrize(
    "silent", [{"health": "unreachable"}, {"health": "suspect"}, {"role": "unreachable"}]
)
def test_each_step_of_a_drain_is_a_line_and_for_programs_none(
    client: RecordingClient, run: Any, silent: dict[str, str]
) -> None:
    done = progress(asked=4, acknowledged=4, acknowledged_jobs=50)
    steps = [
        *[Status((node(4, progress()),))] * 3,
        Status((node(3, progress(asked=4, acknowledged=1)),)),
        Status((node(3, progress(asked=4, acknowledged=1), **silent),)),
        Status((node(0, done),)),
    ]
    client.answers |= {"cluster.drain": progress(), "status": Turns(steps)}
    assert run("cluster", "drain", "n2").out.splitlines() == [
        "node n2: 4 workers left, 0 handed over, 0 acknowledged, 0 orphaned",
        "node n2: 3 workers left, 4 handed over, 1 acknowledged, 0 orphaned",
        "node n2: 3 workers left, 4 handed over, 1 acknowledged, 0 orphaned; the node does not answer",
        "node n2: 0 workers left, 4 handed over, 4 acknowledged, 0 orphaned",
        "4 workers handed over, 4 acknowledged with 50 jobs, 0 orphaned",
    ]
    client.answers["status"] = Turns(steps)
    assert json.loads(run("cluster", "drain", "n2", "--json").out)["acknowledged"] == 4


def test_a_node_that_dies_while_it_drains_is_a_failure(client: RecordingClient, run: Any) -> None:
    dead = node(0, progress(asked=4, acknowledged=1, orphaned=3), health="dead")
    client.answers |= {
        "cluster.drain": progress(),
        "status": Turns([Status((node(4, progress()),)), Status((dead,))]),
    }
    said = run("cluster", "drain", "n2")
    assert said.code == 1
    assert "node n2 died while it handed over: 1 of 4 workers had gone, 3 were detached" in said.err


def test_a_node_that_is_removed_while_it_drains_is_a_failure(client: RecordingClient, run: Any) -> None:
    client.answers |= {
        "cluster.drain": progress(),
        "status": Turns([Status((node(4, progress()),)), Status()]),
    }
    said = run("cluster", "drain", "n2")
    assert (said.code, "is no member any more" in said.err) == (1, True)
