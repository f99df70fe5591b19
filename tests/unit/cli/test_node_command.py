"""`node`: where options come from, and that what cannot be meant is refused before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from orchestrix_raft.cli import node
from orchestrix_raft.consensus.port import SafetyFault
from orchestrix_raft.coordinator.first_start import Removed, StartError
from orchestrix_raft.coordinator.listening import LinkError
from orchestrix_raft.coordinator.option_table import OPTIONS
from orchestrix_raft.coordinator.options import NodeOptions
from orchestrix_raft.coordinator.starts import Superseded
from orchestrix_raft.machine.rules import TooOld
from orchestrix_raft.storage.port import Damaged, DiskFull

ENDS: dict[str, Exception] = {
    "full": DiskFull("no room"),
    "lost": StartError("its peers are those of another cluster"),
    "removed": Removed("node n1 was removed"),
    "damaged": Damaged("state: damaged"),
    "unsafe": SafetyFault("the journal was lost"),
    "copied": Superseded("two processes"),
    "old": TooOld("install another version"),
}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[NodeOptions]:
    """The options of nodes that would have run."""
    made: list[NodeOptions] = []

    class _Process:
        served = False

        def __init__(self, options: NodeOptions, make_api: Any, registry: Any) -> None:
            made.append(options)

        async def run(self) -> None:
            if made[0].node_id in ENDS:
                raise ENDS[made[0].node_id]
            if made[0].node_id == "unlucky":
                raise LinkError("cannot listen at 127.0.0.1:8400:\nit is taken")

    monkeypatch.setattr(node, "Process", _Process)
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)  # the tests have logging of their own
    for option in (*OPTIONS, *node.LOG_OPTIONS):
        monkeypatch.delenv(option.env, raising=False)
    return made


def test_without_options_it_is_a_cluster_of_one(started: list[NodeOptions], run: Any) -> None:
    assert run("node").code == 0
    assert str(started[0].listen_address) == "127.0.0.1:7400"
    assert started[0].peers == ()
    assert started[0].data_dir == Path("orchestrix-data")


def test_flags_win_over_the_environment_and_that_over_the_file(
    started: list[NodeOptions], run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "node.toml"
    config.write_text('node_id = "file"\nnode_dead = "41s"\nnode_suspect = "31s"\nlog_level = "error"\n')
    monkeypatch.setenv("ORCHESTRIX_NODE_ID", "environment")
    monkeypatch.setenv("ORCHESTRIX_NODE_DEAD", "42s")
    assert run("node", "--config", str(config), "--node-id", "flag").code == 0
    (options,) = started
    assert (options.node_id, options.node_dead_s, options.node_suspect_s) == ("flag", 42.0, 31.0)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_of_the_table_is_a_flag_unless_nothing_stands_behind_it(option: Any, run: Any) -> None:
    shown = run("node", "--help").out
    assert (f"{option.flag} " in shown) == (option.name not in node.NOT_YET)
    assert "--log-level" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--node-dead", "5"), "--node-dead: not a duration"),
        (("--listen", "0.0.0.0:7400"), "wildcard"),
        (("--log-format", "xml"), "--log-format: 'xml' is none of text, json"),
        (("--log-level", "loud"), "--log-level: 'loud' is none of debug, info, warning, error"),
        (("--config", "no-such-file.toml"), "cannot read no-such-file.toml"),
        (("--join", "127.0.0.1:7400"), "--join 127.0.0.1:7400 is this node itself"),
        (("--join", "10.0.0.1:7400"), "say with --listen at which address this node is"),
        (
            ("--join", "127.0.0.1:7401", "--peers", "127.0.0.1:7400,127.0.0.1:7401"),
            "--join and --peers exclude each other",
        ),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    started: list[NodeOptions],
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    done = run("node", *arguments)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert done.err.count("\n") == 1
    assert not started


def test_a_word_that_is_none_is_refused_under_the_name_it_was_given(
    started: list[NodeOptions], run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "node.toml"
    config.write_text('log_level = "loud"\n')
    told = "'loud' is none of debug, info, warning, error (see orchestrix-raft node --help)\n"
    assert run("node", "--config", str(config)).err == f"orchestrix-raft: log_level: {told}"
    monkeypatch.setenv("ORCHESTRIX_LOG_LEVEL", "loud")
    done = run("node")
    assert (done.code, done.err) == (2, f"orchestrix-raft: ORCHESTRIX_LOG_LEVEL: {told}")
    assert not started


@pytest.mark.parametrize("name", sorted(node.NOT_YET))
def test_what_is_not_there_yet_is_refused_instead_of_ignored(
    started: list[NodeOptions], run: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"ORCHESTRIX_{name.upper()}", "127.0.0.1:9999")
    done = run("node")
    assert done.code == 2
    assert f"{name} is not there yet" in done.err
    assert not started


def test_a_node_that_cannot_run_ends_with_one_line(started: list[NodeOptions], run: Any) -> None:
    done = run("node", "--node-id", "unlucky")
    assert done.code == 1
    assert done.err == "orchestrix-raft: cannot listen at 127.0.0.1:8400: it is taken\n"


@pytest.mark.parametrize(
    ("node_id", "code"),
    [("full", 1), ("lost", 1), ("removed", 3), ("damaged", 1), ("unsafe", 1), ("copied", 1), ("old", 1)],
)
def test_the_exit_code_tells_a_removal_from_a_failure(
    started: list[NodeOptions], run: Any, node_id: str, code: int
) -> None:
    done = run("node", "--node-id", node_id)
    assert (done.code, done.err) == (code, f"orchestrix-raft: {ENDS[node_id]}\n")


def test_variables_that_mean_nothing_are_told_with_what_may_be_meant() -> None:
    given = {"ORCHESTRIX_DATADIR": "/d", "ORCHESTRIX_SERVERS": "a:1", "ORCHESTRIX_DATA_DIR": "/d", "X": "1"}
    (words,) = node.unknown_variables(given)
    assert words.startswith("ORCHESTRIX_DATADIR is set")
    assert words.endswith("did you mean ORCHESTRIX_DATA_DIR?")
    assert node.unknown_variables({"ORCHESTRIX_QQQQQ": "1"}) == [
        "ORCHESTRIX_QQQQQ is set in the environment and means nothing to a node"
    ]
    known = [option.env for option in (*OPTIONS, *node.LOG_OPTIONS)] + ["ORCHESTRIX_CONFIG"]
    assert node.unknown_variables(dict.fromkeys(known, "x")) == []


def test_what_kubernetes_sets_for_a_service_is_nobody_s_mistake() -> None:
    given = {
        "ORCHESTRIX_SERVICE_HOST": "10.0.0.1",
        "ORCHESTRIX_SERVICE_PORT": "7400",
        "ORCHESTRIX_RAFT_SERVICE_PORT_API": "7400",
        "ORCHESTRIX_PORT": "tcp://10.0.0.1:7400",
        "ORCHESTRIX_PORT_7400_TCP": "tcp://10.0.0.1:7400",
        "ORCHESTRIX_PORT_7400_TCP_ADDR": "10.0.0.1",
    }
    assert node.unknown_variables(given) == []
    assert len(node.unknown_variables({"ORCHESTRIX_PORT": "7400"})) == 1


def test_a_node_says_at_its_start_which_variables_mean_nothing(
    started: list[NodeOptions], run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ORCHESTRIX_NODE_IDD", "n1")
    assert run("node").code == 0
    (warning,) = [line.message for line in caplog.records if line.levelname == "WARNING"]
    assert "ORCHESTRIX_NODE_IDD is set" in warning
    assert warning.endswith("did you mean ORCHESTRIX_NODE_ID?")
