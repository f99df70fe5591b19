"""What msgspec raises for bytes that are not what they should be.  Anyone may import it.

Beside its own errors msgspec lets two of Python's through: for a string that is no UTF-8, and for values
nested so deep that even skipping them ends the stack.  Whoever catches the first kind only lets whoever wrote
the bytes stop what reads them, so everybody catches this one name.
"""

from typing import Final

import msgspec

UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_WORDS_CHARS: Final = 300


def words_of(error: Exception) -> str:
    """What such an error says, as part of one line: it repeats what it read, which may be anything."""
    return "".join(char if char.isprintable() else "?" for char in str(error)[:_WORDS_CHARS])
