"""When the leader raises the machine level, and that it waits for every member."""

from types import MappingProxyType

import pytest

from orchestrix_raft.domain.level import FIRST_LEVEL
from orchestrix_raft.domain.node import Health
from orchestrix_raft.duties.upgrade import outstanding, too_old, upgrade_steps
from orchestrix_raft.machine import codec
from orchestrix_raft.machine.commands import MigrateRecords, NodeHealthChanged, NodeStarted, RaiseLevel
from orchestrix_raft.machine.rules import Rules
from tests.scenarios.driver import Driver, key

SECOND = FIRST_LEVEL + 1
RULES = Rules(SECOND, "2.0")
ALL = frozenset({"n0", "n1", "n2"})


def cluster(*levels: int, rules: Rules = RULES) -> Driver:
    """n0, n1, ... with the levels they can run."""
    made = Driver(rules)
    for number, level in enumerate(levels):
        announce(made, f"n{number}", level)
    return made


def announce(made: Driver, node_id: str, level: int) -> None:
    made.apply(codec.unnumbered(NodeStarted(node_id, key(f"{node_id}{made.index}"), "a:1", "v", level)))


def test_the_level_is_raised_when_every_member_can_run_it() -> None:
    made = cluster(SECOND, SECOND, SECOND)
    named = tuple((node_id, made.machine.state.nodes[node_id].incarnation) for node_id in sorted(ALL))
    (command,) = upgrade_steps(made.machine.state, ["n2", "n0", "n1"])
    assert command == RaiseLevel(SECOND, "2.0", named)
    assert made.do(command) is None
    assert upgrade_steps(made.machine.state, ALL) == []


@pytest.mark.parametrize("levels", [(SECOND, SECOND, FIRST_LEVEL), (SECOND, SECOND)], ids=["old", "unheard"])
def test_it_waits_for_a_member_that_is_old_or_has_not_said_anything(levels: tuple[int, ...]) -> None:
    made = cluster(*levels)
    assert upgrade_steps(made.machine.state, ALL) == []
    assert too_old(made.machine.state, ALL, SECOND) == ["n2"]
    announce(made, "n2", SECOND)
    assert len(upgrade_steps(made.machine.state, ALL)) == 1


def test_it_waits_for_a_member_that_does_not_run() -> None:
    made = cluster(SECOND, SECOND, SECOND)
    made.do(NodeHealthChanged("n2", made.machine.state.nodes["n2"].incarnation, Health.DEAD))
    assert upgrade_steps(made.machine.state, ALL) == []
    assert len(upgrade_steps(made.machine.state, ALL - {"n2"})) == 1, "unless it is no member any more"


def test_it_waits_for_whoever_lives_and_is_old_even_if_no_member_any_more() -> None:
    made = cluster(SECOND, SECOND, FIRST_LEVEL)
    assert upgrade_steps(made.machine.state, ALL - {"n2"}) == []


def test_a_leader_that_cannot_run_more_proposes_nothing() -> None:
    made = cluster(SECOND, SECOND, SECOND, rules=Rules(FIRST_LEVEL, "1.0"))
    assert upgrade_steps(made.machine.state, ALL) == []


def test_levels_are_raised_one_at_a_time_and_each_migration_is_finished_first() -> None:
    steps = iter((b"x", b"y", None))
    rules = Rules(
        SECOND + 1,
        "3.0",
        migrations=MappingProxyType({SECOND: lambda state, cursor, limit: ((), next(steps))}),
    )
    made = cluster(SECOND + 1, rules=rules)
    alone = frozenset({"n0"})
    done = []
    while commands := upgrade_steps(made.machine.state, alone):
        (command,) = commands
        done.append(command)
        assert made.do(command) is None
    incarnation = made.machine.state.nodes["n0"].incarnation
    assert done == [
        RaiseLevel(SECOND, "3.0", (("n0", incarnation),)),
        MigrateRecords(SECOND, b"x"),
        MigrateRecords(SECOND, b"y"),
        RaiseLevel(SECOND + 1, "3.0", (("n0", incarnation),)),
    ]


def test_a_migration_to_the_highest_level_is_outstanding_until_its_last_step() -> None:
    steps = iter((b"x", None))
    migrations = MappingProxyType({SECOND: lambda state, cursor, limit: ((), next(steps))})
    made = cluster(SECOND, rules=Rules(SECOND, "2.0", migrations=migrations))
    known = []
    while outstanding(made.machine.state):
        known.append(made.machine.state.migration)
        (command,) = upgrade_steps(made.machine.state, ["n0"])
        made.do(command)
    assert known == [None, b"x"]
    assert made.machine.state.level == SECOND
