"""The whole mesh on one machine: `verbund up` starts PostgreSQL, the services and Envoy below one directory.

It owns the home directory, the processes and their order. It refuses to start what it could not stop again: one
supervisor a home, every part a child of it, nothing outside the home but the runtime directory of the sockets.
"""
