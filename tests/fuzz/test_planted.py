"""The targets can find something: with a bug planted in the code under them, a sample of the corpus fails.

Those of frames and cron are like the ones with which the fuzzer found these bugs, that of the API was made by
hand: random changes of a sample found it, the fuzzer has not (docs/explanation/reliability.md).
"""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrix_raft.consensus.port import SafetyFault
from orchestrix_raft.coordinator.frames import FrameReader
from orchestrix_raft.domain.job import OnConflict, UniqueRule
from orchestrix_raft.timetable.fields import FieldReader
from orchestrix_raft.wire import jobs
from tests.fuzz.registry import BY_NAME

Plant = Callable[[pytest.MonkeyPatch], None]


def one_byte_too_many(patch: pytest.MonkeyPatch) -> None:
    """The cutter of frames lets a frame be one byte longer than its limit."""
    start = FrameReader._start
    patch.setattr(FrameReader, "_start", lambda reader, limit: start(reader, limit + 1))


def any_step(patch: pytest.MonkeyPatch) -> None:
    """A step in a cron field may be longer than the field."""
    patch.setattr(FieldReader, "_step", lambda reader, text, at: int(text))


def unknown_scope(patch: pytest.MonkeyPatch) -> None:
    """A choice that this version does not know is handed on."""

    def unchecked(message: Any) -> Any:
        return UniqueRule(jobs._SCOPES.get(message.scope), message.for_ms, OnConflict.REJECT)  # type: ignore[arg-type]

    patch.setattr(jobs, "_unique_rule", unchecked)


@pytest.mark.parametrize(
    ("name", "sample", "plant"),
    [
        ("frames", "one-byte-over-the-limit", one_byte_too_many),
        ("cron", "step-longer-than-its-field", any_step),
        ("api", "unknown-unique-scope", unknown_scope),
    ],
)
def test_a_planted_bug_is_found(
    name: str, sample: str, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = BY_NAME[name]
    data = target.samples()[f"{sample}.bin"]
    target.load()(data)
    plant(monkeypatch)
    with pytest.raises((AssertionError, SafetyFault)):  # the second: the log holds what no node can read
        target.load()(data)
