"""Log lines: one line each, nothing lost, readable by machines when asked."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from orchestrix_raft.telemetry import logs


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _written(form: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(form, level, stream)
    return stream


def test_a_text_record_is_one_line_with_its_facts() -> None:
    stream = _written("text")
    logging.getLogger("orchestrix_raft.coordinator.node").info(
        "became %s", "leader", extra={"term": 4, "why": "a b"}
    )
    line = stream.getvalue()
    assert line.endswith('Z INFO coordinator.node became leader term=4 why="a b"\n')
    assert line.count("\n") == 1


def test_a_newline_in_a_message_does_not_break_the_line() -> None:
    stream = _written("text")
    logging.getLogger("x").warning("one\ntwo", extra={"fact": "three\nfour"})
    assert stream.getvalue().count("\n") == 1


def test_a_json_record_is_one_document_with_its_facts() -> None:
    stream = _written("json")
    logging.getLogger("orchestrix_raft.api").warning("slow\ncall", extra={"took_ms": 12, "level": "mine"})
    document = json.loads(stream.getvalue())
    assert document["message"] == "slow\ncall"
    assert document["took_ms"] == 12
    assert document["origin"] == "api"
    assert document["level"] == "warning"  # a fact cannot replace what the record itself says


@pytest.mark.parametrize("form", logs.FORMATS)
def test_an_exception_is_kept_within_the_line(form: str) -> None:
    stream = _written(form)
    try:
        raise KeyError("k")
    except KeyError:
        logging.getLogger("x").exception("failed")
    assert "KeyError" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_records_below_the_level_are_left_out() -> None:
    stream = _written("text", "warning")
    logging.getLogger("x").info("chatter")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("form", "level"), [("xml", "info"), ("text", "loud")])
def test_an_unknown_name_is_refused_with_the_known_ones(form: str, level: str) -> None:
    with pytest.raises(ValueError, match="use one of"):
        logs.configure(form, level)
