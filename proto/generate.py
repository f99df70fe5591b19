"""Generates orchestrix_raft/wire/v1 from the .proto files beside this script.

    python proto/generate.py            writes the modules
    python proto/generate.py --check    exits 1 and names the files that differ from what is committed

The output depends on the .proto files and on the version of grpcio-tools alone, so it is committed and
compared.  Service stubs are not generated: `orchestrix_raft/wire/services.py` reads the services from
the descriptors.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]

PROTO = Path(__file__).resolve().parent
TARGET = PROTO.parent / "orchestrix_raft" / "wire" / "v1"
INIT = '"""Generated from proto/orchestrix/v1 by proto/generate.py; imported by the wire package only."""\n'


def generate() -> dict[str, str]:
    """File name -> text of every generated module."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("orchestrix/v1/*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["protoc", f"-I{PROTO}", f"--python_out={folder}", f"--pyi_out={folder}", *sources]
        if protoc.main(arguments) != 0:
            raise SystemExit("protoc failed; its message is above")
        made = {path.name: _rewritten(path.read_text()) for path in Path(folder).rglob("*_pb2.py*")}
    return {"__init__.py": INIT, **made}


def _rewritten(text: str) -> str:
    """protoc knows only the proto package, and its stubs leave the type of a mapping's items open."""
    text = re.sub(
        r"^from orchestrix\.v1 import", "from orchestrix_raft.wire.v1 import", text, flags=re.MULTILINE
    )
    return text.replace(", _Mapping]", ", _Mapping[str, object]]")


def main() -> int:
    """Write or compare; the exit code."""
    parser = argparse.ArgumentParser(description="Generate the protobuf modules of orchestrix_raft.wire.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the committed files differ"
    )
    check = parser.parse_args().check
    wanted = generate()
    present = {p.name: p.read_text() for p in TARGET.glob("*.py*")} if TARGET.is_dir() else {}
    differing = sorted(
        name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name)
    )
    if check:
        for name in differing:
            print(f"{TARGET / name} is out of date: run `make proto`", file=sys.stderr)
        return 1 if differing else 0
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in differing:
        if name in wanted:
            (TARGET / name).write_text(wanted[name])
        else:
            (TARGET / name).unlink()
    print(f"{len(wanted)} modules in {TARGET}, {len(differing)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
