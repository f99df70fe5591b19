"""The one way in which the test kit waits: look at a condition until it holds, or say that it never did."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

POLL_S: Final = 0.02

Found = TypeVar("Found")


class TookTooLong(AssertionError):
    """A condition did not come true in time; an assertion of the test that waited."""


def eventually(
    look: Callable[[], Found], what: str, timeout_s: float = 20.0, poll_s: float = POLL_S
) -> Found:
    """The first truthy answer of `look`; TookTooLong, with the last answer, after `timeout_s`.

    what: the condition in words, for the message.
    """
    until = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > until:
            raise TookTooLong(f"not within {timeout_s:g} s: {what} (last seen: {found!r})")
        time.sleep(poll_s)
