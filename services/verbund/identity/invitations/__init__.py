"""Invitations: how an organisation joins with a key that nobody but itself ever held."""
