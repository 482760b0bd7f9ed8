"""The mesh's policy: rules read from the protos, and the permissions that roles hold.

It decides nothing about resources; services do.
"""
