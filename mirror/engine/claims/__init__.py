"""Checks of the claims in a state, all kinds together."""
