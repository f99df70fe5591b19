"""Job ids: 16 bytes inside, the usual hyphenated text outside.

Ids are made by clients (UUIDv7, so that they sort by time); this module only reads and writes them.
"""

import re

from orchestrix_raft.domain import limits

_TEXT = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")


def parse_job_id(text: str) -> bytes:
    """`text` as 16 bytes; ValueError with one line for the user if it is not a UUID."""
    if not _TEXT.fullmatch(text):
        raise ValueError(f"not a UUID: {text[:60]!r} (expected 32 hexadecimal digits, 8-4-4-4-12)")
    return bytes.fromhex(text.replace("-", ""))


def format_job_id(job_id: bytes) -> str:
    """The canonical text of an id."""
    if len(job_id) != limits.JOB_ID_BYTES:
        raise ValueError(f"a job id has {limits.JOB_ID_BYTES} bytes, got {len(job_id)}")
    h = job_id.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
