"""Which server to ask next, and how long to wait before it.  Pure: chance is given.  For both SDKs."""

import random
from collections.abc import Callable, Iterable
from typing import Final

FIRST_DELAY_S: Final = 0.05
LONGEST_DELAY_S: Final = 1.0


class Servers:
    """Addresses in the order in which they are tried; the current one stays until it fails."""

    def __init__(self, given: Iterable[str], start: int = 0) -> None:
        self._known = list(dict.fromkeys(given))
        self._at = start % len(self._known)

    @property
    def current(self) -> str:
        """The server to ask."""
        return self._known[self._at]

    def __len__(self) -> int:
        return len(self._known)

    def failed(self, address: str) -> None:
        """Go on to the next one, unless somebody has gone on already."""
        if address == self.current:
            self._at = (self._at + 1) % len(self._known)

    def prefer(self, addresses: Iterable[str]) -> None:
        """A node named who should be asked now, best first."""
        wanted = [address for address in addresses if address]
        self.learn(wanted)
        if wanted:
            self._at = self._known.index(wanted[0])

    def learn(self, addresses: Iterable[str]) -> None:
        """Members of the cluster: tried after those that were given, which are never forgotten."""
        self._known.extend(a for a in dict.fromkeys(addresses) if a and a not in self._known)


class Backoff:
    """Delays of one call: none worth speaking of while there are untried servers, then growing, capped."""

    def __init__(self, servers: Servers, draw: Callable[[], float] = random.random) -> None:
        self._servers = servers
        self._draw = draw  # uniform in [0, 1)
        self._failures = 0

    def next_s(self) -> float:
        """Seconds to wait after another failure."""
        self._failures += 1
        rounds = self._failures - len(self._servers)
        if rounds < 0:
            return FIRST_DELAY_S * 0.2 * self._draw()
        delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(rounds, 16))
        return delay * (0.5 + 0.5 * self._draw())
