"""Arguments and results as JSON text: what JSON cannot write is refused, never changed."""

import dataclasses
import json
import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrix_raft.wire.payloads import json_text


@dataclasses.dataclass
class Reading:
    value: float


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_a_value_comes_back_as_it_was_or_is_refused(value: Any) -> None:
    try:
        text = json_text(value)
    except ValueError:
        with pytest.raises(ValueError):
            json.dumps(value, allow_nan=False)
    else:
        assert json.loads(text) == value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (math.nan, "nan at the top"),
        ({"a": None, "b": [1, math.inf], "c": math.nan}, r"inf at \['b'\]\[1\]"),
        ({"a": (Reading(1.0), Reading(-math.inf))}, r"-inf at \['a'\]\[1\]\['value'\]"),
    ],
)
def test_the_place_of_the_number_is_named(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        json_text(value)


def test_what_is_null_by_right_passes() -> None:
    value = {"a": None, "b": "null", "c": [datetime(2030, 1, 1, tzinfo=UTC)], "d": msgspec.Raw(b"null")}
    assert json_text(value) == b'{"a":null,"b":"null","c":["2030-01-01T00:00:00Z"],"d":null}'
