"""What happened in a run, as it happens: on the terminal, and in a file beside the logs."""

import time
from pathlib import Path


class Story:
    """Lines with the seconds since the beginning of the run in front of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begun_s = time.monotonic()
        self.problems: list[str] = []
        self.path.touch()

    def now_s(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.begun_s

    def tell(self, line: str) -> None:
        """One line."""
        text = f"{self.now_s():7.2f} s  {line}"
        print(text, flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    def trouble(self, line: str) -> None:
        """Something that must not be: the run has failed."""
        self.problems.append(line)
        self.tell(f"PROBLEM: {line}")
