"""Generated from proto/orchestrix/v1 by proto/generate.py; imported by the wire package only."""
