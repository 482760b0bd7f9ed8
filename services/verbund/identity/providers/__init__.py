"""Providers: where the people of organisations sign in, and what their tokens are good for."""
