"""The plan of a chaos run: a function of its seed, in which everything comes up."""

from tests.chaos.plan import KINDS, Shape, make_plan

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


def test_only_what_is_possible_is_planned() -> None:
    plan = make_plan(4, 100.0, SHAPE, ["kill-node", "one-way"])
    assert {step.kind for step in plan} == {"kill-node", "one-way"}
    names = {"leader", "follower", "n1", "n2", "n3"}
    assert {name for step in plan for name in step.who} <= names
    assert all(len(set(step.who)) == 2 for step in plan if step.kind == "one-way")
