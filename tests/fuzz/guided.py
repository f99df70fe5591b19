"""One target under atheris: input that reaches new code is kept and changed further.

`python -m tests.fuzz.guided TARGET [options of libFuzzer]`; needs the dependency group `fuzz`, which nothing
else does.  Ends with 0 when its time is over, else with the input in a file and the stack on stderr.
"""

import hashlib
import importlib
import sys
from pathlib import Path
from typing import Final

import atheris  # type: ignore[import-untyped]  # only in the environment that `make fuzz` makes

from tests.fuzz.registry import BY_NAME

FOUND: Final = Path("build/fuzz")
WRITTEN: Final = "input written to "


def main(arguments: list[str]) -> None:
    """Never returns."""
    name, *options = arguments
    chosen = BY_NAME[name]
    for module in chosen.untraced:
        importlib.import_module(module)
    with atheris.instrument_imports(include=["orchestrix_raft"]):
        target = chosen.load()

    def told(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            # Here, too: libFuzzer does not write the file in every case.
            file = FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
            file.write_bytes(data)
            print(f"{WRITTEN}{file}", file=sys.stderr)
            raise

    atheris.Setup([f"fuzz-{name}", *options], told, enable_python_coverage=True)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
