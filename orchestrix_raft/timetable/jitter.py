"""How much later than its slot a run starts, so that schedules with one time do not start at one instant.

A function of schedule and slot alone: whoever computes it again, on another node or after a crash, gets the
same delay.
"""

from hashlib import blake2b


def jitter_ms(schedule_id: str, slot_ms: int, up_to_ms: int) -> int:
    """0 to `up_to_ms`, both included, evenly spread over slots and schedules."""
    text = f"{schedule_id}\0{slot_ms}".encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") % (up_to_ms + 1)
