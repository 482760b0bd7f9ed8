"""The client that a department installs: a token by its own key, one gRPC channel, one HTTP client.

It refuses to trust anything but the mesh's own CA.
"""
