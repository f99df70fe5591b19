"""What an operator may write, and what is refused with one line."""

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrix_raft.coordinator.addresses import Address, AddressError, is_local, parse_address
from orchestrix_raft.coordinator.beats import BeatLimits
from orchestrix_raft.coordinator.link import LinkLimits
from orchestrix_raft.coordinator.option_table import BY_NAME, OPTIONS, RULES, Kind, reference
from orchestrix_raft.coordinator.options import NodeOptions, OptionError, read_config, resolve
from orchestrix_raft.coordinator.proposer import ProposerLimits
from orchestrix_raft.coordinator.pulse import HubLimits
from orchestrix_raft.coordinator.settings import CoreLimits
from orchestrix_raft.storage.layout import DataDirectory

THREE = "10.0.0.1:7400,10.0.0.2:7400,10.0.0.3:7400"
LOOPBACK = "127.0.0.1:7400,127.0.0.1:7401,127.0.0.1:7402"


def here(*hosts: str) -> Callable[[str], bool]:
    return lambda host: host in hosts


LOOPBACK_ONLY = here("127.0.0.1", "localhost")


def given(
    env: Mapping[str, str] | None = None,
    toml: Mapping[str, object] | None = None,
    local: Callable[[str], bool] = LOOPBACK_ONLY,
    **flags: object,
) -> NodeOptions:
    return resolve(flags, env or {}, toml or {}, local)


def fault(
    env: Mapping[str, str] | None = None,
    toml: Mapping[str, object] | None = None,
    local: Callable[[str], bool] = LOOPBACK_ONLY,
    **flags: object,
) -> str:
    with pytest.raises(OptionError) as caught:
        resolve(flags, env or {}, toml or {}, local)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- the table -------------------------------------------------------------------------------------------


def test_every_option_has_a_reason_and_a_default_that_can_be_read() -> None:
    assert len(BY_NAME) == len(OPTIONS)
    for option in OPTIONS:
        assert option.why
        assert option.name == option.name.lower()
    given()


def test_every_option_reaches_the_node() -> None:
    renamed = {"listen": "listen_address", "advertise": "advertised"}
    files = {"tls_cert", "tls_key", "tls_ca"}
    fields = {renamed.get(o.name, o.field) for o in OPTIONS if o.name not in files} | {"tls"}
    assert fields == set(NodeOptions.__struct_fields__)


def test_defaults_are_those_of_the_parts_they_are_for() -> None:
    """One truth: what a part does by default and what the help says may not differ."""
    limits = given().core_limits()
    assert limits == CoreLimits()
    assert limits.hub == HubLimits()
    assert limits.proposer == ProposerLimits()
    assert limits.beats == BeatLimits()
    assert given().link_limits() == LinkLimits()


def test_every_tuned_number_reaches_its_part() -> None:
    """Each duration, size and count that is changed must change something the node is given."""
    source = ast.parse(Path(resolve.__code__.co_filename).read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(source) if isinstance(node, ast.Attribute)}
    elsewhere = {"raft_heartbeat", "election_min", "election_max", "log_tail_entries", "log_tail_bytes"}
    elsewhere.add("peer_port_offset")
    for option in OPTIONS:
        if option.kind in (Kind.DURATION, Kind.SIZE, Kind.COUNT) and option.name not in elsewhere:
            assert option.field in used, option.name


def test_the_reference_names_every_option() -> None:
    page = reference()
    for option in OPTIONS:
        assert f"`{option.env}`" in page
    assert len(page.splitlines()) == len(OPTIONS) + 2


# ---- sources ---------------------------------------------------------------------------------------------


def test_flags_win_over_the_environment_over_the_file_over_the_defaults() -> None:
    env, toml = {"ORCHESTRIX_NODE_DEAD": "50s"}, {"node_dead": "40s"}
    assert given().node_dead_s == 30.0
    assert given(toml=toml).node_dead_s == 40.0
    assert given(env=env, toml=toml).node_dead_s == 50.0
    assert given(env=env, toml=toml, node_dead="60s").node_dead_s == 60.0
    assert given(env={"ORCHESTRIX_NODE_DEAD": ""}, node_dead=None).node_dead_s == 30.0


def test_toml_may_use_its_own_types() -> None:
    options = given(
        toml={
            "peers": LOOPBACK.split(","),
            "listen": "127.0.0.1:7401",
            "insecure": True,
            "log_tail_bytes": 1 << 20,
            "in_flight_entries": 1,
        }
    )
    assert options.peers == tuple(LOOPBACK.split(","))
    assert options.insecure
    assert (options.log_tail_bytes, options.in_flight_entries) == (1 << 20, 1)


def test_an_unknown_key_is_refused_with_the_one_that_was_meant() -> None:
    assert fault(toml={"lisen": "127.0.0.1:7400"}) == "unknown key 'lisen': did you mean 'listen'?"
    assert fault(toml={"xyzzy": 1}) == "unknown key 'xyzzy'"


@pytest.mark.parametrize("text", ["yes", "true", "no", ""])
def test_a_text_in_the_file_is_no_switch(text: str) -> None:
    """It guards the node: what somebody may have meant must not be guessed."""
    line = fault(toml={"insecure": text})
    assert line == f"insecure: {text!r} is neither true nor false: write one of them, without quotes"
    assert given(env={"ORCHESTRIX_INSECURE": "yes"}).insecure


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("listen", "nonsense", "expected HOST:PORT"),
        ("listen", "127.0.0.1:0", "within 1..65535"),
        ("listen", "127.0.0.1:65536", "within 1..65535"),
        ("listen", "127.0.0.1:7400x", "within 1..65535"),
        ("listen", ":7400", "expected HOST:PORT"),
        ("listen", "::1:7400", "[HOST]:PORT"),
        ("listen", "1.2.3:7400", "bad host"),
        ("listen", "a b:7400", "bad host"),
        ("node_dead", "30", "not a duration"),
        ("node_dead", 30, "expected DURATION"),
        ("node_dead", "0s", "longer than 0"),
        ("checkpoint_bytes", "32 megs", "not a size"),
        ("checkpoint_bytes", "1KiB", "at least 64KiB"),
        ("pending_commands", "-1", "whole number"),
        ("pending_commands", "0", "whole number"),
        ("pending_commands", True, "expected N"),
        ("node_id", "two words", "is no node id"),
        ("node_id", "", "is no node id"),
        ("node_id", "x" * 101, "is no node id"),
        ("insecure", "maybe", "neither true nor false"),
        ("data_dir", "", "it is empty: name one, or leave it out"),
        ("peers", "127.0.0.1:7400,0.0.0.0:7400", "wildcard"),
        ("peers", ",".join(f"h{n}:7400" for n in range(65)), "at most 64"),
        ("peers", " , ", "names no node"),
    ],
)
def test_a_bad_value_is_refused_where_it_was_written(name: str, value: Any, words: str) -> None:
    line = fault(**{name: value})
    assert line.startswith(BY_NAME[name].flag)
    assert words in line
    if isinstance(value, str) and value:
        assert fault(env={BY_NAME[name].env: value}).startswith(BY_NAME[name].env)


def test_a_config_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    with pytest.raises(OptionError, match=r"cannot read .*node\.toml: No such file"):
        read_config(file)
    file.write_text("listen = \n")
    with pytest.raises(OptionError, match="is not TOML"):
        read_config(file)
    file.write_text(f"peers = {'[' * 2_000}\n")
    with pytest.raises(OptionError, match=r"node\.toml is nested too deep"):
        read_config(file)
    file.write_text('data_dir = "a\\u0000b"\n')
    with pytest.raises(OptionError, match=r"^data_dir: 'a\\x00b' is no path"):
        resolve({}, {}, read_config(file))
    file.write_text('listen = "127.0.0.1:7500"\n')
    assert resolve({}, {}, read_config(file)).listen_address.port == 7500


# ---- which one is this node ------------------------------------------------------------------------------


def test_without_anything_it_is_a_cluster_of_one_on_loopback() -> None:
    options = given()
    assert str(options.listen_address) == str(options.advertised) == "127.0.0.1:7400"
    assert options.peers == ()
    assert options.data_dir == Path("orchestrix-data")


def test_the_peer_named_by_listen_is_this_node() -> None:
    options = given(peers=LOOPBACK, listen="127.0.0.1:7401")
    assert str(options.advertised) == str(options.listen_address) == "127.0.0.1:7401"


def test_the_one_local_address_among_the_peers_is_this_node() -> None:
    options = given(peers=THREE, insecure=True, local=here("10.0.0.2"))
    assert str(options.advertised) == str(options.listen_address) == "10.0.0.2:7400"


def test_several_local_peers_need_listen() -> None:
    assert "say it with --listen" in fault(peers=LOOPBACK)


def test_no_local_peer_needs_listen() -> None:
    assert "none of --peers" in fault(peers=THREE, insecure=True, local=here())


def test_behind_a_wildcard_the_local_peer_with_that_port_is_this_node() -> None:
    options = given(peers=THREE, listen="0.0.0.0:7400", insecure=True, local=here("10.0.0.3"))
    assert (str(options.listen_address), str(options.advertised)) == ("0.0.0.0:7400", "10.0.0.3:7400")
    assert "say it with --advertise" in fault(
        peers="n1:7400,n2:7400", listen="0.0.0.0:7400", insecure=True, local=here("n1", "n2")
    )
    assert "none of --peers" in fault(
        peers="n1:7400,n2:7400", listen="0.0.0.0:7401", insecure=True, local=here("n1")
    )


def test_advertise_names_this_node_wherever_it_listens() -> None:
    options = given(peers="n1:7400,n2:7400", listen="0.0.0.0:9000", advertise="N2:7400", insecure=True)
    assert (str(options.listen_address), str(options.advertised)) == ("0.0.0.0:9000", "n2:7400")


def test_a_name_among_the_peers_may_stand_for_the_address_that_is_listened_on() -> None:
    options = given(peers="n1:7400,n2:7400", listen="10.0.0.1:7400", insecure=True, local=here("n1"))
    assert str(options.advertised) == "n1:7400"


def test_peers_without_this_node_are_refused() -> None:
    assert "does not contain this node" in fault(peers=THREE, listen="10.0.0.9:7400", insecure=True)
    assert "does not contain this node" in fault(peers=THREE, advertise="10.0.0.9:7400", insecure=True)
    assert "does not contain this node" in fault(
        peers=THREE, listen="127.0.0.1:7400", insecure=True, local=here("10.0.0.1", "127.0.0.1")
    )


def test_two_nodes_with_one_address_are_refused() -> None:
    assert "two nodes with one address" in fault(peers="h1:7400,H1:7400,h2:7400")


def test_peers_are_one_list_however_written() -> None:
    one = given(peers=LOOPBACK, listen="127.0.0.1:7400")
    two = given(peers=" 127.0.0.1:7402, 127.0.0.1:7400,127.0.0.1:7401 ", listen="127.0.0.1:7400")
    assert one.peers == two.peers


def test_a_wildcard_needs_an_address_for_others() -> None:
    assert "--advertise" in fault(listen="0.0.0.0:7400", insecure=True)
    assert "--advertise" in fault(listen="[::]:7400", insecure=True)
    assert "wildcard" in fault(listen="0.0.0.0:7400", advertise="0.0.0.0:7400", insecure=True)
    assert str(given(listen="0.0.0.0:7400", advertise="n1:7400", insecure=True).advertised) == "n1:7400"


def test_join_and_peers_exclude_each_other() -> None:
    assert "exclude" in fault(join="10.0.0.1:7400", peers=LOOPBACK, listen="127.0.0.1:7400")
    assert str(given(join="127.0.0.1:7401").join) == "127.0.0.1:7401"


def test_a_node_that_joins_must_be_in_reach_of_the_others() -> None:
    assert "is this node itself" in fault(join="127.0.0.1:7400")
    assert "from which nobody reaches 127.0.0.1:7400" in fault(join="10.0.0.1:7400")
    there = given(join="10.0.0.1:7400", listen="10.0.0.2:7400", insecure=True)
    assert str(there.join) == "10.0.0.1:7400"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"peer_port_offset": "60000"}, "above 65535"),
        ({"peers": "h1:7400,h1:8400", "listen": "h1:7400", "insecure": True}, "choose other ports"),
        ({"peers": LOOPBACK, "listen": "127.0.0.1:7400", "peer_port_offset": "1"}, "choose other ports"),
    ],
)
def test_ports_that_collide_are_refused(flags: dict[str, Any], words: str) -> None:
    assert words in fault(**flags)


# ---- safety of access ------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["10.0.0.1:7400", "somewhere:7400"])
def test_an_address_others_reach_needs_tls_or_insecure(address: str) -> None:
    assert "--insecure" in fault(listen=address)
    assert "--insecure" in fault(dashboard=address)
    assert given(listen=address, insecure=True).insecure
    assert given(listen=address, tls_cert="c", tls_key="k", tls_ca="a").tls is not None


@pytest.mark.parametrize("address", ["127.0.0.1:7400", "127.8.8.8:7400", "localhost:7400", "[::1]:7400"])
def test_loopback_needs_nothing(address: str) -> None:
    assert given(listen=address).tls is None


@pytest.mark.parametrize("missing", ["tls_cert", "tls_key", "tls_ca"])
def test_half_given_tls_is_refused(missing: str) -> None:
    files: dict[str, Any] = {name: "x.pem" for name in ("tls_cert", "tls_key", "tls_ca") if name != missing}
    assert f"{BY_NAME[missing].flag} missing" in fault(**files)


def test_insecure_with_tls_is_refused() -> None:
    assert "contradict" in fault(tls_cert="c", tls_key="k", tls_ca="a", insecure=True)


# ---- numbers that must fit each other --------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.shorter}-{rule.longer}")
def test_times_that_contradict_each_other_are_refused_with_both_names(
    rule: tuple[str, int, str, str],
) -> None:
    shorter, factor, longer, _ = rule
    wide = _wide(shorter, longer)
    line = fault(**{shorter: f"{12_000 // factor}ms", longer: "12s", **wide})
    assert BY_NAME[shorter].flag in line
    assert BY_NAME[longer].flag in line
    given(**{shorter: f"{12_000 // factor - 1}ms", longer: "12s", **wide})


def _wide(*but: str) -> dict[str, Any]:
    """Everything else so that only the named ones can be at fault."""
    wide = {"raft_heartbeat": "1ms", "election_min": "4ms", "election_max": "40s", "step_down": "40s"}
    wide |= {"worker_heartbeat": "1ms", "worker_fence": "29s", "worker_silent": "40s"}
    wide |= {"node_heartbeat": "1ms", "node_suspect": "2ms", "node_dead": "100s"}
    return {name: value for name, value in wide.items() if name not in but}


def test_a_worker_fences_itself_before_its_jobs_run_elsewhere() -> None:
    assert "must be less than 30s" in fault(worker_fence="30s", worker_silent="60s")


# ---- addresses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("LocalHost:7400", "localhost:7400"),
        ("[::1]:7400", "[::1]:7400"),
        ("[0:0::0:1]:7400", "[::1]:7400"),
        ("a-b.example.com.:1", "a-b.example.com.:1"),
        (" 10.0.0.1:65535 ", "10.0.0.1:65535"),
    ],
)
def test_an_address_has_one_spelling(text: str, spelling: str) -> None:
    assert str(parse_address(text)) == spelling
    assert parse_address(spelling) == parse_address(text)


@pytest.mark.parametrize(
    "text", ["", "x", "x:", "[::1]", "[x]:1", "-a:1", "a..b:1", "a:²", "x" * 400 + ":1", "1.2.3.4.5:1"]
)
def test_what_is_no_address_is_refused_in_one_short_line(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(text)
    assert len(str(caught.value)) < 200


def test_is_local_asks_the_system() -> None:
    assert is_local("127.0.0.1")
    assert not is_local("192.0.2.1")  # reserved for documentation: nobody has it


def test_above_keeps_the_host() -> None:
    assert Address("h", 7400).above(1000) == Address("h", 8400)


# ---- what the data directory remembers -------------------------------------------------------------------


def founded(data_dir: Path, address: str) -> Path:
    """The directory of a node that was there."""
    disk = DataDirectory.open(data_dir)
    disk.set_node_id("n1")
    disk.set_cluster_id("c" * 32)
    disk.set_addresses({"n1": address, "n2": "10.0.0.2:7400"})
    disk.close()
    return data_dir


def test_a_node_is_where_its_data_directory_says(tmp_path: Path) -> None:
    options = given(data_dir=str(founded(tmp_path, "127.0.0.1:7402")))
    assert options.listen_address == options.advertised == Address("127.0.0.1", 7402)


def test_of_several_local_peers_it_is_the_one_that_its_data_directory_says(tmp_path: Path) -> None:
    options = given(data_dir=str(founded(tmp_path, "127.0.0.1:7402")), peers=LOOPBACK)
    assert options.advertised == Address("127.0.0.1", 7402)


def test_what_is_said_goes_over_what_is_remembered(tmp_path: Path) -> None:
    options = given(data_dir=str(founded(tmp_path, "127.0.0.1:7402")), listen="127.0.0.1:7409")
    assert options.listen_address == options.advertised == Address("127.0.0.1", 7409)


def test_behind_a_wildcard_a_node_is_called_as_before(tmp_path: Path) -> None:
    data_dir = str(founded(tmp_path, "10.0.0.1:7400"))
    options = given(data_dir=data_dir, listen="0.0.0.0:7400", insecure=True)
    assert options.listen_address == Address("0.0.0.0", 7400)
    assert options.advertised == Address("10.0.0.1", 7400)


@pytest.mark.parametrize("peers", [None, THREE])
def test_behind_a_wildcard_a_node_that_may_have_moved_is_warned(
    tmp_path: Path, peers: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Behind a translation of addresses it has not: so it starts, and is called as before."""
    data_dir = str(founded(tmp_path, "10.0.0.1:7400"))
    wildcard: dict[str, Any] = {
        "data_dir": data_dir,
        "peers": peers,
        "listen": "0.0.0.0:7400",
        "insecure": True,
    }
    assert given(local=here("10.0.0.3"), **wildcard).advertised == Address("10.0.0.1", 7400)
    assert caplog.messages == [
        f"others are told to find this node at 10.0.0.1:7400, where the node of --data-dir {data_dir} was, "
        "and which is no address of this machine: if it has moved, say with --advertise where it is now; if "
        "that address leads here, give --advertise 10.0.0.1:7400"
    ]
    caplog.clear()
    given(local=here("10.0.0.1"), **wildcard)
    for address in ("10.0.0.1:7400", "10.0.0.3:7400"):
        options = given(local=here("10.0.0.3"), advertise=address, **wildcard)
        assert str(options.advertised) == address
    assert not caplog.messages


@pytest.mark.parametrize("before", ["127.0.0.1:7400", "10.0.0.1:7401"])
def test_behind_a_wildcard_that_it_cannot_have_been_behind_a_node_has_to_say_where_it_is(
    tmp_path: Path, before: str
) -> None:
    """Only this machine reaches the first, and nobody listens at the port of the second."""
    data_dir = str(founded(tmp_path, before))
    assert fault(data_dir=data_dir, listen="0.0.0.0:7400", insecure=True) == (
        "--listen 0.0.0.0:7400 is a wildcard: say with --advertise which address others use"
    )
    found = given(
        data_dir=data_dir, peers=THREE, listen="0.0.0.0:7400", local=here("10.0.0.3"), insecure=True
    )
    assert found.advertised == Address("10.0.0.3", 7400)


def test_a_directory_that_came_from_another_machine_needs_an_address(tmp_path: Path) -> None:
    data_dir = str(founded(tmp_path, "10.0.0.1:7400"))
    assert fault(data_dir=data_dir) == (
        f"the node of --data-dir {data_dir} was at 10.0.0.1:7400, which is no address of this machine: "
        "say with --listen where it is now"
    )
    found = given(data_dir=data_dir, peers=THREE, local=here("10.0.0.3"), insecure=True)
    assert found.advertised == Address("10.0.0.3", 7400)


def test_a_directory_that_cannot_be_read_remembers_nothing(tmp_path: Path) -> None:
    founded(tmp_path, "127.0.0.1:7402")
    (tmp_path / "identity").write_text("{")
    assert given(data_dir=str(tmp_path)).advertised == Address("127.0.0.1", 7400)
