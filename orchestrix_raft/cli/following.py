"""What is followed until Ctrl-C or its own end outlasts a time in which no node answers.

The SDK gives up after its deadline, so that a program hears of it; a person who follows wants to see what
happens when the cluster is back.  So here it is said once, on stderr, and asked again behind what was told.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from orchestrix_raft import CursorTooOld, OrchestrixError, Unavailable
from orchestrix_raft.cli import output
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.client.events import Event
from orchestrix_raft.client.model import LogLine

if TYPE_CHECKING:
    from orchestrix_raft import Client

_PLACE_SAID: Final = ("CURSOR_TOO_OLD", "CURSOR_AHEAD", "CURSOR_INVALID", "ANOTHER_CLUSTER")


class Silence:
    """Whether somebody answers; what is said of it."""

    def __init__(self) -> None:
        self._said = False

    def begins(self, error: Unavailable) -> None:
        """Nobody has answered: said once, until `over`."""
        if not self._said:
            output.trouble(f"{error}; this goes on when a node answers (Ctrl-C ends it)")
        self._said = True

    def over(self) -> None:
        """A node has answered."""
        self._said = False


def events(client: "Client", since: str | None, wanted: dict[str, Any]) -> Iterator[Event]:
    """What happens, without end."""
    silence = Silence()
    while True:
        try:
            for event in client.events(since=since, follow=True, **wanted):
                silence.over()
                since = event.cursor
                yield event
            return
        except Unavailable as error:
            if error.cursor and error.cursor != since:
                silence.over()
                since = error.cursor
            silence.begins(error)
        except OrchestrixError as error:
            place = error.cursor or since
            if isinstance(error, CursorTooOld) or error.reason in _PLACE_SAID or not place:
                raise
            raise Failure(f"{error}; --since {place} goes on behind what was told") from error


def lines(client: "Client", job_id: str) -> Iterator[LogLine]:
    """What the job's handlers log, until it has ended."""
    silence = Silence()
    last: LogLine | None = None
    while True:
        try:
            for one in client.logs(job_id, after=last, follow=True):
                silence.over()
                last = one
                yield one
            return
        except Unavailable as error:
            silence.begins(error)
