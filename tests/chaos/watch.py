"""Follows the event feed through everything that happens, and compares what it was told with what each node
tells afterwards."""

import contextlib
import threading
from collections import Counter, defaultdict
from types import TracebackType
from typing import Final, Self

from orchestrix_raft.client.events import Event
from orchestrix_raft.client.sync import Client
from orchestrix_raft.wire.errors import OrchestrixError

PATIENCE_S: Final = 300.0  # longer than any time without a majority
BEGINNING: Final = "1-0"
LATEST: Final = 1 << 62  # later than any log index


class Watch:
    """A thread that follows from the first event on.  `error`: why it stopped before it was told to."""

    def __init__(self, servers: str) -> None:
        self.cursors: list[str] = []
        self.completions: Counter[str] = Counter()
        self.assigned: defaultdict[str, list[int]] = defaultdict(list)  # job -> tokens, in order
        self.ended: dict[int, str] = {}  # token -> how that assignment ended
        self.error = ""
        self._client = Client(servers, deadline=PATIENCE_S)
        self._closing = False
        self._thread = threading.Thread(target=self._follow, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._client.close()
        self._thread.join()

    def _follow(self) -> None:
        try:
            for event in self._client.events(follow=True, since=BEGINNING):
                self._note(event)
        except OrchestrixError as error:
            if not self._closing:
                self.error = f"{type(error).__name__}: {error}"
        except BaseException as error:  # told with the accounts of the run, which must not hang for it
            if not self._closing:
                self.error = repr(error)

    def _note(self, event: Event) -> None:
        match event.kind:
            case "job_assigned":
                self.assigned[event.job_id].append(event.details["token"])
            case "job_completed":
                self.completions[event.job_id] += 1
                self.ended[event.details["token"]] = "completed"
            case "attempt_ended":
                self.ended[event.details["token"]] = str(event.details["state"])
            case "job_released":
                self.ended[event.details["token"]] = "released"
            case _:
                pass
        self.cursors.append(event.cursor)

    @staticmethod
    def beginning(address: str) -> tuple[int, ...]:
        """Where the feed of the node there begins: after a snapshot it knows nothing from before."""
        with contextlib.closing(Client(address, deadline=30.0)) as client:
            for event in client.events():
                return tuple(int(part) for part in event.cursor.split("-"))
        return (LATEST,)

    def differences(self, node_id: str, address: str) -> str:
        """What the node there tells otherwise; empty: from its first event on, the same."""
        with contextlib.closing(Client(address, deadline=30.0)) as client:
            told = [event.cursor for event in client.events()]
        known = self.cursors[:]
        if not told:
            return f"{node_id} tells no events"
        if len(set(known)) < len(known):
            return f"{len(known) - len(set(known))} events were told twice"
        try:
            begin = known.index(told[0])
        except ValueError:
            return f"{node_id} begins with {told[0]}, which the watcher was never told"
        length = min(len(known) - begin, len(told))
        for mine, theirs in zip(known[begin : begin + length], told[:length], strict=True):
            if mine != theirs:
                return f"the watcher was told {mine} where {node_id} tells {theirs}"
        return ""
