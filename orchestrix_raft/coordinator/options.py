"""What an operator can set for one node, read from flags, environment and TOML, and checked as a whole.

What every node must have equal, because the state machine decides by it, is no option: it stands in
domain/limits.py.
"""

import difflib
import ipaddress
import logging
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from orchestrix_raft.coordinator.addresses import PORT_MAX, Address, is_local, parse_address, why_out_of_reach
from orchestrix_raft.coordinator.beats import BeatLimits
from orchestrix_raft.coordinator.feed import FeedKeep
from orchestrix_raft.coordinator.link import LinkLimits
from orchestrix_raft.coordinator.option_table import BY_NAME, OFF, OPTIONS, RULES, OptionError, read_value
from orchestrix_raft.coordinator.proposer import ProposerLimits
from orchestrix_raft.coordinator.pulse import HubLimits
from orchestrix_raft.coordinator.rebalance import RebalanceLimits
from orchestrix_raft.coordinator.settings import CoreLimits, DrainLimits, Keeping
from orchestrix_raft.coordinator.tls import TlsFiles
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.durations import format_duration
from orchestrix_raft.duties.health import VerdictAfter
from orchestrix_raft.duties.retention import Keep
from orchestrix_raft.storage.layout import read_identity

DEFAULT_LISTEN: Final = Address("127.0.0.1", 7400)

_log = logging.getLogger(__name__)

_PERHAPS_MOVED: Final = (
    "others are told to find this node at %s, where the node of --data-dir %s was, and which is no address "
    "of this machine: if it has moved, say with --advertise where it is now; if that address leads here, "
    "give --advertise %s"
)
"""No error: behind a translation of addresses it is as it should be."""


class NodeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of one node, checked.  Durations are seconds, sizes are bytes."""

    listen_address: Address
    advertised: Address  # what others call this node; its entry in `peers`
    peers: tuple[str, ...]  # sorted; empty: a cluster of one, or joining
    join: Address | None
    node_id: str  # "": take the one in the data directory, or make one up
    data_dir: Path
    peer_port_offset: int
    dashboard: Address | None
    tls: TlsFiles | None
    insecure: bool
    raft_heartbeat_s: float
    election_min_s: float
    election_max_s: float
    step_down_s: float
    log_tail_entries: int
    log_tail_bytes: int
    checkpoint_interval_s: float
    checkpoint_bytes: int
    peer_silent_s: float
    worker_heartbeat_s: float
    worker_fence_s: float
    worker_silent_s: float
    worker_observe_s: float
    minority_close_s: float
    node_heartbeat_s: float
    node_suspect_s: float
    node_dead_s: float
    handoff_ack_s: float
    drain_close_s: float
    rebalance_after_s: float
    keep_finished_s: float
    keep_finished_jobs: int
    keep_dead_s: float
    keep_dead_jobs: int
    keep_audit_s: float
    keep_audit_records: int
    keep_events_s: float
    keep_events_bytes: int
    leader_wait_s: float
    outcome_wait_s: float
    read_wait_s: float
    stale_after_s: float
    pending_commands: int
    pending_bytes: int
    in_flight_entries: int

    def core_limits(self) -> CoreLimits:
        """What the core is given."""
        return CoreLimits(
            proposer=ProposerLimits(
                pending_commands=self.pending_commands,
                pending_bytes=self.pending_bytes,
                wait_s=self.leader_wait_s,
                outcome_s=self.outcome_wait_s,
                in_flight=self.in_flight_entries,
            ),
            hub=HubLimits(
                heartbeat_s=self.worker_heartbeat_s,
                silent_s=self.worker_silent_s,
                fence_s=self.worker_fence_s,
                observe_s=self.worker_observe_s,
                contact_s=self.step_down_s,
                minority_s=self.minority_close_s,
            ),
            beats=BeatLimits(
                interval_s=self.node_heartbeat_s,
                verdict=VerdictAfter(
                    suspect_ms=round(self.node_suspect_s * 1000), dead_ms=round(self.node_dead_s * 1000)
                ),
            ),
            drain=DrainLimits(close_s=self.drain_close_s, ack_s=self.handoff_ack_s),
            rebalance=RebalanceLimits(lasts_s=self.rebalance_after_s),
            keeping=Keeping(
                Keep(
                    finished_ms=round(self.keep_finished_s * 1000),
                    finished=self.keep_finished_jobs,
                    dead_ms=round(self.keep_dead_s * 1000),
                    dead=self.keep_dead_jobs,
                    audit_ms=round(self.keep_audit_s * 1000),
                    audit=self.keep_audit_records,
                )
            ),
            feed=FeedKeep(self.keep_events_s, self.keep_events_bytes),
            checkpoint_s=self.checkpoint_interval_s,
            checkpoint_bytes=self.checkpoint_bytes,
            read_wait_s=self.read_wait_s,
            stale_s=self.stale_after_s,
        )

    def link_limits(self) -> LinkLimits:
        """What the peer link is given."""
        return LinkLimits(silent_s=self.peer_silent_s)


def resolve(
    flags: Mapping[str, object],
    env: Mapping[str, str],
    toml: Mapping[str, object],
    local: Callable[[str], bool] = is_local,
) -> NodeOptions:
    """Flags win over the environment, that over the file, that over what the data directory remembers, that
    over the defaults.

    flags, toml: by option name, None for what was not given.  local: whether a host is an address of this
    machine.  OptionError for anything that cannot be meant.
    """
    values = {option.name: read_value(option, flags, env, toml) for option in OPTIONS}
    unknown = [key for key in toml if key not in BY_NAME]
    if unknown:
        near = difflib.get_close_matches(unknown[0], BY_NAME, 1)
        raise OptionError(f"unknown key {unknown[0]!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    _check_rules(values)
    tls = _tls(values)
    listen, advertised = _place(values, _remembered_address(values["data_dir"]), local)
    _check_join(advertised, values["join"])
    _check_ports(listen, advertised, values)
    _check_reach(listen, values["dashboard"], tls, values["insecure"])
    known = {option.field: values[option.name] for option in OPTIONS}
    known |= {
        "listen_address": listen,
        "advertised": advertised,
        "peers": tuple(sorted(str(peer) for peer in values["peers"] or ())),
        "node_id": values["node_id"] or "",
        "tls": tls,
        "dashboard": None if values["dashboard"] == OFF else values["dashboard"],
        "insecure": bool(values["insecure"]),
    }
    return NodeOptions(**{name: known[name] for name in NodeOptions.__struct_fields__})


def read_config(path: Path) -> dict[str, object]:
    """The TOML file of --config; OptionError when it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} is not TOML: {error}") from error
    except RecursionError as error:  # the parser's own, of brackets inside brackets
        raise OptionError(f"{path} is nested too deep: no option needs a list in a list") from error


# ---- values that must fit each other ---------------------------------------------------------------------


def _check_rules(values: Mapping[str, Any]) -> None:
    for rule in RULES:
        shorter, longer = BY_NAME[rule.shorter], BY_NAME[rule.longer]
        if rule.factor * values[rule.shorter] < values[rule.longer]:
            continue
        times = f"{rule.factor} x " if rule.factor > 1 else ""
        raise OptionError(
            f"{times}{shorter.flag} ({_shown(values[rule.shorter])}) must be less than "
            f"{longer.flag} ({_shown(values[rule.longer])}), {rule.why}"
        )
    if values["worker_fence"] * 1000 >= limits.SESSION_DEADLINE_MS:
        raise OptionError(
            f"--worker-fence ({_shown(values['worker_fence'])}) must be less than "
            f"{format_duration(limits.SESSION_DEADLINE_MS)}, when the jobs of a lost worker run elsewhere"
        )


def _shown(seconds: float) -> str:
    return format_duration(round(seconds * 1000))


def _tls(values: Mapping[str, Any]) -> TlsFiles | None:
    files = {name: values[name] for name in ("tls_cert", "tls_key", "tls_ca")}
    missing = [BY_NAME[name].flag for name, path in files.items() if path is None]
    if len(missing) == len(files):
        return None
    if missing:
        raise OptionError(f"TLS needs --tls-cert, --tls-key and --tls-ca: {' and '.join(missing)} missing")
    if values["insecure"]:
        raise OptionError("--insecure and --tls-cert contradict each other: leave one out")
    return TlsFiles(files["tls_cert"], files["tls_key"], files["tls_ca"])


def _remembered_address(data_dir: Path) -> Address | None:
    """Where the node of that directory was in its cluster."""
    identity = read_identity(data_dir)
    if identity is None or not identity.cluster_id:
        return None
    address = identity.known_addresses.get(identity.node_id)
    return parse_address(address) if address else None


def _place(
    values: Mapping[str, Any], before: Address | None, local: Callable[[str], bool]
) -> tuple[Address, Address]:
    """(where to listen, what others call this node).  before: what they called it last."""
    listen, advertise, peers = values["listen"], values["advertise"], values["peers"]
    if advertise is not None and advertise.wildcard:
        raise OptionError(f"--advertise {advertise} is a wildcard: others need an address they can reach")
    if values["join"] is not None and peers:
        raise OptionError(
            "--join and --peers exclude each other: --peers founds a cluster, --join enters one"
        )
    if before is not None and advertise is None and (listen is None or listen.wildcard):
        if listen is not None:
            if before.port == listen.port and not before.loopback:  # else nobody would find it there
                if not local(before.host):
                    _log.warning(_PERHAPS_MOVED, before, values["data_dir"], before)
                return listen, before
        elif local(before.host):
            return before, before
        elif not peers:
            raise OptionError(
                f"the node of --data-dir {values['data_dir']} was at {before}, which is no address of this "
                "machine: say with --listen where it is now"
            )
    if peers:
        me = _find_in(peers, listen, advertise, local)
        return listen or me, me
    listen = listen or advertise or DEFAULT_LISTEN
    if listen.wildcard and advertise is None:
        raise OptionError(f"--listen {listen} is a wildcard: say with --advertise which address others use")
    return listen, advertise or listen


def _find_in(
    peers: tuple[Address, ...],
    listen: Address | None,
    advertise: Address | None,
    local: Callable[[str], bool],
) -> Address:
    """This node's entry in --peers."""
    listed = ",".join(str(peer) for peer in peers)
    for flag, given in (("--advertise", advertise), ("--listen", listen)):
        if given is not None and not given.wildcard:
            if given in peers:
                return given
            if flag == "--advertise":
                raise OptionError(f"--peers {listed} does not contain this node, {flag} {given}")
    here = [
        peer
        for peer in peers
        if (listen is None or (peer.port == listen.port and (listen.wildcard or _same_reach(peer, listen))))
        and local(peer.host)
    ]
    if len(here) == 1:
        return here[0]
    if listen is not None and not listen.wildcard:
        raise OptionError(f"--peers {listed} does not contain this node, --listen {listen}")
    say = "--advertise" if listen is not None else "--listen"
    if here:
        several = ",".join(str(peer) for peer in here)
        raise OptionError(
            f"which of {several} is this node? All are addresses of this machine: say it with {say}"
        )
    raise OptionError(
        f"none of --peers {listed} is an address of this machine: say with {say} which one it is"
    )


def _same_reach(peer: Address, listen: Address) -> bool:
    """A name in --peers may stand for the address given to --listen, unless one of them is loopback only or
    both are numbers."""
    return peer.loopback == listen.loopback and not (_numeric(peer.host) and _numeric(listen.host))


def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_join(advertised: Address, join: Address | None) -> None:
    if join == advertised:
        raise OptionError(f"--join {join} is this node itself: name a node of the cluster")
    if join is not None and why_out_of_reach(str(advertised), [str(join)]):
        raise OptionError(
            f"--join {join} is on another machine, from which nobody reaches {advertised}: say with --listen "
            "at which address this node is"
        )


def _check_ports(listen: Address, advertised: Address, values: Mapping[str, Any]) -> None:
    offset = values["peer_port_offset"]
    nodes: set[Address] = {listen, advertised, *(values["peers"] or ())}
    for node in sorted(nodes):
        if node.port + offset > PORT_MAX:
            raise OptionError(
                f"--peer-port-offset {offset} is too large: with it {node} would use a port above {PORT_MAX}"
            )
        if node.above(offset) in nodes:
            raise OptionError(
                f"{node.above(offset)} is the API of one node and, with --peer-port-offset {offset}, "
                f"the peer link of {node}: choose other ports or another offset"
            )


def _check_reach(listen: Address, dashboard: Any, tls: TlsFiles | None, insecure: bool | None) -> None:
    if tls is not None or insecure:
        return
    for flag, address in (("--listen", listen), ("--dashboard", dashboard)):
        if isinstance(address, Address) and not address.loopback:
            raise OptionError(
                f"{flag} {address} can be reached from other machines: protect it with --tls-cert, "
                "--tls-key and --tls-ca, or accept the risk with --insecure"
            )


__all__ = ["NodeOptions", "OptionError", "read_config", "resolve"]
