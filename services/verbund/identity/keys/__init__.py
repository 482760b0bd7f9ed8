"""Signing keys: they are published before they sign, and stay published as long as a token signed with them lives."""
