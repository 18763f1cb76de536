"""Queries: search by text, identification of papers, citations."""
