"""The tour shows the mesh at work on real projects, as a partner would use it: through the gateway, with its own keys.

It refuses to pretend: what it prints has happened, invented content is marked as an example, unknown facts are absent.
"""
