"""How tests read an event feed to its end."""

from orchestrix_raft.coordinator.event_reader import EventReader
from orchestrix_raft.coordinator.event_view import EventView
from orchestrix_raft.domain.errors import Rejected


def read_to_end(reader: EventReader) -> list[EventView]:
    """All that there is; no page may be refused."""
    found: list[EventView] = []
    while not reader.at_end:
        more = reader.slice()
        assert not isinstance(more, Rejected), more
        found += more
    return found
