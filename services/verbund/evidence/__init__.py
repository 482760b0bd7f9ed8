"""Evidence owns proof: what happened, when, between whom.

It refuses to forget or to say two things, and holds no personal data.
"""
