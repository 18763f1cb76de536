"""Bibliographic descriptions of records, in the formats of libraries."""
