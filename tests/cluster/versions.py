"""Another version of the package for tests: a copy of this one, one machine level further on."""

import shutil
from pathlib import Path
from typing import Final

import orchestrix_raft
from orchestrix_raft.version import MACHINE_LEVEL

NEXT_VERSION: Final = "99.0.0"
NEXT_LEVEL: Final = MACHINE_LEVEL + 1
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


def this_version() -> Path:
    """The same for the package under test."""
    return Path(orchestrix_raft.__file__).parent.parent


def environment(folder: Path) -> dict[str, str]:
    """For a process that is to run the package there, whatever its working directory holds."""
    return {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
