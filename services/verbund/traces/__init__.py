"""Traces owns the spans of the last days, in a database of its own, so that telemetry outlives what it reports on.

It refuses to grow beyond its bounds, in bytes and in days, and no caller waits for it.
"""
