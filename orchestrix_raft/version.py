"""The version of the package, and the machine level it runs, declared once.  The build reads them here;
anyone may import them."""

from typing import Final

VERSION: Final = "0.1.0.dev0"

MACHINE_LEVEL: Final = 2
"""The highest machine level this version can run.  Raised, with a line in `machine/rules.py`, by whatever
changes what the log or the state may hold or what applying an entry does: docs/contributing.md."""
