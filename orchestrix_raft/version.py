"""The version of the package, declared once.  The build reads it here; anyone may import it."""

from typing import Final

VERSION: Final = "0.1.0.dev0"
