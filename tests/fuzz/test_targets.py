"""Every target without its fuzzer: its whole corpus, and samples changed by hypothesis.

`make fuzz` looks for what is not known yet; this shows that what was found stays mended.
"""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.registry import CORPUS, TARGETS, Target

CHANGES_MAX = 6
EXAMPLES = {
    "journal": 25,
    "rows": 40,
    "local": 25,
    "backups": 25,
    "api": 25,
    "cron": 60,
    "config": 40,
    "arguments": 25,
}
"""Of those that take longer than a tenth of a millisecond."""
EXAMPLES_OTHERS = 80
SAMPLE_BYTES_MAX = 4_096

every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)


@pytest.fixture(autouse=True)
def hang() -> Iterator[None]:
    """An input that takes longer than a target may, fails."""

    def over(signum: int, frame: FrameType | None) -> None:
        raise AssertionError("an input takes too long")

    before = signal.signal(signal.SIGALRM, over)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def feed(target: Target, data: bytes) -> None:
    """One input, in the target's time."""
    signal.alarm(round(target.limit_s))
    target.load()(data)
    signal.alarm(0)


@every_target
def test_the_corpus_finds_nothing_any_more(target: Target) -> None:
    samples = target.samples()
    assert samples, "give it a valid sample at least"
    for name, data in samples.items():
        try:
            feed(target, data)
        except Exception as error:
            error.add_note(f"tests/fuzz/corpus/{target.name}/{name}")
            raise


@every_target
def test_made_up_examples_and_words_find_nothing(target: Target) -> None:
    for data in (b"", *target.examples(), *target.words()):
        feed(target, data)


@st.composite
def changed(draw: st.DrawFn, target: Target) -> bytes:
    """A sample with pieces put in, taken out or replaced."""
    bases = [b"", *target.samples().values(), *target.examples()]
    pieces = st.binary(max_size=8)
    if target.words():
        pieces |= st.sampled_from(target.words())
    data = draw(st.sampled_from(bases))
    for _ in range(draw(st.integers(0, CHANGES_MAX))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(pieces) + data[at + draw(st.integers(0, 4)) :]
    return data[: target.bytes_max]


@every_target
def test_changed_samples_find_nothing(target: Target) -> None:
    @settings(
        max_examples=EXAMPLES.get(target.name, EXAMPLES_OTHERS),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(data=changed(target))
    def hold(data: bytes) -> None:
        feed(target, data)

    hold()


def test_the_corpus_is_small_and_of_targets_that_exist() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {target.name for target in TARGETS}
    large = [path for path in CORPUS.rglob("*") if path.is_file() and path.stat().st_size > SAMPLE_BYTES_MAX]
    assert not large
