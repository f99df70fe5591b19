"""Times and bounds of the engine, each with its unit and the reason for its default."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """Defaults suit machines of one region: a lost leader is replaced in about one second."""

    heartbeat_s: float = 0.1
    election_min_s: float = 0.5
    """A follower that heard a leader within this time protects it (refuses pre-votes and votes)."""
    election_max_s: float = 1.0
    step_down_s: float = 1.5
    """A leader without answers of a majority for this long gives up its office."""
    linger_s: float = 5.0
    """A removed member still gets the log for at most this long, so that it learns of its removal."""
    catch_up_lag: int = 64
    """Entries a staging learner may lag behind when it is made a voter."""

    entry_bytes_max: int = 8 * MIB + 65_536
    """One proposal; it travels whole in one message.  A node sets its own bound, `limits.ENTRY_BYTES`."""
    append_bytes: int = 1 * MIB
    """Entries gathered into one append (always at least one entry)."""
    append_entries: int = 1024
    in_flight_bytes: int = 16 * MIB
    """Sent to one peer and not yet acknowledged; at least two of the largest entries, or a slow disk
    would leave the link idle."""

    apply_entries: int = 1024
    """Applied in one tick, so that a long replay does not silence the node."""
    apply_bytes: int = 16 * MIB

    chunk_bytes: int = 262_144
    chunk_window: int = 4
    """Snapshot chunks under way to one peer."""
    snapshot_retry_s: float = 1.0
    """After a snapshot failed at the receiver, wait this long before the next one."""
    copy_retry_s: float = 5.0
    """After this node could not make or read the copy: making one is a walk over the whole state."""
    snapshot_stall_s: float = 5.0
    """Chunks without an answer for this long are sent again from the start."""

    tail_entries: int = 10_000
    """Kept behind a checkpoint for followers that were away; `tail_bytes` bounds it too."""
    tail_bytes: int = 64 * MIB
    pin_bytes: int = 512 * MIB
    """A snapshot under way keeps the log behind it, up to a log of this size."""

    def __post_init__(self) -> None:
        if not 0 < 3 * self.heartbeat_s < self.election_min_s < self.election_max_s:
            raise ValueError("election_min_s must be more than three heartbeats and less than election_max_s")
        if self.step_down_s < self.election_min_s:
            raise ValueError("step_down_s must not be shorter than election_min_s")
        if min(self.append_bytes, self.in_flight_bytes, self.chunk_bytes, self.chunk_window) < 1:
            raise ValueError("sizes must be positive")
        if min(self.append_entries, self.apply_entries, self.apply_bytes) < 1:
            raise ValueError("at least one entry must fit")
