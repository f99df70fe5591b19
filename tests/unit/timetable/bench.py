"""What one next slot costs, and ten thousand of them: `python -m tests.unit.timetable.bench`."""

import time

from orchestrix_raft.timetable.evaluator import cron_evaluator

BEGIN_MS = 1_774_656_000_000  # 2026-03-28T00:00Z
TURNS = 5_000
EXPRESSIONS = (
    ("30 2 * * *", "Europe/Berlin"),
    ("*/5 * * * *", "UTC"),
    ("* * * * * *", "America/New_York"),
    ("0 9 * * MON-FRI", "Asia/Kathmandu"),
    ("0 0 13 * FRI", "Europe/Berlin"),
    ("0 0 LW * *", "Europe/Berlin"),
    ("0 0 1 1 *", "Europe/Berlin"),
    ("0 0 29 2 *", "Europe/Berlin"),
)


def main() -> None:
    for expression, zone in EXPRESSIONS:
        evaluator = cron_evaluator(expression, zone, seed="")
        for measure in ("first", "again"):
            slot: int | None = BEGIN_MS
            begin = time.process_time()
            for _ in range(20 if measure == "first" else TURNS):
                following = evaluator.next_after(BEGIN_MS if slot is None else slot)
                slot = following if following is not None and following < BEGIN_MS + 10**12 else None
            spent = (time.process_time() - begin) / (20 if measure == "first" else TURNS)
            print(f"{expression:<18}{zone:<20}{measure:<6}{spent * 1e6:10.1f} us")
    begin = time.process_time()
    many = [cron_evaluator("H H * * *", "Europe/Berlin", seed=f"schedule {i}") for i in range(10_000)]
    made = time.process_time() - begin
    begin = time.process_time()
    for evaluator in many:
        evaluator.next_after(BEGIN_MS)
    found = time.process_time() - begin
    print(f"10,000 schedules: parsed in {made:.2f} s, next slots of all in {found:.3f} s")


if __name__ == "__main__":
    main()
