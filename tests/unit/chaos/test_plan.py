"""The plan of a chaos run: a function of its seed, in which everything comes up."""

from tests.chaos.plan import CALM_S, KINDS, STORM_S, Shape, make_plan

SHAPE = Shape(nodes=3, workers=4, small_disk="n3")


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    assert make_plan(1, 120.0, SHAPE) == make_plan(1, 120.0, SHAPE)
    assert make_plan(1, 120.0, SHAPE) != make_plan(2, 120.0, SHAPE)


def test_every_kind_comes_up_before_any_is_through_twice() -> None:
    cards = sum(kind.weight for kind in KINDS.values())
    plan = make_plan(3, 600.0, SHAPE)
    assert {step.kind for step in plan[:cards]} == KINDS.keys()
    assert all(step.at_s < 600.0 for step in plan)
    assert [step.at_s for step in plan] == sorted(step.at_s for step in plan)


def test_between_storms_everything_is_well() -> None:
    plan = make_plan(5, 300.0, SHAPE, every_s=0.5)
    cycle_s = STORM_S + CALM_S
    assert all(step.at_s % cycle_s + step.lasts_s <= STORM_S + 0.02 for step in plan)
    assert {int(step.at_s // cycle_s) for step in plan} == {0, 1, 2, 3}


def test_only_what_is_possible_is_planned() -> None:
    plan = make_plan(4, 100.0, SHAPE, ["kill-node", "one-way"])
    assert {step.kind for step in plan} == {"kill-node", "one-way"}
    names = {"leader", "follower", "n1", "n2", "n3"}
    assert {name for step in plan for name in step.who} <= names
    assert all(len(set(step.who)) == 2 for step in plan if step.kind == "one-way")
