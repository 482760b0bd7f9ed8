"""The examination of a machine and an installation: what is wrong, who can mend it, and how.

It changes nothing, prints no secret, and ends in seconds.
"""
