"""What files that grow beside the journal cost its syncs, by how much of them is synced at a time.

Two threads write a file each at full speed, as a copy for another node and a backup do, and sync it after
every so many MiB; meanwhile a third file gets 4 KiB and a sync, again and again, as the journal does.
Usage: python -m bench.syncs [SECONDS]; TMPDIR says on which disk.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

CHUNK = bytes(1 << 20)
FILE_BYTES = 256 << 20  # then the file is begun anew
MIBS = (8, 1)


def _grow(path: Path, sync_bytes: int, over: threading.Event, written: list[int]) -> None:
    with path.open("wb", buffering=0) as file:
        unsynced = 0
        while not over.is_set():
            file.write(CHUNK)
            written.append(len(CHUNK))
            unsynced += len(CHUNK)
            if unsynced >= sync_bytes:
                os.fsync(file.fileno())
                unsynced = 0
            if file.tell() >= FILE_BYTES:
                file.seek(0)
                file.truncate()


def measure(mib: int, seconds: float) -> str:
    """One line."""
    over, written, syncs_s = threading.Event(), list[int](), list[float]()
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name, str(number)) for number in range(2)]
        threads = [threading.Thread(target=_grow, args=(path, mib << 20, over, written)) for path in paths]
        for thread in threads:
            thread.start()
        until_s = time.monotonic() + seconds
        try:
            with Path(name, "journal").open("wb", buffering=0) as journal:
                while time.monotonic() < until_s or len(syncs_s) < 2:
                    journal.write(CHUNK[:4_096])
                    begin_s = time.perf_counter()
                    os.fdatasync(journal.fileno())
                    syncs_s.append(time.perf_counter() - begin_s)
        finally:
            over.set()
            for thread in threads:
                thread.join()
    longest_s = statistics.quantiles(syncs_s, n=100)[-1]
    return (
        f"every {mib} MiB: median {statistics.median(syncs_s) * 1e3:.2f} ms, 99 of 100 within"
        f" {longest_s * 1e3:.1f} ms, {sum(written) / seconds / 2**20:.0f} MiB/s beside them"
    )


def main() -> None:
    """Prints a line for each."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    for mib in MIBS:
        print(measure(mib, seconds))


if __name__ == "__main__":
    main()
