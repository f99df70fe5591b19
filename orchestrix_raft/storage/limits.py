"""Bounds of what is stored, each with its unit and reason.  For `storage` only."""

KEY_BYTES_MAX = 511
"""Longest key of a table: LMDB's own bound as it is built by default."""

TABLES_MAX = 120
"""Named tables of one state store; LMDB reserves a slot for each when it is opened."""

JOB_LOG_BYTES_MAX = 1 << 20
"""Encoded log lines kept per job, so that one talkative handler cannot fill the disk."""

JOB_LOGS_BYTES_MAX = 4 << 30
"""Log lines kept by a node for all jobs together, with what keeping each costs: the job that was silent for
longest loses its lines first.  The file may take up to twice as much."""

LINE_COST_BYTES = 40
"""Of keeping one log line beside the line itself: its key and its place in a page."""

LOGGED_JOB_COST_BYTES = 160
"""Of keeping the counters of one job that logs, and its place in the order of silence."""

JOB_LOGS_DROPPED_AT_ONCE = 100
"""Jobs that lose their lines to make room for new ones, in one write: bounds how long that takes."""

FEED_ROW_COST_BYTES = 40
"""Of keeping one row of the event feed beside its record: its key, its time and its place in a page."""

MAP_BYTES = 1 << 40
"""Address space an environment reserves, 1 TiB: sparse, costs nothing, never has to grow (growing it
under an open read transaction breaks that).  The limit that counts is the store's own."""

JOURNAL_BYTES_MAX = 16 << 30
"""Entries held by the journal.  A healthy log is dropped behind each checkpoint and stays thousands of
times smaller; at this size something is stuck and the rest of the disk is worth protecting."""

STATE_BYTES_MAX = 512 << 30
"""Pages in use by the replicated state: half of the map, so that the map itself is never the limit."""

VERIFIED_BYTES_MAX = 1 << 30
"""Largest file whose structure is verified when it is opened: takes about 2.5 s, more is too long for a
restart."""

COPY_RESERVE_BYTES = 64 << 20
"""A copy of the checkpoint, made or received, leaves this much room on the disk: the journal needs it, and
a node whose journal has no room ends."""
