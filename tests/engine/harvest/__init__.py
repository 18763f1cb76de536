"""Tests of harvesting: lists, datestamps, sets, tokens."""
