"""What a request is called when nobody answers it: by what it is for, not by the name of its RPC."""

import re

import pytest

from orchestrix_raft.client.requests import SAID, unanswered
from orchestrix_raft.wire import services
from orchestrix_raft.wire.services import Method

METHODS = [
    method
    for service in (
        services.JOBS,
        services.WORKERS,
        services.CLUSTER,
        services.QUEUES,
        services.SCHEDULES,
    )
    for method in service.methods.values()
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_no_line_has_the_name_of_an_rpc(method: Method) -> None:
    words = unanswered(method, 6.0)
    assert words.startswith("no server answered the ")
    assert words.endswith(" within 6 s")
    assert not re.search("[A-Z]", words)


def test_there_are_no_words_for_what_cannot_be_asked() -> None:
    assert set(SAID) == {method.name for method in METHODS}
