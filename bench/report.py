"""How measurements are shown and kept: with the machine, the versions and the load they were taken under."""

import os
import platform
import subprocess
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self

import msgspec

from bench.measure import Figure, Size

FOLDER: Final = Path(__file__).resolve().parent
RESULTS: Final = FOLDER / "results.json"
LIBRARIES: Final = ("pysyncobj", "lmdb", "grpcio", "protobuf", "msgspec", "msgpack", "uvloop")


class Machine(msgspec.Struct, frozen=True):
    """Where and when.  load: 1-minute average of the system before and after."""

    at: str
    commit: str
    cpu: str
    cores: int
    memory_gib: float
    system: str
    file_system: str
    python: str
    libraries: dict[str, str]
    load_before: float
    load_after: float = 0.0

    @classmethod
    def now(cls) -> Self:
        """This machine."""
        pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        return cls(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=_commit(),
            cpu=_cpu(),
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            memory_gib=round(pages * page / 2**30, 1),
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            file_system=_file_system(),
            python=f"{platform.python_implementation()} {platform.python_version()}",
            libraries={name: version(name) for name in LIBRARIES},
            load_before=round(os.getloadavg()[0], 2),
        )

    def with_load_at_end(self) -> Self:
        """The same, with the load of this moment."""
        return msgspec.structs.replace(self, load_after=round(os.getloadavg()[0], 2))


class Run(msgspec.Struct, frozen=True):
    """Everything that one call of `python -m bench` found, by question."""

    machine: Machine
    size: Size
    figures: dict[str, list[Figure]]


def text(figures: list[Figure]) -> str:
    """One line a figure, for a terminal."""
    return "\n".join(
        f"{one.name:<45} {_number(one.value):>10} {one.unit:<7} {_target(one):<22} {one.note}"
        for one in figures
    )


def write(run: Run) -> None:
    """bench/RESULTS.md and bench/results.json: what was measured now takes the place of what was known of
    the same questions; the rest stays, with the machine and the load of its own time."""
    known: list[Run] = []
    if RESULTS.exists():
        found = msgspec.json.decode(RESULTS.read_bytes(), type=list[Run] | Run)
        known = [found] if isinstance(found, Run) else found
    runs = [*filter(None, (_without(old, run.figures) for old in known)), run]
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(runs)) + b"\n")
    (FOLDER / "RESULTS.md").write_text(markdown(runs), encoding="utf-8")


def _without(run: Run, questions: Iterable[str]) -> Run | None:
    """What is left of a run; None: nothing."""
    left = {name: figures for name, figures in run.figures.items() if name not in questions}
    return msgspec.structs.replace(run, figures=left) if left else None


def markdown(runs: list[Run]) -> str:
    """The page."""
    lines = [
        "# Measured",
        "",
        "Written by `python -m bench --write`; [README.md](README.md) says what each number means. "
        "Everything (nodes, workers, client) ran on one machine.",
    ]
    for run in runs:
        lines += ["", _circumstances(run.machine)]
        for question, figures in run.figures.items():
            lines += [
                "",
                f"## {question}",
                "",
                "| what | measured | target | how |",
                "| --- | ---: | ---: | --- |",
            ]
            lines += map(_row, figures)
    return "\n".join(lines) + "\n"


def _row(one: Figure) -> str:
    return f"| {one.name} | {_number(one.value)} {one.unit} | {_target(one) or '-'} | {one.note or '-'} |"


def _circumstances(m: Machine) -> str:
    """Where and when, in a paragraph."""
    return (
        f"{m.at}, commit {m.commit}, {m.cores} cores of {m.cpu}, {m.memory_gib} GiB, {m.system}, "
        f"data on {m.file_system}, {m.python}. Load average {m.load_before} before, {m.load_after} after. "
        + ", ".join(f"{name} {number}" for name, number in m.libraries.items())
        + "."
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    sign = ">=" if figure.unit.endswith("/s") else "<="
    return f"{sign} {_number(figure.target)}{'' if figure.reached else ' (missed)'}"


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(info) if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _file_system() -> str:
    """Of the directory for temporary files, where the clusters keep their data."""
    where = Path(tempfile.gettempdir()).resolve()
    mounts = {Path(fields[1]): fields[2] for line in _lines(Path("/proc/mounts")) if (fields := line.split())}
    for path in (where, *where.parents):
        if path in mounts:
            return mounts[path]
    return "unknown"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
