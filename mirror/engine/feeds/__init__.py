"""Entries of feeds: the changes of what this mirror knows, the newest first."""
