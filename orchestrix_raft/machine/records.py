"""What the machine reads from and writes to its tables while it applies one entry.

Writes of the running entry are seen at once and handed to the change log together at its end, so a
command sees what the one before it in the same entry did, whatever the node keeps behind the ports.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from orchestrix_raft.domain.audit import AuditRecord
from orchestrix_raft.domain.job import Attempt, Job
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.history import (
    ATTEMPTS,
    AUDIT,
    FINISHED,
    FINISHED_BY_TIME,
    PAYLOADS,
    REQUESTS,
    History,
    Row,
    overlaid,
)
from orchestrix_raft.machine.port import ChangeLog

_BYTE: Final = tuple(bytes((number,)) for number in range(256))
_ABSENT: Final = b"not written in this entry"  # compared by identity


class HistoryUnavailable(Exception):
    """This node's disk did not answer, or not with what was written.  Another node's may have: so the
    node must stop instead of turning this into a refusal."""


class Records:
    """The history with the running entry's writes on top."""

    __slots__ = ("_changes", "_fresh", "_history")

    def __init__(self, history: History, changes: ChangeLog) -> None:
        self._history = history
        self._changes = changes
        self._fresh: dict[str, dict[bytes, bytes | None]] = {
            table: {} for table in (FINISHED, FINISHED_BY_TIME, ATTEMPTS, PAYLOADS, REQUESTS, AUDIT)
        }

    def get(self, table: str, key: bytes) -> bytes | None:
        """The value as of now; HistoryUnavailable if the disk cannot say."""
        value = self._fresh[table].get(key, _ABSENT)
        if value is not _ABSENT:
            return value
        try:
            return self._history.get(table, key)
        except Exception as error:  # whatever the adapter raises concerns this node alone
            raise HistoryUnavailable(f"cannot read table {table}") from error

    def put(self, table: str, key: bytes, value: bytes | None) -> None:
        """Visible at once, stored at the end of the entry; None deletes."""
        self._fresh[table][key] = value

    def scan(self, table: str, start: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Up to `limit` rows with key >= start, in order, as of now.  Live jobs: as of the entry before."""
        fresh = self._fresh.get(table)
        if not fresh:
            return self._scan_below(table, start, limit)
        newer: Iterator[Row] = iter(sorted((key, value) for key, value in fresh.items() if key >= start))
        found: list[tuple[bytes, bytes]] = []
        for key, value in overlaid(newer, self._rows_below(table, start, limit)):
            if len(found) == limit:
                break
            if value is not None:
                found.append((key, value))
        return found

    def _rows_below(self, table: str, start: bytes, limit: int) -> Iterator[Row]:
        while rows := self._scan_below(table, start, limit):
            yield from rows
            start = rows[-1][0] + b"\0"

    def _scan_below(self, table: str, start: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        try:
            return self._history.scan(table, start, limit)
        except Exception as error:  # as in `get`
            raise HistoryUnavailable(f"cannot walk table {table}") from error

    def flush(self) -> ChangeLog:
        """Hand this entry's writes over; answers the change log for the caller's own."""
        put = self._changes.put
        for table, fresh in self._fresh.items():
            if fresh:
                for key, value in fresh.items():
                    put(table, key, value)
                fresh.clear()
        return self._changes

    def is_finished(self, job_id: bytes) -> bool:
        """Whether a job of this id has ended and is still kept, or its id is."""
        return self.get(FINISHED, job_id) is not None

    def finished_job(self, job_id: bytes) -> Job | None:
        """The record of an ended job that is kept."""
        value = self.get(FINISHED, job_id)
        if not value:
            return None
        try:
            return codec.decode_job(value)
        except Exception as error:  # a damaged record: this node's trouble, see HistoryUnavailable
            raise HistoryUnavailable("cannot decode a finished job") from error

    def attempt(self, job_id: bytes, attempt: int) -> Attempt | None:
        """The record of an ended attempt."""
        value = self.get(ATTEMPTS, attempt_key(job_id, attempt))
        if value is None:
            return None
        try:
            return codec.decode_attempt(value)
        except Exception as error:  # as above
            raise HistoryUnavailable("cannot decode an attempt") from error

    def audit_from(self, first: int, limit: int) -> list[tuple[int, AuditRecord]]:
        """Records of the audit trail from number `first` on, with their numbers."""
        rows = self.scan(AUDIT, audit_key(first), limit)
        try:
            return [(int.from_bytes(key, "big"), codec.decode_audit(value)) for key, value in rows]
        except Exception as error:  # as above
            raise HistoryUnavailable("cannot decode a record of the audit trail") from error

    def remembered(self, request_id: bytes) -> codec.Remembered | None:
        """The record of a client's request."""
        value = self.get(REQUESTS, request_id)
        if value is None:
            return None
        try:
            return codec.decode_remembered(value)
        except Exception as error:  # as above
            raise HistoryUnavailable("cannot decode a remembered request") from error


def audit_key(number: int) -> bytes:
    """Key in table AUDIT."""
    return number.to_bytes(8, "big")


def attempt_key(job_id: bytes, attempt: int) -> bytes:
    """Key in table ATTEMPTS: the attempts of a job lie together, in order."""
    return job_id + attempt.to_bytes(4, "big")


def finished_key(state: int, finished_ms: int, job_id: bytes) -> bytes:
    """Key in table FINISHED_BY_TIME: by state, then by time."""
    return _BYTE[state] + finished_ms.to_bytes(8, "big") + job_id


def known_key(known_until_ms: int, job_id: bytes) -> bytes:
    """Key in table FINISHED_BY_TIME of the id of a job that is gone."""
    return b"\0" + known_until_ms.to_bytes(8, "big") + job_id


def number_value(number: int) -> bytes:
    """A number >= 0 as a value, big endian; mostly small."""
    if number < 256:
        return _BYTE[number] if number else b""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def pair_key(first: str, second: str) -> bytes:
    """A short key for two texts of any length."""
    head = first.encode()
    text = len(head).to_bytes(4, "big") + head + second.encode()
    return hashlib.blake2b(text, digest_size=20).digest()
