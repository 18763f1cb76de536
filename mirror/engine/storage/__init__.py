"""Checks of stored copies: whether archives still have the captures that events name."""
