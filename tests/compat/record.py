"""Records what this version writes, for all later ones to read:

    python tests/compat/record.py

Writes tests/compat/recordings/VERSION.  A recording of a release is never written again: the releases to come
are tested against what that release did.  One of a version that is not released yet (its name ends in .devN)
is replaced, which is to be done after every change of what the log, the state or the API holds.
"""

import json
import re
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RECORDINGS = ROOT / "tests" / "compat" / "recordings"
LOCK_FILES = frozenset({"LOCK", "lock.mdb"})


def main() -> int:
    """0: written."""
    from orchestrix_raft.version import MACHINE_LEVEL, VERSION
    from tests.compat.api import api
    from tests.compat.shapes import shapes

    target = RECORDINGS / VERSION
    if target.exists():
        if re.search(r"\.dev\d+$", VERSION) is None:
            print(
                f"{target} is the recording of a release and stays as it is: raise VERSION first",
                file=sys.stderr,
            )
            return 1
        shutil.rmtree(target)
    target.mkdir(parents=True)
    facts = {"version": VERSION, "machine_level": MACHINE_LEVEL, **tell(target / "node.tar.xz")}
    (target / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (target / "shapes.txt").write_text("\n".join(shapes()) + "\n", encoding="utf-8")
    (target / "api.txt").write_text("\n".join(api()) + "\n", encoding="utf-8")
    print(f"{target}: {facts['index']} entries")
    return 0


def tell(archive: Path) -> dict[str, object]:
    """The story, on a data directory that is packed into `archive`; what it came to."""
    from tests.compat.one_node import OneNode
    from tests.compat.story import Story

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "node"
        with OneNode(path) as node:
            story = Story(node)
            story.first()
            checkpoint = node.checkpoint()
            story.second()
            state = node.core.state
            facts: dict[str, object] = {
                "index": state.index,
                "checkpoint": checkpoint,
                "digest": state.digest.hex(),
                "disk_id": node.disk.identity.disk_id,
            }
        with tarfile.open(archive, "w:xz") as packed:
            for file in sorted(path.rglob("*")):
                if file.is_file() and file.name not in LOCK_FILES:
                    packed.add(file, file.relative_to(path).as_posix())
    return facts


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
