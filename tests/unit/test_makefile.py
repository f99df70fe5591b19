"""The Makefile's environment: one that somebody else made is neither changed nor removed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that decide about the environment, and a Python that notes how it was called."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\necho "$*" >> calls\n'
        '[ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin" && cp "$0" "$3/bin/python"\nexit 0\n'
    )
    python.chmod(0o755)
    return tmp_path


def make(checkout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["make", f"PYTHON={checkout}/python", *arguments]
    # `make test` may run this: its own make and options are not those of this one.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("target", ["demo", "lint", "clean"])
def test_an_environment_of_the_users_own_is_left_alone(checkout: Path, target: str) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv/pyvenv.cfg").write_text("theirs")
    done = make(checkout, target)
    assert done.returncode == 2
    assert "make did not make it" in done.stderr
    assert [path.name for path in (checkout / ".venv").iterdir()] == ["pyvenv.cfg"]
    assert not (checkout / "calls").exists()


def test_another_place_can_be_named(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    assert make(checkout, "demo", "VENV=.venv-make").returncode == 0
    assert (checkout / ".venv-make/ready").exists()


def test_what_make_made_is_made_anew_when_the_lock_changes(checkout: Path) -> None:
    done = make(checkout, "demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "installing into .venv what requirements.lock lists; a minute or two, once\n"
    (checkout / ".venv/left-over").touch()
    assert make(checkout, "demo").stdout == ""
    (checkout / ".venv/ready").unlink()  # as after an installation that was interrupted
    assert make(checkout, "demo").returncode == 0
    assert not (checkout / ".venv/left-over").exists()
    assert make(checkout, "clean").returncode == 0
    assert not (checkout / ".venv").exists()


def test_the_fuzzer_has_an_environment_of_its_own(checkout: Path) -> None:
    done = make(checkout, "fuzz", "MINUTES=2", "TARGET=cron")
    assert (done.returncode, done.stderr) == (0, "")
    calls = (checkout / "calls").read_text().splitlines()
    assert calls[-1] == "-m tests.fuzz --minutes 2 --target cron"
    assert sum("--group fuzz" in call for call in calls) == 1
    assert not (checkout / ".venv").exists()
    assert make(checkout, "fuzz").stdout == ""
    assert make(checkout, "clean").returncode == 0
    assert not (checkout / ".venv-fuzz").exists()


def test_a_python_without_the_fuzzer_is_told_in_one_line(checkout: Path) -> None:
    python = checkout / "python"
    refuse = 'case "$*" in *"--group fuzz"*) echo "ERROR: no wheel" >&2; exit 1;; esac\nexit 0\n'
    python.write_text(python.read_text().removesuffix("exit 0\n") + refuse)
    done = make(checkout, "fuzz")
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    why = f"atheris, the fuzzer, cannot be installed for {python}: name another, such as "
    assert told == [why + "make fuzz PYTHON=python3.11"]
    assert not (checkout / ".venv-fuzz/ready").exists()


@pytest.mark.parametrize(
    ("asked", "called"),
    [
        ((), "--seeds 200"),
        (("SEEDS=3", "MIX=power"), "--seeds 3 --mix power"),
        (("SEED=8",), "--seed 8"),
        (("SEED=8", "MIX=full"), "--seed 8 --mix full"),
    ],
)
def test_a_seed_or_a_mix_can_be_simulated(checkout: Path, asked: tuple[str, ...], called: str) -> None:
    assert make(checkout, "simulate", *asked).returncode == 0
    last = (checkout / "calls").read_text().splitlines()[-1]
    assert last.split() == f"-m orchestrix_raft.simulation {called}".split()
