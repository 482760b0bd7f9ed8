"""The protos for those who generate a client in their own language: every file of the mesh, with all that it
imports. It owns none of them, and refuses to change a byte.
"""
