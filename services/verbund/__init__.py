"""Verbund, the interoperability mesh for public administration."""
