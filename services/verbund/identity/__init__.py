"""Identity owns who is who and who may do what across organisations.

It refuses what cannot be traced to a decision of those concerned.
"""
