"""The exchange gets a document from one organisation to another, exactly once in effect, with proof.

It refuses to lose anything, and to show anything to anybody but sender and receiver.
"""
