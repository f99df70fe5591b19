"""Other versions of the package for tests: a copy of this one, one machine level further on; and the oldest
one that this version works with, from the history of the repository."""

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import orchestrix_raft
from orchestrix_raft.version import MACHINE_LEVEL

NEXT_VERSION: Final = "99.0.0"
NEXT_LEVEL: Final = MACHINE_LEVEL + 1
OLDEST: Final = "c398d69"
"""The commit of that oldest version; docs/contributing.md says when another one takes its place."""
MIGRATED: Final = "made-by-the-migration"
MIGRATED_CONCURRENCY: Final = 7

_VERSION: Final = f'''"""Of the next version."""

from typing import Final

VERSION: Final = "{NEXT_VERSION}"
MACHINE_LEVEL: Final = {NEXT_LEVEL}
'''
_RULES: Final = f'''

def _migrate(state, cursor, limit):
    """Bring a queue into being, so that one can see from outside that this was done."""
    from orchestrix_raft.domain.queue import QueueOptions
    from orchestrix_raft.machine.events import QueueConfigured

    return (QueueConfigured("{MIGRATED}", QueueOptions(concurrency={MIGRATED_CONCURRENCY})),), None


from orchestrix_raft.machine.commands import ConfigureQueue

RULES = Rules(needs={{ConfigureQueue: {NEXT_LEVEL}}}, migrations={{{NEXT_LEVEL}: _migrate}})
"""Queues can be configured from the next level on, and its raise does so with one."""
'''


def next_version(folder: Path) -> Path:
    """A directory for PYTHONPATH with the package as its next version."""
    package = folder / "orchestrix_raft"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(orchestrix_raft.__file__).parent, package, ignore=ignored)
    (package / "version.py").write_text(_VERSION, encoding="utf-8")
    rules = package / "machine" / "rules.py"
    rules.write_text(rules.read_text(encoding="utf-8") + _RULES, encoding="utf-8")
    return folder


def oldest_version(folder: Path) -> Path | str:
    """A directory for PYTHONPATH with the package as it was at OLDEST; or why there is none, in one line."""
    folder.mkdir(parents=True)
    archive = folder.with_suffix(".tar")
    command = ["git", "archive", "--output", str(archive), OLDEST, "orchestrix_raft"]
    try:
        done = subprocess.run(command, cwd=this_version(), capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return f"{error.filename} is not installed"
    if done.returncode:
        return f"no history with {OLDEST} in it: {done.stderr.strip().splitlines()[0]}"
    with tarfile.open(archive) as found:
        found.extractall(folder, filter="data")
    return folder


def this_version() -> Path:
    """The same for the package under test."""
    return Path(orchestrix_raft.__file__).parent.parent


def environment(folder: Path) -> dict[str, str]:
    """For a process that is to run the package there, whatever its working directory holds."""
    return {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
