"""Tokens: who proves to be a system gets one. Refuses everybody else, and does not say why."""
