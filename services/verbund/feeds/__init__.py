"""Feeds: what happened in an area, in one order, read once a worker and handed to every watch that may see it.

An area's table of what happened has the columns `transaction` (xid8) and `position`, and a NOTIFY with every row.
"""
