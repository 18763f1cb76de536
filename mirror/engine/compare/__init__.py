"""Comparing the states here with those of upstream or of another mirror."""
