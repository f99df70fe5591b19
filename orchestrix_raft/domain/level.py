"""The machine level of a cluster: which rules its nodes apply entries by."""

from typing import Final

FIRST_LEVEL: Final = 1
"""Every cluster begins with it, whatever its nodes could run."""

LEVEL_MAX: Final = 1_000_000
"""No version is that new: a node that says so is refused."""
