"""Fetching records from the registry or from another mirror."""
