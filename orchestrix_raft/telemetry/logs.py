"""One record, one line, as text for people or as JSON for machines.

`configure` is called once, by the program's entry point; everybody else uses `logging.getLogger(__name__)`
and hands over facts with `extra={...}`, which become `key=value` or JSON members.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

FORMATS: Final = ("text", "json")
LEVELS: Final = ("debug", "info", "warning", "error")

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_PACKAGE_PREFIX: Final = "orchestrix_raft."


def configure(form: str = "text", level: str = "info", stream: TextIO | None = None) -> None:
    """Send every record of `level` and above to `stream` (stderr) in `form`, in place of earlier handlers.

    ValueError with one line for the user if a name is unknown.
    """
    if form not in FORMATS:
        raise ValueError(f"unknown log format {form!r}: use one of {', '.join(FORMATS)}")
    if level not in LEVELS:
        raise ValueError(f"unknown log level {level!r}: use one of {', '.join(LEVELS)}")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLine() if form == "json" else TextLine())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


class TextLine(logging.Formatter):
    """`2026-03-01T12:00:00.250Z INFO coordinator.node became leader term=4`"""

    def format(self, record: logging.LogRecord) -> str:
        parts = [_time(record), record.levelname, _origin(record), record.getMessage()]
        parts += [f"{key}={_word(value)}" for key, value in _facts(record).items()]
        if record.exc_info:
            parts.append(f"error={json.dumps(self.formatException(record.exc_info))}")
        return " ".join(parts).replace("\n", "\\n")


class JsonLine(logging.Formatter):
    """`{"time": ..., "level": "info", "origin": "coordinator.node", "message": ..., "term": 4}`"""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "origin": _origin(record),
            "message": record.getMessage(),
        }
        document |= {key: value for key, value in _facts(record).items() if key not in document}
        if record.exc_info:
            document["error"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _origin(record: logging.LogRecord) -> str:
    return record.name.removeprefix(_PACKAGE_PREFIX)


def _facts(record: logging.LogRecord) -> dict[str, object]:
    """What the caller put into `extra`."""
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}


def _word(value: object) -> str:
    text = str(value)
    return text if text and not any(c in text for c in ' "=\n\r\t') else json.dumps(text, ensure_ascii=False)
