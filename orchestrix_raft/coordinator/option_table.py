"""The options of a node as a table, and how one value is read.

Help, variable names, TOML keys and the reference page follow from `OPTIONS`; values that must fit each
other are the business of `options`, as is everything that concerns more than one of them.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final, NamedTuple

from orchestrix_raft.coordinator.addresses import Address, parse_address
from orchestrix_raft.coordinator.hello import MEMBERS_MAX
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.durations import parse_duration_ms, parse_size

ENV_PREFIX: Final = "ORCHESTRIX_"
OFF: Final = "off"


class OptionError(Exception):
    """Options that cannot be used; one line that names them and what to do."""


class Kind(Enum):
    """How a value is written; the value is its placeholder in the help."""

    ADDRESS = "HOST:PORT"
    ADDRESS_OR_OFF = "HOST:PORT|off"
    ADDRESSES = "A,B,C"
    NAME = "ID"
    WORD = "WORD"
    PATH = "PATH"
    SWITCH = ""
    COUNT = "N"
    DURATION = "DURATION"
    SIZE = "SIZE"


class Option(NamedTuple):
    """One thing to set.  `default` is written as a user would; `why` says what it does and why the default
    is what it is."""

    name: str  # the TOML key
    kind: Kind
    default: str | None
    why: str
    choices: tuple[str, ...] = ()  # the only words it may be

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def field(self) -> str:
        """Its place in `NodeOptions`: durations carry their unit."""
        return f"{self.name}_s" if self.kind is Kind.DURATION else self.name


def _duration(name: str, default: str, why: str) -> Option:
    return Option(name, Kind.DURATION, default, why)


def _count(name: str, default: int, why: str) -> Option:
    return Option(name, Kind.COUNT, str(default), why)


def _size(name: str, default: str, why: str) -> Option:
    return Option(name, Kind.SIZE, default, why)


OPTIONS: Final = (
    # ---- the place of the node ---------------------------------------------------------------------------
    Option(
        "listen",
        Kind.ADDRESS,
        None,
        "where the API is served; as in the data directory, else this node's entry in --peers, else "
        "127.0.0.1:7400",
    ),
    Option("advertise", Kind.ADDRESS, None, "the address others use; needed when --listen is a wildcard"),
    Option(
        "peers",
        Kind.ADDRESSES,
        None,
        "all nodes of a new cluster, this one included, the same list everywhere; none: a cluster of one",
    ),
    Option("join", Kind.ADDRESS, None, "a node of a running cluster that shall add this one"),
    Option(
        "node_id", Kind.NAME, None, "a name that stays; made up and kept in the data directory if not given"
    ),
    Option("data_dir", Kind.PATH, "./orchestrix-data", "everything the node must not lose; one node each"),
    _count("peer_port_offset", 1_000, "nodes talk to each other on API port + this; the same on all nodes"),
    Option("dashboard", Kind.ADDRESS_OR_OFF, OFF, "where the web pages are served"),
    Option("tls_cert", Kind.PATH, None, "PEM: certificate of the node, for the API and towards other nodes"),
    Option("tls_key", Kind.PATH, None, "PEM: its private key"),
    Option("tls_ca", Kind.PATH, None, "PEM: the authority that the certificates of other nodes must be of"),
    Option("insecure", Kind.SWITCH, None, "allow addresses that other machines reach without TLS"),
    # ---- consensus ---------------------------------------------------------------------------------------
    _duration("raft_heartbeat", "100ms", "from the leader to each node, when there is nothing else to send"),
    _duration("election_min", "500ms", "without a leader for a random time from here ..."),
    _duration("election_max", "1s", "... to here, a node stands for election"),
    _duration(
        "step_down", "1500ms", "a leader without answers of a majority for this long gives up its office"
    ),
    _count(
        "log_tail_entries", 10_000, "log kept behind a checkpoint, so that a node that was away needs no copy"
    ),
    _size("log_tail_bytes", "64MiB", "the same, in bytes; whichever is less"),
    _duration(
        "checkpoint_interval", "5s", "changed state goes to disk this often: bounds the time of a restart"
    ),
    _size("checkpoint_bytes", "32MiB", "or when this much has changed: bounds memory"),
    _duration("peer_silent", "3s", "a connection to another node that stays silent this long is replaced"),
    # ---- workers and nodes -------------------------------------------------------------------------------
    _duration(
        "worker_heartbeat", "10s", "workers say this often that they live; one message for all their jobs"
    ),
    _duration("worker_fence", "25s", "a worker stops its handlers when no heartbeat sent since was answered"),
    _duration("worker_silent", "30s", "a worker that says nothing for this long is taken for gone"),
    _duration("worker_observe", "500ms", "starts and progress of handlers are committed at most this often"),
    _duration(
        "minority_close", "5s", "cut off from the leader for this long, a node sends its workers elsewhere"
    ),
    _duration("node_heartbeat", "10s", "nodes tell the leader their clock and load this often"),
    _duration("node_suspect", "20s", "a node not heard for this long is suspect"),
    _duration("node_dead", "30s", "a node not heard for this long is dead: its workers go elsewhere"),
    _duration(
        "handoff_ack", "5s", "a worker that was told where to go has this long; it is told three times"
    ),
    _duration("drain_close", "30s", "a draining node closes the workers that are left after this long"),
    _duration("rebalance_after", "15s", "loads that differ by more than twice for this long are evened out"),
    # ---- keeping: the leader's values count, so give every node the same ---------------------------------
    _duration("keep_finished", "24h", "completed and cancelled jobs are kept this long after their end"),
    _count("keep_finished_jobs", limits.KEEP_FINISHED, "and at most so many; the oldest go first"),
    _duration("keep_dead", "30d", "dead letters are kept this long, for somebody to look at them"),
    _count("keep_dead_jobs", limits.KEEP_DEAD, "and at most so many; the oldest go first"),
    _duration("keep_audit", "30d", "who changed what by hand is known this long"),
    _count("keep_audit_records", limits.KEEP_AUDIT, "and at most so many changes; the oldest go first"),
    # ---- this node's own memory of what happened ---------------------------------------------------------
    _duration(
        "keep_events", "1h", "what happened is told this far back; readers that are slower are told so"
    ),
    _size("keep_events_bytes", "1GiB", "and at most so much of it; the oldest goes first"),
    # ---- requests ----------------------------------------------------------------------------------------
    _duration(
        "leader_wait", "5s", "a change waits this long for a leader, then it is refused: a hang helps nobody"
    ),
    _duration("outcome_wait", "15s", "a change that was sent waits this long, then its outcome is unknown"),
    _duration("read_wait", "5s", "a read that must be fresh waits this long for it"),
    _duration("stale_after", "2s", "without contact to a leader for this long, answers are marked as stale"),
    _count(
        "pending_commands",
        100_000,
        "changes waiting for the leader; more are refused, so that memory is bounded",
    ),
    _size("pending_bytes", "64MiB", "the same, in bytes"),
    _count(
        "in_flight_entries", 2, "log entries under way at once; what arrives meanwhile shares the next one"
    ),
)
"""Every option of a node, in the order of the help."""

BY_NAME: Final = {option.name: option for option in OPTIONS}


class Rule(NamedTuple):
    """`factor` x `shorter` must be less than `longer`."""

    shorter: str
    factor: int
    longer: str
    why: str


RULES: Final = (
    Rule("raft_heartbeat", 3, "election_min", "or a few late heartbeats would depose a healthy leader"),
    Rule("election_min", 1, "election_max", "or nodes would stand for election at the same moment"),
    Rule("election_min", 1, "step_down", "or a leader would give up before anybody could follow it"),
    Rule("worker_heartbeat", 2, "worker_fence", "or one lost heartbeat would stop a worker"),
    Rule("worker_heartbeat", 2, "worker_silent", "or one lost heartbeat would detach a worker"),
    Rule("node_heartbeat", 1, "node_suspect", "or every node would be suspect between two heartbeats"),
    Rule("node_suspect", 1, "node_dead", "a node is suspect before it is dead"),
)
"""Options that contradict each other."""


def reference(options: Iterable[Option] = OPTIONS) -> str:
    """The table as Markdown, for the reference page."""
    lines = ["| flag | variable | TOML key | default | what |", "| --- | --- | --- | --- | --- |"]
    for option in options:
        shown = " ".join(part for part in (option.flag, option.kind.value.replace("|", "\\|")) if part)
        default = f"`{option.default}`" if option.default is not None else ""
        lines.append(f"| `{shown}` | `{option.env}` | `{option.name}` | {default} | {option.why} |")
    return "\n".join(lines)


# ---- one value -------------------------------------------------------------------------------------------


def read_value(
    option: Option, flags: Mapping[str, object], env: Mapping[str, str], toml: Mapping[str, object]
) -> Any:
    """The first of flag, variable, TOML key and default that is given, understood; None if none is.

    OptionError names the one that cannot be meant.
    """
    for source, raw in (
        (option.flag, flags.get(option.name)),
        (option.env, env.get(option.env) or None),
        (option.name, toml.get(option.name)),
        (option.name, option.default),
    ):
        if raw is not None:
            try:
                if option.kind is Kind.SWITCH and source == option.name:
                    return _toml_switch(raw)
                value = _parse(option.kind, raw)
                if option.choices and value not in option.choices:
                    raise ValueError(f"{value[:40]!r} is none of {', '.join(option.choices)}")
                return value
            except ValueError as error:
                raise OptionError(f"{source}: {error}") from error
    return None


def _toml_switch(raw: object) -> bool:
    """TOML has words of its own for this: a text where one of them belongs is a mistake, whatever it says."""
    if not isinstance(raw, bool):
        raise ValueError(f"{raw!r} is neither true nor false: write one of them, without quotes")
    return raw


def _parse(kind: Kind, raw: object) -> Any:
    """`raw` as text, or as the TOML type that fits; ValueError otherwise."""
    if kind is Kind.SWITCH:
        return _parse_switch(raw)
    if kind is Kind.ADDRESSES and isinstance(raw, list):
        raw = ",".join(str(one) for one in raw)
    if kind in (Kind.COUNT, Kind.SIZE) and isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if isinstance(raw, Path):
        raw = str(raw)
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is not understood (expected {kind.value})")
    return _PARSERS[kind](raw.strip())


def _parse_switch(raw: object) -> bool:
    word = str(raw).strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{raw!r} is neither true nor false (1, true, yes, on; 0, false, no, off)")


def _parse_addresses(text: str) -> tuple[Address, ...]:
    peers = tuple(parse_address(one) for one in text.split(",") if one.strip())
    if not peers:  # a variable of a script that is not set must not found a cluster of one
        raise ValueError("names no node: list them all, or leave it out for a cluster of one")
    for peer in peers:
        if peers.count(peer) > 1:
            raise ValueError(f"{peer} is listed twice: two nodes with one address")
    if len(peers) > MEMBERS_MAX:
        raise ValueError(f"{len(peers)} nodes are listed, at most {MEMBERS_MAX} make a cluster")
    if any(peer.wildcard for peer in peers):
        raise ValueError("a wildcard is no address that others can use")
    return peers


def _parse_name(text: str) -> str:
    plain = text.replace("-", "").replace("_", "").replace(".", "")
    if not 0 < len(text) <= limits.NODE_ID_CHARS or not plain.isascii() or not plain.isalnum():
        raise ValueError(
            f"{text[:40]!r} is no node id: letters, digits, '.', '_' and '-', at most {limits.NODE_ID_CHARS}"
        )
    return text


def _parse_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) > 0):
        raise ValueError(f"{text[:40]!r} is not a whole number above 0")
    return int(text)


def _parse_seconds(text: str) -> float:
    duration_ms = parse_duration_ms(text)
    if duration_ms == 0:
        raise ValueError("must be longer than 0")
    return duration_ms / 1000


def _parse_bytes(text: str) -> int:
    size = parse_size(text)
    if size < 1 << 16:
        raise ValueError(f"{text} is too small: at least 64KiB")
    return size


def _parse_path(text: str) -> Path:
    if not text:
        raise ValueError("it is empty: name one, or leave it out")
    if "\0" in text:
        raise ValueError(f"{text[:40]!r} is no path: no name of a file has a null character in it")
    return Path(text)


_PARSERS: Final[Mapping[Kind, Callable[[str], Any]]] = {
    Kind.ADDRESS: parse_address,
    Kind.ADDRESS_OR_OFF: lambda text: OFF if text == OFF else parse_address(text),
    Kind.ADDRESSES: _parse_addresses,
    Kind.NAME: _parse_name,
    Kind.WORD: str,
    Kind.PATH: _parse_path,
    Kind.COUNT: _parse_count,
    Kind.DURATION: _parse_seconds,
    Kind.SIZE: _parse_bytes,
}
