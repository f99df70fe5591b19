"""The files under deploy/ fit the program: their options are options, their values can be meant."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrix_raft.cli.node import REMOVED
from orchestrix_raft.coordinator.options import NodeOptions, read_config, resolve

DEPLOY = Path(__file__).parents[3] / "deploy"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()))


def containers(name: str) -> Iterator[dict[str, Any]]:
    for document in documents(name):
        if document["kind"] in ("StatefulSet", "Deployment"):
            yield from document["spec"]["template"]["spec"]["containers"]


def node_options(arguments: list[str]) -> NodeOptions:
    """Of a command line `node --option=value ...`, as the node with that address reads it."""
    assert arguments[0] == "node"
    given = re.findall(r"^--([a-z-]+)=?(.*)$", "\n".join(arguments[1:]), re.MULTILINE)
    assert len(given) == len(arguments) - 1
    flags: dict[str, object] = {name.replace("-", "_"): value or True for name, value in given}
    flags.pop("log_format", None)
    return resolve(flags, {}, {}, lambda host: True)


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


def started_in(pod: str, folder: Path, **changes: str) -> list[str]:
    """What the pod of that name runs: its arguments, as a program that is named like ours gets them."""
    (node,) = containers("cluster.yaml")
    (folder / "orchestrix-raft").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (folder / "orchestrix-raft").chmod(0o755)
    variables = {**environment(node), **changes, "POD_NAME": pod, "PATH": f"{folder}:/usr/bin:/bin"}
    command = [*node["command"], *node["args"]]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_nodes_of_the_stateful_set_found_one_cluster(tmp_path: Path) -> None:
    (node,) = containers("cluster.yaml")
    (stateful,) = (one for one in documents("cluster.yaml") if one["kind"] == "StatefulSet")
    services = {one["metadata"]["name"] for one in documents("cluster.yaml") if one["kind"] == "Service"}
    ports = {port["containerPort"] for port in node["ports"]}
    for number in range(stateful["spec"]["replicas"]):
        options = node_options(started_in(f"orchestrix-{number}", tmp_path))
        assert str(options.advertised) in map(str, options.peers)
        assert options.node_id == f"orchestrix-{number}"
        assert (options.join, len(options.peers)) == (None, stateful["spec"]["replicas"])
        assert options.advertised.host == f"orchestrix-{number}.{stateful['spec']['serviceName']}"
        assert ports == {
            options.listen_address.port,
            options.listen_address.above(options.peer_port_offset).port,
        }
    assert stateful["spec"]["serviceName"] in services


@pytest.mark.parametrize("number", [3, 4, 10])
def test_a_further_replica_asks_to_be_added(tmp_path: Path, number: int) -> None:
    options = node_options(started_in(f"orchestrix-{number}", tmp_path))
    assert options.peers == ()
    assert str(options.join) == "orchestrix-0.orchestrix-nodes:7400"
    assert str(options.advertised) == f"orchestrix-{number}.orchestrix-nodes:7400"


def test_a_founder_that_is_taken_off_the_list_joins_the_others(tmp_path: Path) -> None:
    (node,) = containers("cluster.yaml")
    first, _, rest = environment(node)["FOUNDERS"].partition(",")
    options = node_options(started_in(first.partition(".")[0], tmp_path, FOUNDERS=rest))
    assert options.peers == ()
    assert str(options.join) == rest.partition(",")[0] == "orchestrix-1.orchestrix-nodes:7400"


def test_workers_name_the_nodes() -> None:
    (node,) = containers("cluster.yaml")
    (worker,) = containers("worker.yaml")
    assert environment(worker)["ORCHESTRIX_SERVERS"] == environment(node)["FOUNDERS"]


def test_no_service_makes_variables_that_look_like_options() -> None:
    for name in ("cluster.yaml", "worker.yaml"):
        for document in documents(name):
            if document["kind"] in ("StatefulSet", "Deployment"):
                assert document["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_the_configuration_for_systemd_can_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    toml = read_config(DEPLOY / "systemd" / "node.toml")
    options = resolve({}, {}, toml, lambda host: host == "10.0.0.2")
    assert str(options.advertised) == "10.0.0.2:7400"
    assert options.tls is not None


def test_units_call_commands_that_exist(run: Any) -> None:
    for name in ("orchestrix-raft.service", "orchestrix-raft-worker.service"):
        unit = (DEPLOY / "systemd" / name).read_text()
        (line,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
        _, command, *rest = shlex.split(line.removeprefix("ExecStart="))
        shown = run(command, "--help")
        assert shown.code == 0
        assert all(one in shown.out for one in rest if one.startswith("--"))


def test_systemd_does_not_start_again_what_would_end_again() -> None:
    (unit, worker) = (
        (DEPLOY / "systemd" / name).read_text().splitlines()
        for name in ("orchestrix-raft.service", "orchestrix-raft-worker.service")
    )
    assert f"RestartPreventExitStatus=2 {REMOVED}" in unit
    assert f"SuccessExitStatus={REMOVED}" in unit
    assert "RestartPreventExitStatus=2" in worker
