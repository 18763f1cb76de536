"""Merkle tree over all states, signed notes and checkpoints (RFC 6962, C2SP)."""
