"""Damage of every kind, and what is said and done about it."""
