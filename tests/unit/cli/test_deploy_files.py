"""The files under deploy/ fit the program: their options are options, their values can be meant."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrix_raft.coordinator.options import NodeOptions, read_config, resolve

DEPLOY = Path(__file__).parents[3] / "deploy"
POD = "orchestrix-1"


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


def test_the_nodes_of_the_stateful_set_found_one_cluster() -> None:
    (node,) = containers("cluster.yaml")
    options = node_options([argument.replace("$(POD_NAME)", POD) for argument in node["args"]])
    assert str(options.advertised) in map(str, options.peers)
    (stateful,) = (one for one in documents("cluster.yaml") if one["kind"] == "StatefulSet")
    assert len(options.peers) == stateful["spec"]["replicas"]
    services = {one["metadata"]["name"] for one in documents("cluster.yaml") if one["kind"] == "Service"}
    assert options.advertised.host == f"{POD}.{stateful['spec']['serviceName']}"
    assert stateful["spec"]["serviceName"] in services
    ports = {port["containerPort"] for port in node["ports"]}
    assert ports == {options.listen_address.port, options.listen_address.above(options.peer_port_offset).port}


def test_workers_name_the_nodes() -> None:
    (node,) = containers("cluster.yaml")
    (worker,) = containers("worker.yaml")
    peers = next(one for one in node["args"] if one.startswith("--peers=")).removeprefix("--peers=")
    assert {"name": "ORCHESTRIX_SERVERS", "value": peers} in worker["env"]


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
