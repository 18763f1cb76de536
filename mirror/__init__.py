"""Hold a scholarly registry to its word.

`mirror` reads portable graph bundles of pith.science, verifies every hash and signature, merges
them deterministically, and keeps what it found in SQLite. Data flows one way:
archive -> bundle -> verify -> store -> merge -> state.
"""

__version__ = "0.1.0"
