"""The bounds that several parts of the system must agree on, each declared once, with its unit and reason.

What a client may ask for, what a log entry holds and what the replicated state keeps is bounded here, the
same on every node.  What bounds one part of one process alone (a queue, a pause, a page) stands beside it.
What an operator may change is read through `coordinator/options.py`; these are defaults and hard walls.
"""

from typing import Final

JOB_ID_BYTES: Final = 16  # a UUID
TYPE_CHARS: Final = 200  # names are keys and labels of metrics: keep them short
QUEUE_CHARS: Final = 100
KEY_CHARS: Final = 256  # unique keys, correlation ids
LABELS: Final = 16  # labels of a job or a worker
LABEL_CHARS: Final = 100
QUEUES_OF_A_WORKER: Final = 64  # each queue adds a lane to look at when a slot becomes free
CAPACITY: Final = 10_000  # slots of one worker
PAYLOAD_BYTES: Final = 1 << 20  # arguments or result of one job
INLINE_PAYLOAD_BYTES: Final = 4 << 10  # larger arguments of live jobs stay on disk, not in memory
BATCH_JOBS: Final = 1_000  # jobs of one enqueue command: bounds what one entry makes every node do at once
BATCH_BYTES: Final = 4 << 20  # bytes of one enqueue command
REQUEST_BYTES: Final = BATCH_BYTES + (1 << 20)  # one message: more, so that the API can say what is wrong
COMMAND_BYTES: Final = REQUEST_BYTES + (256 << 10)  # one command: a message, each item 100 bytes longer
FOLLOWERS_BYTES: Final = 5 << 19  # batches of followers in one entry, unless it holds a single larger one
FRAMING_BYTES: Final = 4 << 10  # what is around the commands of an entry: ids, clocks, lengths
ENTRY_BYTES: Final = COMMAND_BYTES + FOLLOWERS_BYTES + FRAMING_BYTES  # one log entry, whatever it carries
ENTRY_COMMANDS: Final = 20_000
TIMERS_PER_ENTRY: Final = 1_000  # due work one entry may do before its commands
PRIORITY_MAX: Final = 1_000_000
LIVE_JOBS: Final = 1_000_000  # beyond it enqueueing is refused with a hint
RETRIES_MAX: Final = 1_000
MULTIPLIER_PERMILLE_MAX: Final = 100_000  # back-off grows at most a hundredfold per failure
WALL_MS_MAX: Final = 253_402_300_800_000  # the year 10000: a later run_at is a mistake of unit
DURATION_MS: Final = 366 * 24 * 3_600_000  # no timeout, delay or back-off is longer than a year
ERROR_CHARS: Final = 16_000  # message and traceback of a failed attempt, cut at the end
MESSAGE_CHARS: Final = 1_000  # progress messages, reasons
LINE_NUMBER_MAX: Final = (1 << 63) - 1  # of a log line within its assignment
TOKEN_MAX: Final = (1 << 63) - 1  # generation x 2^40 + n
ATTEMPTS_KEPT: Final = 100  # history of one job; the oldest go first
LOSSES_MAX: Final = 5  # assignments lost with their worker before a job counts as poison
REQUESTS_KEPT: Final = 100_000  # remembered results of client requests
REQUEST_TTL_MS: Final = 600_000
REQUEST_ID_BYTES: Final = 64
SESSIONS: Final = 10_000
SESSION_ID_BYTES: Final = 16
NODES: Final = 1_000  # ids of coordinator processes ever seen; each is one small record
NODE_ID_CHARS: Final = 100
BOOT_ID_BYTES: Final = 16
BOOT_START_BYTES: Final = 12  # of them: the same for all incarnations of one process
ADDRESS_CHARS: Final = 300
VERSION_CHARS: Final = 100
EMPTY_LANES: Final = 1_024  # lanes kept while empty: saves matching them again with the pools
HANDOFFS_AT_ONCE: Final = 500  # sessions one command asks to move: some 3 ms of every node's loop
SESSION_DEADLINE_MS: Final = 30_000  # a detached session is resumed within this time or its jobs are lost
FORCED_END_MS: Final = 10_000  # from the soft cancel to the end of the attempt
PAGE: Final = 1_000  # items of one listing
QUEUES_CONFIGURED: Final = 10_000  # queues with a pause or a limit of their own; the others need no record
RATE_STAMPS: Final = 1_000  # a rate limit up to this many remembers each dispatch, above it sub-windows
RATE_SUBWINDOWS: Final = 64  # of a window with more: a dispatch counts at most 1/64 of the window too long
RATE_COUNT_MAX: Final = 1_000_000_000
RATE_WINDOW_MS: Final = 31 * 24 * 3_600_000  # the quotas of other people's APIs end with the month
CONCURRENCY_MAX: Final = 1_000_000
KEY_WINDOWS: Final = 1_000_000  # keys whose rate is being counted; beyond it their jobs are refused
KEYS_AT_ONCE: Final = 500  # keys of a queue that begin to follow changed limits in one entry: a few ms
KEYS_PAUSE_MS: Final = 5  # until the next ones do
FORGET_GRAIN_MS: Final = 1_000  # keys whose window is empty are forgotten once a second
UNIQUE_FOR_MS: Final = 3_600_000  # how long scope `window` takes a unique key unless told otherwise
UNIQUE_FOR_MS_MAX: Final = 30 * 24 * 3_600_000
UNIQUE_WINDOWS: Final = 1_000_000  # unique keys taken for a time; each is a record in memory
KEEP_FINISHED_MS: Final = 24 * 3_600_000  # wall: completed and cancelled jobs are kept this long ...
KEEP_FINISHED: Final = 1_000_000  # ... and at most so many of both together: bounds the disk
KEEP_DEAD_MS: Final = 30 * 24 * 3_600_000  # wall: dead letters are kept this long ...
KEEP_DEAD: Final = 100_000  # ... and at most so many
KEEP_IDS_MS: Final = 24 * 3_600_000  # wall: an id is remembered this long after its job ended, in any case
KEEP_AUDIT_MS: Final = 30 * 24 * 3_600_000  # wall: who changed what by hand is known this long ...
KEEP_AUDIT: Final = 100_000  # ... and at most so many changes
FORGET_AT_ONCE: Final = 500  # records one command forgets: some 3 ms of every node's loop
MIGRATED_AT_ONCE: Final = 500  # records that one step of a migration looks at, for the same reason
FILTER_ROWS: Final = 500  # jobs that one step of a command on a filter looks at, for the same reason
CRON_CHARS: Final = 300  # a cron expression; every field written out in full is about 250
INTERVAL_MS_MIN: Final = 100  # the period of a schedule: below it the work of firing outgrows the work itself
PREVIEW_RUNS: Final = 1_000  # due times that one preview lists
PREVIEW_RUNS_ASKED: Final = 100  # and one that a node computes: those of a rare date take 10 ms each
SCHEDULES: Final = 200_000  # each is held in memory, about 1 KiB with small arguments
SCHEDULE_ID_CHARS: Final = 200
SCHEDULE_ARGS_BYTES: Final = 16 << 10  # held in memory, and written again with every run
TIMEZONE_CHARS: Final = 100
JITTER_MS: Final = 24 * 3_600_000
RUNS_MAX: Final = 1_000_000_000
BUFFERED_SLOTS: Final = 100  # of one schedule, behind a run that does not end
MISFIRES_MADE_UP: Final = 100  # runs that one schedule makes up for at once
MISFIRE_WINDOW_MS: Final = 24 * 3_600_000  # slots that passed longer ago are not made up for
MISFIRE_GRACE_MS: Final = 10_000  # a slot fired less late is not missed: an election is no reason to skip it
FIRES_PER_ENTRY: Final = 100  # runs that one entry of plans begins: some 3 ms of work on every node
GENERATION_INDEXES: Final = (
    1_000_000_000  # left out of the log by a restore: whoever knows a lost index is past it
)
