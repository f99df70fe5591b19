"""What a worker reports is brought within the limits; only what no SDK would send breaks the session."""

import pytest

from orchestrix_raft.api.errors import Refusal
from orchestrix_raft.api.incoming import accept
from orchestrix_raft.domain import limits
from orchestrix_raft.domain.report import Completed, Failed, Outcome, ProgressMark, Released, StartedMark
from orchestrix_raft.domain.session import Drain, HandlerLine, Observation, ReportMessage

ID = bytes(16)
YEAR_10000_MS = 253_402_300_800_000


def reported(outcome: Outcome) -> Outcome:
    (message,) = accept(ReportMessage((outcome,)))
    assert isinstance(message, ReportMessage)
    return message.outcomes[0]


def test_a_good_report_passes_as_it_is() -> None:
    outcome = Completed(ID, 1, b'{"a":[1,null]}', 5, 6)
    assert reported(outcome) is outcome


def test_an_empty_result_means_null() -> None:
    assert reported(Completed(ID, 1, b"", 5, 6)) == Completed(ID, 1, b"null", 5, 6)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (b"{", "not JSON"),
        (b"nulll", "not JSON"),
        (b'{"a":NaN}', "not JSON"),
        (b"Infinity", "not JSON"),
        (b"1e999", "not JSON"),
        (b'"\xff"', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'"' + b"x" * limits.PAYLOAD_BYTES + b'"', "at most 1048576"),
    ],
)
def test_a_result_that_cannot_be_kept_is_a_final_failure(result: bytes, words: str) -> None:
    outcome = reported(Completed(ID, 1, result, 5, 6))
    assert isinstance(outcome, Failed)
    assert outcome.final
    assert words in outcome.error
    assert (outcome.token, outcome.started_ms, outcome.finished_ms) == (1, 5, 6)


def test_texts_times_and_durations_are_cut_to_their_limits() -> None:
    outcome = reported(Failed(ID, 1, "e" * 20_000, 1 << 63, 1 << 63, retry_in_ms=1 << 60))
    assert isinstance(outcome, Failed)
    assert len(outcome.error) == limits.ERROR_CHARS
    assert max(outcome.started_ms, outcome.finished_ms) < YEAR_10000_MS
    assert outcome.retry_in_ms == limits.DURATION_MS
    assert reported(Failed(ID, 1, "", 1, 2)) == Failed(ID, 1, "", 1, 2)
    done = reported(Completed(ID, 1, b"1", 1 << 63, 1 << 63))
    assert isinstance(done, Completed)
    assert max(done.started_ms, done.finished_ms) < YEAR_10000_MS


def test_observations_are_cut_to_their_limits() -> None:
    seen = Observation(
        (StartedMark(ID, 1, 1 << 63),),
        (ProgressMark(ID, 1, 4_000_000_000, "m" * 2_000),),
        (HandlerLine(ID, 1, 1 << 63, "l" * 100, "m" * 20_000),),
    )
    (message,) = accept(seen)
    assert isinstance(message, Observation)
    assert message.started[0].started_ms < YEAR_10000_MS
    assert (message.progress[0].percent, len(message.progress[0].message)) == (100, limits.MESSAGE_CHARS)
    line = message.lines[0]
    assert (len(line.level), len(line.message)) == (20, limits.ERROR_CHARS)
    assert line.at_ms < YEAR_10000_MS


def test_a_long_report_becomes_several_commands() -> None:
    parts = accept(ReportMessage(tuple(Released(ID, token) for token in range(2_500))))
    assert [len(part.outcomes) for part in parts if isinstance(part, ReportMessage)] == [1_000, 1_000, 500]


@pytest.mark.parametrize(
    "message",
    [
        ReportMessage((Released(b"short", 1),)),
        ReportMessage((Completed(b"", 1, b"1", 1, 2),)),
        Observation((StartedMark(b"x" * 17, 1, 1),), (), ()),
        Observation((), (ProgressMark(b"", 1, 1, ""),), ()),
        Observation((), (), (HandlerLine(b"", 1, 1, "", ""),)),
    ],
)
def test_an_id_of_the_wrong_length_breaks_the_session(message: ReportMessage | Observation) -> None:
    with pytest.raises(Refusal, match="bytes"):
        accept(message)


def test_other_messages_pass() -> None:
    assert accept(Drain()) == [Drain()]
