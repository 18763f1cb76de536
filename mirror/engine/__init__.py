"""The work: ingest, verify, replay, trust, look up, export.

Each module is one job over store and archive. The rules are in `mirror.core`; what a person types
and sees is in `mirror.cli`.
"""
