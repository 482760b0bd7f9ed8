"""The registry owns the shared truth about strategies, measures and projects.

It refuses a change by anybody but the owner.
"""
