"""What a node tells about itself: log lines, counters and gauges.

Never imported by the pure packages (domain, machine, duties): what they did is seen in their results.
"""
