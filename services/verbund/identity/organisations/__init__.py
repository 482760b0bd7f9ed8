"""Organisations: the members of the mesh."""
