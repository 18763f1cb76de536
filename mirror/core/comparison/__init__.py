"""Comparison of two states: structural diff, causes, rollbacks."""
