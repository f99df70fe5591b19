"""The calendar half of schedules: when a cron expression, an interval or a one-shot is due.

Pure functions of (expression, zone, policy, instant): nothing here reads a clock or keeps state beyond
caches of what is computed.  Instants are integers, milliseconds of UTC since 1970; local times are
integers too, seconds of a naive clock since 1970-01-01T00:00.  The only package that imports croniter and
zoneinfo; it knows `domain` and nothing else.
"""
