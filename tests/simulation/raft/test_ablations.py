"""Every rule is needed: with it taken out, a scripted schedule fails, and so do seeds where they can."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.simulation.raft.ablations import ABLATIONS, without
from tests.simulation.raft.mixes import MIXES
from tests.simulation.raft.simulator import Simulation

UNIT = Path(__file__).resolve().parents[2] / "unit" / "consensus"


def load(name: str) -> ModuleType:
    """The module with the scripted schedules (the folders of tests are no packages)."""
    specification = importlib.util.spec_from_file_location(name, UNIT / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


SCRIPTS: dict[str, Callable[[], None]] = {
    name: function
    for module in map(
        load, ("test_cures", "test_forgetting", "test_snapshots", "test_elections", "test_membership")
    )
    for name, function in vars(module).items()
    if name.startswith("test_")
}


DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "reliability.md"


def test_the_document_names_exactly_these_rules() -> None:
    section = DOCUMENT.read_text("utf-8").partition("## Every rule is needed")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")][2:]
    assert sorted(name.strip() for row in rows for name in row.split(",")) == sorted(ABLATIONS)


def fails(run: Callable[[], None]) -> bool:
    try:
        run()
    except Exception:  # whatever breaks shows that the rule was needed
        return True
    except pytest.fail.Exception:
        return True
    return False


@pytest.mark.parametrize(
    ("rule", "script"),
    [(rule, script) for rule, ablation in ABLATIONS.items() for script in ablation.scripts],
)
def test_without_the_rule_its_schedule_fails(rule: str, script: str) -> None:
    assert not fails(SCRIPTS[script]), "it fails with the rule in place"
    with without(rule):
        assert fails(SCRIPTS[script]), f"nothing notices that {rule} is gone"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("rule", "mix"), [(rule, mix) for rule, ablation in ABLATIONS.items() for mix in ablation.mixes]
)
def test_without_the_rule_seeds_fail(rule: str, mix: str) -> None:
    with without(rule):
        assert any(fails(Simulation(seed, MIXES[mix]).run) for seed in range(ABLATIONS[rule].seeds))
