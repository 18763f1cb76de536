"""Time-stamp proofs and what they are checked against."""
