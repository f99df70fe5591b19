"""The configuration of a node: the TOML file and the environment, which scripts and people write.

They give options that fit each other, or `OptionError` with one line.
"""

import tempfile
from pathlib import Path
from typing import Final

from orchestrix_raft.coordinator.option_table import ENV_PREFIX, OPTIONS
from orchestrix_raft.coordinator.options import OptionError, read_config, resolve
from tests.fuzz.journal import ROOM

_NAMES: Final = tuple(option.name for option in OPTIONS)
_SEPARATOR: Final = b"\n--\n"

WORDS = (
    _SEPARATOR,
    *(name.encode() for name in _NAMES),
    b" = ",
    b'"',
    b"true",
    b"10s",
    b"64MiB",
    b"[::]:7400",
    b"127.0.0.1:7400",
    b"off",
    b"[",
    b"{",
    b"1979-05-27",
    b"\\u0000",
    b"0x7f",
    b"nan",
    b"'''",
)


def target(data: bytes) -> None:
    """The file, then lines NAME=VALUE of the environment, of which the prefix is left out."""
    text, _, rest = data.partition(_SEPARATOR)
    variables = [line.partition(b"=") for line in rest.split(b"\n")]
    env = {
        ENV_PREFIX + name.decode(errors="replace").upper(): value.decode(errors="surrogateescape")
        for name, _, value in variables
        if b"\0" not in name + value  # no environment can have that
    }
    with tempfile.TemporaryDirectory(dir=ROOM) as folder:
        file = Path(folder) / "node.toml"
        file.write_bytes(text)
        env.setdefault(f"{ENV_PREFIX}DATA_DIR", f"{folder}/data") if b"data_dir" not in text else None
        try:
            options = resolve({}, env, read_config(file), _is_local)
        except OptionError as error:
            _text(error)
            return
    options.core_limits()
    options.link_limits()
    assert options.election_min_s < options.election_max_s
    assert 1 <= options.listen_address.port <= 65_535
    assert str(options.advertised) in options.peers or not options.peers


def _text(error: OptionError) -> None:
    assert "\n" not in str(error), f"more than one line: {error}"


def _is_local(host: str) -> bool:
    """Without asking the resolver."""
    return host in ("127.0.0.1", "::1", "localhost", "here")


def examples() -> list[bytes]:
    """Files and environments as the how-to pages have them."""
    return [
        b'listen = "127.0.0.1:7400"\ndata_dir = "/nowhere/n1"\npeers = ["127.0.0.1:7400", "here:7401"]\n',
        b'node_id = "n1"\nworker_heartbeat = "5s"\nkeep_finished_jobs = 1000\ncheckpoint_bytes = "64MiB"\n',
        b"insecure = true\n" + _SEPARATOR + b"LISTEN=0.0.0.0:7400\nADVERTISE=here:7400",
        _SEPARATOR + b"ELECTION_MIN=2s\nELECTION_MAX=4s\nSTEP_DOWN=5s",
    ]
