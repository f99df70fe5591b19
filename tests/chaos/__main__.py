"""`python -m tests.chaos --minutes 10`: real processes, everything that can go wrong at random, and exact
accounts at the end.

Exit codes: 0 clean, 1 something was found, 2 wrong usage, 130 interrupted.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
from typing import Final

from orchestrix_raft.testing import network
from tests.chaos.plan import KINDS
from tests.chaos.report import commit, record, text
from tests.chaos.run import Settings, carried_out

LEASH: Final = "--leash"
"""Given to the process that does the run: it ends when its standard input does."""


def main(arguments: list[str]) -> int:
    """The run happens in a child, in namespaces of its own if there are any: what it leaves when it is killed
    ends with it, and it ends in good order when this process is killed."""
    options = _parsed(arguments)
    hosts = options.network != "loopback"
    if hosts and (why := network.why_impossible()):
        if options.network == "hosts":
            print(f"no network namespaces: {why}", file=sys.stderr)
            return 2
        print(f"on loopback: {why}", flush=True)
        hosts = False
    if options.leash:
        return _inside(options, hosts)
    given = [*arguments, "--seed", str(options.seed), "--commit", options.commit or commit()]
    given += ["--network", "hosts" if hosts else "loopback", LEASH]
    command = [sys.executable, "-m", "tests.chaos", *given]
    signal.signal(signal.SIGTERM, lambda signum, frame: signal.raise_signal(signal.SIGINT))
    with subprocess.Popen(
        network.entered(command) if hosts else command, stdin=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdin is not None
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                child.stdin.close()  # the leash: it ends in good order


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long faults are inflicted")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--network", choices=("auto", "hosts", "loopback"), default="auto")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--scale", type=float, default=1.0, help="of the load; 1: some 120 jobs a second")
    parser.add_argument("--every", type=float, default=2.5, help="seconds between two faults, on the average")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of faults, separated by commas")
    parser.add_argument("--no-record", action="store_true", help="do not add the run to the list of runs")
    parser.add_argument("--commit", default="", help=argparse.SUPPRESS)
    parser.add_argument(LEASH, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    unknown = set(options.kinds.split(",")) - KINDS.keys()
    if unknown:
        parser.error(f"no such kind of fault: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    if options.minutes <= 0 or options.workers < 1 or options.scale <= 0 or options.every <= 0:
        parser.error("minutes, workers, scale and every must be above 0")
    return options


def _inside(options: argparse.Namespace, hosts: bool) -> int:
    stopping = threading.Event()

    def hold_the_leash() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        stopping.set()
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=hold_the_leash, daemon=True).start()
    settings = Settings(
        seed=options.seed,
        length_s=options.minutes * 60,
        hosts=hosts,
        workers=options.workers,
        scale=options.scale,
        kinds=tuple(options.kinds.split(",")),
        every_s=options.every,
        commit=options.commit,
    )
    with carried_out(settings, stopping) as (result, directory):
        print(text(result), flush=True)
        if not result.clean:
            print(f"logs and data: {directory}" if result.problems else "nothing is left", flush=True)
        if not options.no_record:
            record(result)
    return 130 if result.interrupted else 0 if result.clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
